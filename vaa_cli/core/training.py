"""The training loop of VAA, readable from top to bottom."""

import math
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torchvision
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vaa_cli.core.backbones import IMAGENET_MEAN, IMAGENET_STD, load_weights
from vaa_cli.core.checkpoint import ModelCard, save_model, save_state
from vaa_cli.core.devices import Compute
from vaa_cli.core.errors import VAAError
from vaa_cli.core.files import write_text
from vaa_cli.core.history import PredictionHistory
from vaa_cli.core.inference import Predictor
from vaa_cli.core.labels import LabelTable
from vaa_cli.core.loading import PictureLoader, normalise, training_batches
from vaa_cli.core.losses import LossParts, VAALoss, cross_entropy, reduce_terms
from vaa_cli.core.metrics import Scores, score
from vaa_cli.core.optimisation import make_optimizer, make_schedule
from vaa_cli.core.prepared import Prepared
from vaa_cli.core.runs import BEST, LAST, LOG, create_run, mark_latest
from vaa_cli.core.training_options import Recipe, TrainingOptions

THRESHOLD = 0.5
# Reading the loss off a GPU makes it wait; so often is enough for a progress bar.
_REPORT_EVERY = 10


@dataclass(frozen=True)
class Started:
    """What training begins with."""

    compute: Compute
    steps: int
    epochs: int
    parameters: int


@dataclass(frozen=True)
class StepReport:
    """Where an epoch stands: mean loss parts so far.

    Attributes:
        epoch: from 1.
        step: steps done in this epoch.
        losses: `loss`, `primary`, `attention_3`, … by name.
        images_per_second: since the epoch began.
    """

    epoch: int
    step: int
    losses: dict[str, float]
    images_per_second: float


@dataclass(frozen=True)
class EpochReport:
    """An epoch that is done: the row that log.csv gets."""

    epoch: int
    row: dict[str, float]
    is_best: bool


@dataclass(frozen=True)
class Finished:
    """How training ended.

    Attributes:
        best_epoch: from 1.
        best_score: on val, by what the options ask.
        stopped_early: whether patience ended it.
    """

    best_epoch: int
    best_score: float
    stopped_early: bool


Event = Started | StepReport | EpochReport | Finished


def train(data: Prepared, options: TrainingOptions, run: Path) -> Iterator[Event]:
    """Train a model on a prepared folder, telling how it goes.

    Args:
        data: the dataset; trained on `train`, judged on `val`.
        options: everything else.
        run: the folder to make for the model, the training's state and the log.

    Yields:
        `Started`, then `StepReport`s and an `EpochReport` for each epoch, then `Finished`.

    Raises:
        VAAError: the data or an option does not allow it, the loss is no longer a number, or a
            file cannot be written.
    """
    recipe = options.resolved()
    train_split, val_split = data.split("train"), data.split("val")
    if len(train_split) < 2 or recipe.batch_size < 2:
        raise VAAError(
            f"{len(train_split)} training pictures in batches of {recipe.batch_size}: batch "
            "normalisation needs two of each at least"
        )
    compute = Compute.choose(options.device, options.precision)
    device = compute.device
    card = _card(data, options)

    torch.manual_seed(options.seed)
    model = card.build(load_weights(options.weights, options.backbone))
    model = model.to(device).to(memory_format=torch.channels_last)
    priors = torch.tensor(data.priors.prior, dtype=torch.float32)
    criterion = VAALoss(
        priors, options.gamma, options.loss_weights, options.loss, options.attention_loss
    ).to(device)
    history = PredictionHistory(len(train_split), len(data.attributes), options.history, device)
    steps = len(training_batches(train_split, recipe.batch_size, options.seed, epoch=0))
    optimizer = make_optimizer(model, recipe, options.momentum, device)
    schedule = make_schedule(optimizer, recipe, steps, options.warmup)
    scaler = torch.amp.GradScaler(device.type, enabled=compute.needs_scaler)

    loader = PictureLoader(
        options.image_size, options.workers, compute.pins_memory, data.box_margin
    )
    predictor = Predictor(model, card, compute, loader, recipe.batch_size)
    labels = torch.from_numpy(train_split.labels).to(device)

    create_run(run, _config(data, options, recipe, compute))
    log: list[dict[str, float]] = []
    best_epoch, best_score = 0, -math.inf
    lowest_loss, last_progress = math.inf, 0
    yield Started(compute, steps, recipe.epochs, sum(p.numel() for p in model.parameters()))

    for epoch in range(recipe.epochs):
        started = time.perf_counter()
        lr = optimizer.param_groups[0]["lr"]
        model.train()
        sums = LossSums(model.stages, device)
        batches = training_batches(train_split, recipe.batch_size, options.seed, epoch)
        for step, batch in enumerate(loader.load(batches), start=1):
            batch.require_whole()
            rows = torch.tensor([request.row for request in batch.requests], device=device)
            targets = labels[rows]
            pixels = batch.pixels.to(device, non_blocking=compute.pins_memory)
            images = normalise(pixels, card.mean, card.std)
            images = images.contiguous(memory_format=torch.channels_last)

            with compute.autocast():
                output = model(images)
            losses = criterion(output.primary, output.attention, targets, history.std(rows))

            optimizer.zero_grad(set_to_none=True)
            scaler.scale(losses.total).backward()
            scaler.step(optimizer)
            scaler.update()
            if isinstance(schedule, LambdaLR):
                schedule.step()
            if epoch >= options.burn_in:
                # After the loss has read it: H at an epoch holds only the epochs before.
                history.update(rows, output.logits.sigmoid())

            sums.add(losses, len(rows))
            if step % _REPORT_EVERY == 0 or step == steps:
                means = sums.means()
                if not math.isfinite(means["loss"]):
                    raise VAAError(_not_finite(epoch + 1, step, best_epoch, run))
                seconds = time.perf_counter() - started
                yield StepReport(epoch + 1, step, means, sums.images / seconds)

        train_seconds = time.perf_counter() - started
        scores, val_loss = validate(predictor, val_split)
        by = {"mA": scores.totals.mean_accuracy, "mAP": scores.totals.mean_average_precision}
        current = by[options.best_by]
        if math.isnan(current):
            raise VAAError(
                f"no attribute can be scored on {data.folder / 'val.csv'}: each needs a picture "
                "with it and one without; put more pictures into val"
            )
        is_best = current > best_score
        if is_best:
            best_epoch, best_score = epoch + 1, current
        # While rare attributes are all predicted absent, mA stands still and the loss still falls.
        if is_best or val_loss < lowest_loss:
            last_progress = epoch + 1
        lowest_loss = min(lowest_loss, val_loss)
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(current)

        log.append(
            {
                "epoch": epoch + 1,
                "lr": lr,
                **sums.means(),
                "val_loss": val_loss,
                **{f"val_{name}": value for name, value in by.items()},
                "val_instance_f1": scores.totals.instance_f1,
                "images_per_second": sums.images / train_seconds,
                "seconds": time.perf_counter() - started,
            }
        )
        if is_best:
            save_model(run / BEST, model, _scored(card, epoch + 1, by))
        save_state(
            run / LAST,
            {
                "options": asdict(options),
                "epoch": epoch + 1,  # whole epochs done
                "step": 0,  # steps done of the next one
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "scaler": scaler.state_dict(),
                "ema": None,
                "history": history.state_dict(),
                "rng": _random_state(device),
                "best": {"epoch": best_epoch, "score": best_score},
                "patience": {"lowest_loss": lowest_loss, "last_progress": last_progress},
                "log": log,
            },
        )
        write_text(run / LOG, pd.DataFrame(log).to_csv(index=False, float_format="%.6g"))
        if epoch == 0:
            mark_latest(run)
        yield EpochReport(epoch + 1, log[-1], is_best)
        if recipe.patience and epoch + 1 - last_progress >= recipe.patience:
            break

    stopped_early = epoch + 1 < recipe.epochs
    yield Finished(best_epoch, best_score, stopped_early)


def validate(predictor: Predictor, split: LabelTable) -> tuple[Scores, float]:
    """Score a split, and its cross-entropy (eq. 3) by the aggregated logits."""
    logits = torch.cat(list(predictor.table_logits(split)))
    targets = torch.from_numpy(split.labels)
    loss = reduce_terms(cross_entropy(logits, targets)).item()
    if not math.isfinite(loss):
        raise VAAError("the predictions on val are no longer numbers; try a smaller --lr")
    return score(logits.sigmoid().numpy(), split.labels, THRESHOLD), loss


class LossSums:
    """Sums of the loss parts over an epoch, kept on the device until they are asked for."""

    def __init__(self, stages: tuple[int, ...], device: torch.device) -> None:
        self._names = ["loss", "primary", *(f"attention_{stage}" for stage in stages)]
        self._sums = torch.zeros(len(self._names), device=device)
        self.images = 0

    def add(self, losses: LossParts, images: int) -> None:
        """Count a batch's losses, means over its images."""
        parts = torch.stack([losses.total, losses.primary, *losses.attention]).detach()
        self._sums += parts * images
        self.images += images

    def means(self) -> dict[str, float]:
        """The mean per image of each part so far."""
        return dict(zip(self._names, (self._sums / self.images).tolist(), strict=True))


def _card(data: Prepared, options: TrainingOptions) -> ModelCard:
    return ModelCard(
        backbone=options.backbone,
        attributes=data.attributes,
        thresholds=(THRESHOLD,) * len(data.attributes),
        priors=tuple(None if math.isnan(a) else a for a in data.priors.prior.tolist()),
        image_size=options.image_size,
        box_margin=data.box_margin,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        stages=tuple(sorted(options.stages)),
        classifier=options.classifier,
        hidden=options.hidden,
        data=str(data.folder.resolve()),
        epoch=0,
        validation={},
    )


def _config(
    data: Prepared, options: TrainingOptions, recipe: Recipe, compute: Compute
) -> dict[str, Any]:
    return {
        "options": asdict(options),
        "recipe": asdict(recipe),
        "data": str(data.folder.resolve()),
        "compute": str(compute),
        "versions": {
            "vaa": version("vaa-cli"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }


def _scored(card: ModelCard, epoch: int, figures: dict[str, float]) -> ModelCard:
    # NaN is no JSON.
    numbers = {name: None if math.isnan(value) else value for name, value in figures.items()}
    return ModelCard(**{**asdict(card), "epoch": epoch, "validation": numbers})


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _not_finite(epoch: int, step: int, best_epoch: int, run: Path) -> str:
    kept = f"; {run / BEST} keeps epoch {best_epoch}" if best_epoch else ""
    return (
        f"the loss is no longer a number in epoch {epoch} by step {step}; "
        f"try a smaller --lr or --precision fp32{kept}"
    )
