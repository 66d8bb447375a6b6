"""Schedules, early stopping and what stops a training, on models that train in seconds."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from tests.conftest import make_dataset
from vaa_cli.core import training
from vaa_cli.core.datasets import csv as csv_format
from vaa_cli.core.errors import VAAError
from vaa_cli.core.metrics import score
from vaa_cli.core.optimisation import make_schedule
from vaa_cli.core.prepared import Origin, Prepared, read_prepared, write_prepared
from vaa_cli.core.splits import assign_splits
from vaa_cli.core.training import Validation, train
from vaa_cli.core.training_events import EpochReport, Finished, Started, StepReport
from vaa_cli.core.training_options import RECIPES, TrainingOptions

OPTIONS = TrainingOptions(
    backbone="resnet18", weights="none", image_size=(32, 32), hidden=8, workers=0, batch_size=8,
    precision="fp32", device="cpu",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("training")
    table = csv_format.read(make_dataset(folder / "dataset", count=25, split=False))
    table = replace(table, splits=assign_splits(table))
    write_prepared(folder / "prepared", table, Origin("figures", "csv"))
    return read_prepared(folder / "prepared")


@pytest.fixture
def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RECIPES["paper"].lr)


def test_paper_recipe_divides_the_rate_after_ten_flat_epochs_three_times(
    optimizer: torch.optim.Optimizer,
) -> None:
    schedule = make_schedule(optimizer, RECIPES["paper"], steps_per_epoch=5, warmup_share=0.05)
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
    schedule = make_schedule(optimizer, RECIPES["paper"], steps_per_epoch=5, warmup_share=0.05)
    assert isinstance(schedule, ReduceLROnPlateau)
    for epoch in range(50):
        schedule.step(0.5 + 1e-7 * epoch)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_default_recipe_warms_up_and_follows_a_cosine(optimizer: torch.optim.Optimizer) -> None:
    recipe = replace(RECIPES["default"], epochs=10)
    top = optimizer.param_groups[0]["lr"]
    schedule = make_schedule(optimizer, recipe, steps_per_epoch=20, warmup_share=0.05)
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
    events = list(train(data, replace(OPTIONS, epochs=2), tmp_path / "run"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    steps = [event for event in events if isinstance(event, StepReport)]
    epochs = [event for event in events if isinstance(event, EpochReport)]
    assert [event.epoch for event in epochs] == [1, 2]
    size = len(data.splits["train"])
    assert events[0].steps == size // 8 + (size % 8 > 1)
    # An epoch's last report is of the same losses as its row.
    last = [event for event in steps if event.epoch == 2][-1]
    assert {name: epochs[1].row[name] for name in last.losses} == last.losses


def judgements(values: list[tuple[float, float]]) -> Iterator[Validation]:
    """What validation gives, epoch by epoch, for mA and loss."""
    base = score(np.array([[0.9], [0.1]]), np.array([[1], [0]]))
    for value, loss in values:
        scores = replace(base, totals=replace(base.totals, mean_accuracy=value))
        yield Validation(scores, loss, {})


@pytest.mark.parametrize(
    ("values", "best", "epochs"),
    [
        # Neither score nor loss gets better after the first epoch.
        ([(0.6, 1.0)] + [(0.5, 1.0)] * 9, 1, 4),
        # The score stands still while the loss falls: no reason to stop.
        ([(0.5, 1.0 - 0.05 * i) for i in range(10)], 1, 10),
        # The score rises late.
        ([(0.5, 1.0), (0.5, 1.0), (0.6, 1.0), *[(0.5, 1.0)] * 7], 3, 6),
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
    monkeypatch.setattr(training, "validate", lambda *_: next(turns))
    *_, finished = train(data, replace(OPTIONS, epochs=10, patience=3), tmp_path / "run")
    assert isinstance(finished, Finished)
    assert finished.best_epoch == best
    assert finished.stopped_early == (epochs < 10)
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert state["progress"]["epoch"] == epochs


def test_a_loss_that_is_no_number_stops_at_once(data: Prepared, tmp_path: Path) -> None:
    with pytest.raises(VAAError, match=r"no longer a number in epoch 1, step \d+ \(pictures: "):
        list(train(data, replace(OPTIONS, epochs=3, lr=1e30), tmp_path / "run"))


def test_val_that_cannot_be_scored_is_refused(data: Prepared, tmp_path: Path) -> None:
    one = {**data.splits, "val": data.splits["val"].select([0])}
    with pytest.raises(VAAError, match="no attribute can be scored"):
        list(train(replace(data, splits=one), replace(OPTIONS, epochs=1), tmp_path / "run"))


def test_one_picture_is_not_enough(data: Prepared, tmp_path: Path) -> None:
    one = {**data.splits, "train": data.splits["train"].select([0])}
    with pytest.raises(VAAError, match="1 training pictures"):
        list(train(replace(data, splits=one), OPTIONS, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
