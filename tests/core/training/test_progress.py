"""Counting epochs, losses and broken pictures."""

import json
import math

import pytest

from tests.helpers.pictures import make_table
from vaa_cli.core.training.progress import EpochSums, Progress
from vaa_cli.core.training.recipes import Recipe

RECIPE = Recipe(
    "adamw", epochs=9, batch_size=8, lr=1e-3, weight_decay=0.0, patience=2, augment="none"
)


def end(progress: Progress, score: float, loss: float) -> bool:
    return progress.end_epoch({"epoch": progress.epoch + 1, "val_loss": loss}, [score])


def test_the_best_epoch_and_patience() -> None:
    progress = Progress()
    assert end(progress, 0.5, 1.0)
    assert end(progress, 0.5, 0.9)  # of equal scores, that with the lower loss
    assert not end(progress, 0.5, 0.9)
    assert not progress.out_of_patience(RECIPE)
    assert not end(progress, 0.4, 0.8)  # a lower loss is progress, too
    assert not progress.is_over(RECIPE)
    assert not end(progress, 0.4, 0.95)
    assert not progress.out_of_patience(RECIPE)
    assert not end(progress, 0.4, 0.95)
    assert progress.out_of_patience(RECIPE) and progress.is_over(RECIPE)
    assert (progress.best.epoch, progress.best.score) == (2, 0.5)
    assert [row["epoch"] for row in progress.log] == [1, 2, 3, 4, 5, 6]


def test_the_best_is_the_better_of_the_weights_and_their_average() -> None:
    progress = Progress()
    found = []
    for score, average in ((0.6, 0.4), (0.5, 0.7), (0.7, 0.6), (0.6, 0.7)):
        row = {"val_loss": 1.0, "ema_val_loss": 1.0}
        is_best = progress.end_epoch(row, [score, average])
        found.append((is_best, progress.best.epoch, progress.best.is_average))
    # The third and fourth are no better than the second.
    assert found == [(True, 1, False), (True, 2, True), (False, 2, True), (False, 2, True)]
    assert (progress.best.score, progress.best.prefix) == (0.7, "ema_val_")


def test_it_comes_back_from_its_state() -> None:
    progress = Progress(step=3)
    progress.sums = EpochSums(0.1, {"loss": 0.0})
    progress.sums.add({"loss": 6.0}, 4)
    progress.met("a.jpg", "train", "gone")
    end(progress, 0.5, 1.0)
    state = json.loads(json.dumps(progress.state_dict()))
    assert Progress.from_state(state) == progress


def test_means_are_over_images() -> None:
    sums = EpochSums(0.1, {"loss": 0.0})
    assert math.isnan(sums.means()["loss"])
    sums.add({"loss": 6.0}, 4)
    sums.add({"loss": 2.0}, 1)
    assert sums.means()["loss"] == pytest.approx(8 / 5)


def test_the_first_broken_pictures_are_reported_and_all_are_counted() -> None:
    table = make_table([[1]] * 9)
    progress = Progress()
    first = list(progress.note_broken(table, "train", dict.fromkeys(range(9), "gone")))
    assert len(first) == 6
    assert "another stands in" in first[0].message
    assert "more are only in faults.csv" in first[-1].message
    assert list(progress.note_broken(table, "train", {0: "gone"})) == []
    assert len(progress.faults) == 9
    assert progress.faults[0].times == 2
