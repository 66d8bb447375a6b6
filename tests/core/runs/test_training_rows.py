"""Which rows of a dataset a run was trained on."""

import json
from pathlib import Path

import numpy as np
import pytest

from vaa_cli.core.runs.training_rows import read_training_rows, table_rows, write_training_rows

IMAGES = ["a.jpg", 'b, with "marks".jpg', "人/c.jpg", "a.jpg"]
BOXES = np.array([[0.5, 1, 2, 3], [np.nan] * 4, [1, 1, 1, 1], [9, 8, 7, 1 / 3]])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    dataset = {"name": "people", "root": str(tmp_path / "pictures")}
    (tmp_path / "config.json").write_text(json.dumps({"dataset": dataset}))
    write_training_rows(tmp_path, table_rows(IMAGES, BOXES))
    return tmp_path


def test_rows_come_back_with_their_boxes(run: Path) -> None:
    rows = read_training_rows(run, "people", run)
    assert rows == set(table_rows(IMAGES, BOXES)) and len(rows) == 4
    # The same picture with another box is another person.
    other = table_rows(["a.jpg", 'b, with "marks".jpg'], np.array([[0, 1, 2, 3], [np.nan] * 4]))
    assert [row in rows for row in other] == [False, True]


def test_another_dataset_may_have_the_same_names(run: Path) -> None:
    assert read_training_rows(run, "renamed", run / "pictures")  # but its pictures are the same
    assert not read_training_rows(run, "others", run / "elsewhere")


@pytest.mark.parametrize("broken", ["config.json", "train_rows.csv"])
def test_a_run_that_does_not_know(run: Path, broken: str) -> None:
    (run / broken).unlink()
    assert read_training_rows(run, "people", run) == set()
