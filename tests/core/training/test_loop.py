"""Schedules, early stopping and what stops a training, on models that train in seconds."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from tests.helpers.command import read_rows
from tests.helpers.figures import make_dataset, make_prepared
from vaa_cli.core.datasets.formats import csv_folder
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.labels.splits import assign_splits
from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.models.losses import LossParts, VAALoss
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.training import validation
from vaa_cli.core.training.events import (
    EpochReport,
    Finished,
    Started,
    StepReport,
    Stopped,
    TrainingWarning,
)
from vaa_cli.core.training.loop import training_events
from vaa_cli.core.training.optimizers import make_scheduler
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.recipes import RECIPES
from vaa_cli.core.training.sampling import augmented_requests, epoch_batches
from vaa_cli.core.training.seeding import seed_all
from vaa_cli.core.training.state_file import read_state
from vaa_cli.core.training.stop_request import StopRequest
from vaa_cli.core.training.validation import Validation, Validator

OPTIONS = TrainingOptions(
    backbone="resnet18", weights="none", image_size=(32, 32), hidden=8, workers=0, batch_size=8,
    precision="fp32", device="cpu", tensorboard=False, ema=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("training")
    table = csv_folder.read(make_dataset(folder / "dataset", count=25, split=False))
    table = replace(table, splits=assign_splits(table))
    write_prepared(folder / "prepared", table, Origin("figures", "csv"))
    return read_prepared(folder / "prepared")


@pytest.fixture
def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RECIPES["paper"].lr)


def test_paper_recipe_divides_the_rate_after_ten_flat_epochs_three_times(
    optimizer: torch.optim.Optimizer,
) -> None:
    schedule = make_scheduler(optimizer, RECIPES["paper"], steps_per_epoch=5, warmup_share=0.05)
    assert isinstance(schedule, ReduceLROnPlateau)
    rates = []
    for _ in range(60):
        schedule.step(0.5)
        rates.append(optimizer.param_groups[0]["lr"])
    # The first epoch is better than nothing; then ten without progress, and so on.
    assert rates[9] == pytest.approx(1e-4)
    assert rates[10] == pytest.approx(1e-5)
    assert rates[20] == pytest.approx(1e-6)
    assert rates[30] == pytest.approx(1e-7)
    assert rates[-1] == pytest.approx(1e-7)


def test_paper_recipe_keeps_the_rate_while_the_score_rises(
    optimizer: torch.optim.Optimizer,
) -> None:
    schedule = make_scheduler(optimizer, RECIPES["paper"], steps_per_epoch=5, warmup_share=0.05)
    assert isinstance(schedule, ReduceLROnPlateau)
    for epoch in range(50):
        schedule.step(0.5 + 1e-7 * epoch)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_default_recipe_warms_up_and_follows_a_cosine(optimizer: torch.optim.Optimizer) -> None:
    recipe = replace(RECIPES["default"], epochs=10)
    top = optimizer.param_groups[0]["lr"]
    schedule = make_scheduler(optimizer, recipe, steps_per_epoch=20, warmup_share=0.05)
    assert isinstance(schedule, LambdaLR)
    rates = []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"] / top)
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 10)
    middle = 10 + 190 // 2
    assert rates[middle] == pytest.approx(0.5)
    np.testing.assert_allclose(
        rates[10:], [0.5 * (1 + math.cos(math.pi * k / 190)) for k in range(190)]
    )


def test_events_tell_the_whole_training(data: Prepared, tmp_path: Path) -> None:
    events = list(training_events(data, replace(OPTIONS, epochs=2), tmp_path / "run"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    steps = [event for event in events if isinstance(event, StepReport)]
    epochs = [event for event in events if isinstance(event, EpochReport)]
    assert [event.epoch for event in epochs] == [1, 2]
    size = len(data.splits["train"])
    assert events[0].steps == -(-size // 8)
    # An epoch's last report is of the same losses as its row.
    last = [event for event in steps if event.epoch == 2][-1]
    assert {name: epochs[1].row[name] for name in last.losses} == last.losses


def judgements(values: list[tuple[float, float]]) -> Iterator[Validation]:
    """What validation gives, epoch by epoch, for mA, mAP and loss."""
    base = score(np.array([[0.9], [0.1]]), np.array([[1], [0]]))
    for value, loss in values:
        scores = replace(
            base, totals=replace(base.totals, mean_accuracy=value, mean_average_precision=value)
        )
        yield Validation(scores, loss, {})


@pytest.mark.parametrize(
    ("values", "best", "epochs"),
    [
        # Neither score nor loss gets better after the first epoch.
        ([(0.6, 1.0)] + [(0.5, 1.0)] * 5, 1, 3),
        # The score stands still while the loss falls: no reason to stop, and the last is best.
        pytest.param([(0.5, 1.0 - 0.05 * i) for i in range(6)], 6, 6, marks=pytest.mark.slow),
        # The score rises late.
        pytest.param([(0.5, 1.0), (0.6, 1.0), *[(0.5, 1.0)] * 4], 2, 4, marks=pytest.mark.slow),
    ],
)
def test_patience_ends_training_without_progress(
    data: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    values: list[tuple[float, float]],
    best: int,
    epochs: int,
) -> None:
    turns = judgements(values)
    monkeypatch.setattr(validation, "validate", lambda *_: next(turns))
    *_, finished = training_events(data, replace(OPTIONS, epochs=6, patience=2), tmp_path / "run")
    assert isinstance(finished, Finished)
    assert finished.best_epoch == best
    assert finished.stopped_early == (epochs < 6)
    state = read_state(tmp_path / "run" / "last.ckpt")
    assert state["progress"]["epoch"] == epochs


def test_a_loss_that_is_no_number_stops_at_once(data: Prepared, tmp_path: Path) -> None:
    with pytest.raises(VAAError, match=r"no longer a number in epoch 1, step \d+ \(pictures: "):
        list(training_events(data, replace(OPTIONS, epochs=3, lr=1e30), tmp_path / "run"))


def test_val_that_cannot_be_scored_is_refused(data: Prepared, tmp_path: Path) -> None:
    one = {**data.splits, "val": data.splits["val"].select([0])}
    with pytest.raises(VAAError, match="no attribute can be scored"):
        list(
            training_events(replace(data, splits=one), replace(OPTIONS, epochs=1), tmp_path / "run")
        )


def test_one_picture_is_not_enough(data: Prepared, tmp_path: Path) -> None:
    one = {**data.splits, "train": data.splits["train"].select([0])}
    with pytest.raises(VAAError, match="1 training pictures"):
        list(training_events(replace(data, splits=one), OPTIONS, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


# Faults in the data and the numbers


def faults(run: Path) -> list[dict[str, str]]:
    return read_rows((run / "faults.csv").read_text())


def log(run: Path) -> list[dict[str, str]]:
    return read_rows((run / "log.csv").read_text())


def test_broken_pictures_are_replaced_counted_and_named(tmp_path: Path) -> None:
    data = make_prepared(tmp_path, train=16, val=8)
    images = data.splits["train"].row_images
    Path(data.splits["train"].path(3)).unlink()
    Path(data.splits["train"].path(5)).write_bytes(b"broken")
    Path(data.splits["val"].path(2)).unlink()
    run = tmp_path / "run"
    events = list(training_events(data, replace(OPTIONS, epochs=2, burn_in=0), run))
    assert isinstance(events[-1], Finished)
    warnings = [event.message for event in events if isinstance(event, TrainingWarning)]
    assert len(warnings) == 3, "each comes once"
    assert "no such file" in warnings[0] + warnings[1] and "another stands in" in warnings[0]
    assert "it is not scored" in warnings[2]
    assert [row["replaced"] for row in log(run)] == ["2", "2"]
    rows = faults(run)
    assert {row["image"] for row in rows[:2]} == {images[3], images[5]}
    assert [row["split"] for row in rows] == ["train", "train", "val"]
    assert [(row["epoch"], row["times"]) for row in rows] == [("1", "2")] * 3
    # What was shown in their place is not remembered as theirs.
    history = read_state(run / "last.ckpt")["history"]
    assert [row for row, seen in enumerate(history["cursor"]) if not seen] == [3, 5]


def test_pictures_that_are_all_gone_end_it(tmp_path: Path) -> None:
    data = make_prepared(tmp_path, train=8, val=8)
    for row in range(8):
        Path(data.splits["train"].path(row)).unlink()
    with pytest.raises(VAAError, match=r"all 8 pictures of a batch could not be decoded"):
        list(training_events(data, OPTIONS, tmp_path / "run"))


def spoil_steps(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Make the loss of some steps NaN, counted from 1 over the whole training."""
    count = 0
    honest = VAALoss.forward

    def forward(self: VAALoss, *arguments: Any) -> LossParts:
        nonlocal count
        count += 1
        parts = honest(self, *arguments)
        return parts._replace(total=parts.total * (math.nan if count in numbers else 1.0))

    monkeypatch.setattr(VAALoss, "forward", forward)


def test_a_bad_step_names_its_pictures_and_the_last_checkpoint(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    spoil_steps(monkeypatch, 4)  # 17 pictures are three batches
    with pytest.raises(VAAError) as error:
        list(training_events(data, replace(OPTIONS, epochs=2), run))
    message = str(error.value)
    assert "no longer a number in epoch 2, step 1" in message
    rows = epoch_batches(len(data.splits["train"]), 8, seed=0, epoch=1)[0]
    assert f"pictures: {data.splits['train'].row_images[rows[0]]}, " in message
    assert "and 3 more" in message
    assert f"{run / 'last.ckpt'} keeps epoch 1" in message
    assert "`skip_bad_steps=10`" in message
    assert read_state(run / "last.ckpt")["progress"]["epoch"] == 1


def test_bad_steps_are_left_out_as_far_as_allowed(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, epochs=2, skip_bad_steps=2)
    spoil_steps(monkeypatch, 1, 4)
    events = list(training_events(data, options, tmp_path / "run"))
    assert isinstance(events[-1], Finished)
    assert [row["skipped"] for row in log(tmp_path / "run")] == ["1", "1"]
    warnings = [event.message for event in events if isinstance(event, TrainingWarning)]
    assert "epoch 1, step 1: left out, 1 of 2 allowed" in warnings[0]
    state = read_state(tmp_path / "run" / "last.ckpt")
    assert all(torch.isfinite(v).all() for v in state["model"].values())
    spoil_steps(monkeypatch, 1, 2, 4)
    with pytest.raises(VAAError, match=r"no longer a number in epoch 2, step 1"):
        list(training_events(data, options, tmp_path / "again"))


def test_a_step_that_is_left_out_changes_nothing(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(OPTIONS, epochs=1, skip_bad_steps=9, lr=1e-3)
    spoil_steps(monkeypatch, *range(1, 100))
    stop = StopRequest()
    stop.signal = 15
    *_, end = training_events(data, options, tmp_path / "run", stop=stop)
    assert isinstance(end, Stopped)
    seed_all(0)
    model = VAA("resnet18", 3, (32, 32), hidden=8)
    model.start_at(data.priors.prior.tolist())
    start = model.state_dict()
    state = read_state(tmp_path / "run" / "last.ckpt")["model"]
    for name, value in start.items():
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, ("batches of 8;", "`batch_size=4`", "`accumulate=2`")),
        ({"accumulate": 2}, ("batches of 8 in 2 parts;", "`batch_size=4`", "`accumulate=4`")),
    ],
)
def test_out_of_memory_says_what_to_try(
    data: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    parts: tuple[str, ...],
) -> None:
    def forward(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(VAALoss, "forward", forward)
    with pytest.raises(VAAError) as error:
        list(training_events(data, replace(OPTIONS, **options), tmp_path / "run"))
    assert str(error.value).startswith("out of memory on cpu with ")
    for part in parts:
        assert part in str(error.value)


# Ways to compute it


def test_parts_of_a_batch_and_a_clipped_norm(data: Prepared, tmp_path: Path) -> None:
    """A step of SGD in two parts, against the same by hand: w - lr · g · clip / |g|."""
    options = replace(
        OPTIONS, recipe="paper", lr=0.1, weight_decay=0.0, batch_size=17, accumulate=2,
        clip_norm=0.5, epochs=1,
    )  # fmt: skip
    stop = StopRequest()
    stop.signal = 15
    list(training_events(data, options, tmp_path / "run", stop=stop))
    trained = read_state(tmp_path / "run" / "last.ckpt")["model"]

    seed_all(0)
    model = VAA("resnet18", 3, (32, 32), hidden=8).to(memory_format=torch.channels_last).train()
    model.start_at(data.priors.prior.tolist())
    criterion = VAALoss(torch.tensor(data.priors.prior, dtype=torch.float32))
    table = data.splits["train"]
    (rows, *_) = epoch_batches(len(table), 17, seed=0, epoch=0)
    (batch,) = PictureLoader((32, 32), workers=0).load([augmented_requests(table, rows, 0, 0)])
    half = -(-len(rows) // 2)  # the first part is the larger one
    for part in (slice(half), slice(half, None)):
        images = Normalisation(IMAGENET_MEAN, IMAGENET_STD)(batch.pixels[part])
        output = model(images.contiguous(memory_format=torch.channels_last))
        targets = torch.from_numpy(table.labels[rows[part]])
        loss = criterion(output.primary, output.attention, targets).total
        (loss * len(targets) / len(rows)).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in gradients.values()))
    assert norm > 0.5
    for name, parameter in model.named_parameters():
        expected = parameter.detach() - 0.1 * gradients[name] * 0.5 / norm
        torch.testing.assert_close(trained[name], expected, rtol=1e-4, atol=2e-5)


@pytest.mark.slow
def test_pictures_from_memory(data: Prepared, tmp_path: Path) -> None:
    """Near to the same training: crops are cut after scaling, not before it."""
    list(training_events(data, replace(OPTIONS, epochs=2), tmp_path / "disk"))
    list(training_events(data, replace(OPTIONS, epochs=2, cache="ram"), tmp_path / "ram"))
    disk, ram = log(tmp_path / "disk"), log(tmp_path / "ram")
    assert float(ram[0]["loss"]) == pytest.approx(float(disk[0]["loss"]), rel=0.1)
    assert float(ram[0]["val_loss"]) == pytest.approx(float(disk[0]["val_loss"]), rel=0.1)


@pytest.mark.parametrize("prefix", ["val_", "ema_val_"])
def test_the_better_of_weights_and_average_is_saved(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    validate = validation.validate

    def judged(validator: Validator, *rest: Any) -> Validation:
        found = validate(validator, *rest)
        is_average = not next(validator.model.parameters()).requires_grad
        bonus = 2.0 * (is_average == (prefix == "ema_val_"))
        totals = found.scores.totals
        totals = replace(totals, mean_average_precision=totals.mean_average_precision + bonus)
        return replace(found, scores=replace(found.scores, totals=totals))

    monkeypatch.setattr(validation, "validate", judged)
    list(training_events(data, replace(OPTIONS, epochs=2, ema=0.5, lr=1e-3), tmp_path / "run"))
    model, card = load_model(tmp_path / "run" / "best.safetensors")
    row = log(tmp_path / "run")[card.epoch - 1]
    assert row["ema_val_loss"] != row["val_loss"]
    validator = Validator(model, card, Compute.choose("cpu", "fp32"), PictureLoader((32, 32), 0))
    table = data.splits["val"]
    logits, problems, heads = validator.table_logits(table)
    assert not problems
    expected = {"": logits, **{f"{name}_": head for name, head in heads.items()}}
    assert list(expected) == ["", "primary_", "attention_3_", "attention_4_"]
    for name, found in expected.items():
        mean_accuracy = score(found.sigmoid().numpy(), table.labels).totals.mean_accuracy
        assert mean_accuracy == pytest.approx(float(row[f"{prefix}{name}mA"]), rel=1e-5)
        assert card.validation[f"{name}mA"] == pytest.approx(mean_accuracy, rel=1e-5)
    torch.testing.assert_close(logits, torch.stack(list(heads.values())).mean(dim=0))


def test_only_algorithms_that_give_the_same(data: Prepared, tmp_path: Path) -> None:
    try:
        for name in ("one", "two"):
            list(
                training_events(
                    data, replace(OPTIONS, epochs=1, deterministic=True), tmp_path / name
                )
            )
    finally:
        torch.use_deterministic_algorithms(False)
    one, two = ((tmp_path / n / "best.safetensors").read_bytes() for n in ("one", "two"))
    assert one == two


def test_same_seed_same_model_whatever_the_workers(data: Prepared, tmp_path: Path) -> None:
    for name, workers, seed in (("a", 0, 0), ("b", 2, 0), ("c", 0, 1)):
        options = replace(OPTIONS, epochs=1, workers=workers, seed=seed)
        list(training_events(data, options, tmp_path / name))
    first, second, third = (
        (tmp_path / name / "best.safetensors").read_bytes() for name in ("a", "b", "c")
    )
    assert first == second
    assert first != third


@pytest.mark.slow
def test_history_guides_only_after_burn_in_and_two_epochs(data: Prepared, tmp_path: Path) -> None:
    """eq. 5 needs two remembered epochs: before the third, runs with and without H are equal."""
    losses = {}
    for name, burn_in in (("with", 0), ("without", 99), ("later", 1)):
        list(
            training_events(
                data, replace(OPTIONS, epochs=4, burn_in=burn_in, lr=1e-3), tmp_path / name
            )
        )
        losses[name] = [float(row["loss"]) for row in log(tmp_path / name)]
    assert losses["with"][:2] == losses["without"][:2]
    assert losses["with"][2] > losses["without"][2]
    assert losses["later"][:3] == losses["without"][:3]
    assert losses["later"][3] > losses["without"][3]
