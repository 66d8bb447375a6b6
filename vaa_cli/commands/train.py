"""`vaa train`: the full attention-plus-focal model with history tracking."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, quote, say, warn
from vaa_cli.commands.options import (
    PREPARED,
    DeviceOption,
    PrecisionOption,
    SeedOption,
    WorkersOption,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.option_values import parse_image_size, parse_stages

if TYPE_CHECKING:
    from vaa_cli.core.prepared import Prepared
    from vaa_cli.core.training import Finished
    from vaa_cli.core.training_options import TrainingOptions


class RecipeChoice(str, Enum):
    """How the model is optimised."""

    default = "default"
    paper = "paper"


class LossChoice(str, Enum):
    """Eq. 4 and its baseline, eq. 3."""

    focal = "focal"
    bce = "bce"


class WeightingChoice(str, Enum):
    """The weights of eq. 4."""

    prior = "prior"
    label = "label"
    none = "none"


class ClassifierChoice(str, Enum):
    """What makes logits of attention maps."""

    spatial = "spatial"
    spatial_full = "spatial-full"
    pooled = "pooled"


class ScoreChoice(str, Enum):
    """What tells the best epoch."""

    mA = "mA"
    mAP = "mAP"


_MODEL, _LOSS, _OPTIMISATION = "Model", "Loss", "Optimisation"


def train(
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            help="resnet (resnet101), densenet (densenet201), or any torchvision ResNet or "
            "DenseNet by its name.",
            rich_help_panel=_MODEL,
        ),
    ] = "resnet",
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="Where the backbone starts: imagenet (torchvision's), none (from scratch), or a "
            "file with torchvision's names.",
            rich_help_panel=_MODEL,
        ),
    ] = "imagenet",
    image_size: Annotated[
        str,
        typer.Option("--image-size", help="HEIGHTxWIDTH, or one side.", rich_help_panel=_MODEL),
    ] = "224x224",
    stages: Annotated[
        str,
        typer.Option(
            "--stages",
            help="Stages that carry attention, of 2, 3 and 4.",
            rich_help_panel=_MODEL,
        ),
    ] = "3,4",
    classifier: Annotated[
        ClassifierChoice,
        typer.Option(
            "--classifier", help="What makes logits of attention maps.", rich_help_panel=_MODEL
        ),
    ] = ClassifierChoice.spatial,
    loss: Annotated[
        LossChoice,
        typer.Option("--loss", help="Of the primary logits.", rich_help_panel=_LOSS),
    ] = LossChoice.focal,
    attention_loss: Annotated[
        LossChoice,
        typer.Option("--attention-loss", help="Of the attention logits.", rich_help_panel=_LOSS),
    ] = LossChoice.bce,
    gamma: Annotated[
        float,
        typer.Option("--gamma", min=0.0, help="Focusing exponent.", rich_help_panel=_LOSS),
    ] = 0.5,
    loss_weights: Annotated[
        WeightingChoice,
        typer.Option(
            "--loss-weights",
            help="prior: exp(-a); label: exp(1-a) where present, exp(a) where absent; none: 1.",
            rich_help_panel=_LOSS,
        ),
    ] = WeightingChoice.prior,
    history: Annotated[
        int,
        typer.Option(
            "--history",
            min=2,
            max=100,
            help="Epochs of predictions that guide the attention loss.",
            rich_help_panel=_LOSS,
        ),
    ] = 5,
    burn_in: Annotated[
        int,
        typer.Option(
            "--burn-in",
            min=0,
            help="First epochs that the history leaves out.",
            rich_help_panel=_LOSS,
        ),
    ] = 2,
    recipe: Annotated[
        RecipeChoice,
        typer.Option(
            "--recipe",
            help="default: AdamW, warm-up, cosine. paper: SGD, rate divided at plateaus.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = RecipeChoice.default,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Default: 30; paper: 100.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=2,
            help="Default: 32; paper: 24.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            min=0.0,
            help="Highest learning rate. Default: 3e-4; paper: 1e-4.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay",
            min=0.0,
            help="Default: 0.05; paper: 5e-4.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            min=0,
            help="Epochs with neither a better score nor a lower loss on val before the end; "
            "0: never. Default: 10; paper: 40.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    best_by: Annotated[
        ScoreChoice,
        typer.Option(
            "--best-by",
            help="Score on val that tells the best epoch.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = ScoreChoice.mA,
    data: Annotated[Path, typer.Option("--data", help="Prepared folder.")] = PREPARED,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="Run folder to make. Default: runs/BACKBONE-TIME.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Train a model on a prepared folder."""
    from vaa_cli.core.prepared import read_prepared

    # What can be wrong without torch is told before torch is loaded.
    size = parse_image_size(image_size)
    attention_stages = parse_stages(stages)
    prepared = read_prepared(data)
    if run is not None and run.exists() and (not run.is_dir() or any(run.iterdir())):
        raise VAAError(f"{run} exists already; name a new run folder, so that no run is lost")

    from vaa_cli.core.backbones import backbone_name
    from vaa_cli.core.runs import discard_unstarted, new_run
    from vaa_cli.core.training_options import TrainingOptions

    options = TrainingOptions(
        backbone=backbone_name(backbone),
        weights=weights,
        image_size=size,
        stages=attention_stages,
        classifier=classifier.value,
        loss=loss.value,
        attention_loss=attention_loss.value,
        gamma=gamma,
        loss_weights=loss_weights.value,
        history=history,
        burn_in=burn_in,
        recipe=recipe.value,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        patience=patience,
        best_by=best_by.value,
        seed=seed,
        device=device,
        precision=precision,
        workers=workers,
    )
    folder = run or new_run(options.backbone)
    try:
        finished = _train_and_tell(prepared, options, folder)
    except KeyboardInterrupt:
        kept = not discard_unstarted(folder)
        say(f"stopped; {folder} keeps the best epoch so far" if kept else "stopped; nothing kept")
        raise
    except BaseException:
        discard_unstarted(folder)
        raise
    why = " (stopped early: no progress on val)" if finished.stopped_early else ""
    say(f"best epoch {finished.best_epoch}: val {best_by.value} {finished.best_score:.4f}{why}")
    which = "" if run is None else f" --run {quote(folder)}"
    empty_test = not len(prepared.splits["test"])
    say(f"wrote {folder}; next: vaa evaluate{which}{' --split val' if empty_test else ''}")


def _train_and_tell(prepared: "Prepared", options: "TrainingOptions", run: Path) -> "Finished":
    """Train, with a bar for the whole of it and a line an epoch."""
    from vaa_cli.core.training import EpochReport, Finished, Started, StepReport, train

    constant = prepared.priors.constant
    if constant.any():
        names = ", ".join(n for n, c in zip(prepared.attributes, constant, strict=True) if c)
        warn(f"constant in train, so that nothing about them can be learnt: {names}")
    bar = progress(
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    task = TaskID(0)
    steps = epochs = 0
    with bar:
        for event in train(prepared, options, run):
            match event:
                case Started():
                    steps, epochs = event.steps, event.epochs
                    say(
                        f"{options.backbone}, {event.parameters / 1e6:.1f} M parameters, "
                        f"{len(prepared.attributes)} attributes, "
                        f"{len(prepared.splits['train']):,} pictures, on {event.compute}"
                    )
                    task = bar.add_task("", total=steps * epochs, epoch=f"1/{epochs}", figures="")
                case StepReport():
                    done = (event.epoch - 1) * steps + event.step
                    figures = f"{_parts(event.losses)}  {event.images_per_second:.0f} img/s"
                    position = f"{event.epoch}/{epochs}"
                    bar.update(task, completed=done, epoch=position, figures=figures)
                case EpochReport():
                    row = event.row
                    losses = {k: v for k, v in row.items() if k.startswith(_LOSS_PARTS)}
                    say(
                        f"epoch {event.epoch:>{len(str(epochs))}}/{epochs}  {_parts(losses)}  "
                        f"val mA {row['val_mA']:.4f}  mAP {row['val_mAP']:.4f}  "
                        f"{row['images_per_second']:.0f} img/s  {row['seconds']:.1f} s"
                        f"{'  best' if event.is_best else ''}"
                    )
                case Finished():
                    return event
    raise AssertionError("training ends by saying so")


# What the loss's columns in log.csv begin with.
_LOSS_PARTS = ("loss", "primary", "attention_")


def _parts(losses: dict[str, float]) -> str:
    total, *parts = losses.items()
    return f"loss {total[1]:.3f} ({', '.join(f'{name} {value:.3f}' for name, value in parts)})"
