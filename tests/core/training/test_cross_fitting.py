"""Folds of a prepared folder: each row in one, a person's together, and the same again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.figures import make_prepared
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS
from vaa_cli.core.training.cross_fitting import make_folds, whole_table
from vaa_cli.core.training.options import TrainingOptions


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return make_prepared(tmp_path, 30, 12)


def test_each_row_is_held_out_once(data: Prepared, tmp_path: Path) -> None:
    table, folds = make_folds(data, TrainingOptions(), 4, tmp_path / "folds")
    assert len(table) == 42
    assert sorted(np.concatenate([fold.rows for fold in folds]).tolist()) == list(range(42))
    for fold in folds:
        parts = fold.run.data.splits
        held_out = [table.row_images[row] for row in fold.rows]
        assert parts["test"].row_images == held_out
        np.testing.assert_array_equal(parts["test"].labels, table.labels[fold.rows])
        assert len(parts["val"]) > 0
        names = [name for split in SPLITS for name in parts[split].row_images]
        assert sorted(names) == sorted(table.row_images)


def test_a_person_is_in_one_fold(data: Prepared, tmp_path: Path) -> None:
    table = whole_table(data)
    people = np.array([f"p{row % 9}" for row in range(len(table))], dtype=object)
    write_prepared(tmp_path / "people", replace(table, identities=people), Origin("people", "csv"))
    prepared = read_prepared(tmp_path / "people")
    table, folds = make_folds(prepared, TrainingOptions(), 3, tmp_path / "folds")
    assert table.identities is not None
    seen = [set(table.identities[fold.rows].tolist()) for fold in folds]
    assert set.union(*seen) == {f"p{k}" for k in range(9)}
    assert sum(map(len, seen)) == 9


def test_folds_stay_while_the_labels_do(data: Prepared, tmp_path: Path) -> None:
    folder = tmp_path / "folds"
    _, folds = make_folds(data, TrainingOptions(), 3, folder)
    written = [Path(str(fold.run.data.folder)) / "dataset.json" for fold in folds]
    before = [path.stat().st_mtime_ns for path in written]
    make_folds(data, TrainingOptions(), 3, folder)
    assert [path.stat().st_mtime_ns for path in written] == before
    labels = data.splits["train"].labels.copy()
    labels[0, 0] = 1 - labels[0, 0]
    changed = {**data.splits, "train": replace(data.splits["train"], labels=labels)}
    make_folds(replace(data, splits=changed), TrainingOptions(), 3, folder)
    assert all(path.stat().st_mtime_ns != old for path, old in zip(written, before, strict=True))


def test_folds_are_made_anew_where_boxes_moved(data: Prepared, tmp_path: Path) -> None:
    def boxed(left: float) -> Prepared:
        splits = {
            name: replace(part, boxes=np.full((len(part), 4), left))
            for name, part in data.splits.items()
        }
        return replace(data, splits=splits)

    make_folds(boxed(1.0), TrainingOptions(), 3, tmp_path / "folds")
    _, folds = make_folds(boxed(2.0), TrainingOptions(), 3, tmp_path / "folds")
    for fold in folds:
        boxes = fold.run.data.splits["train"].boxes
        assert boxes is not None and (boxes == 2.0).all()


def test_more_folds_than_pictures(tmp_path: Path) -> None:
    data = make_prepared(tmp_path, 3, 2)
    with pytest.raises(VAAError, match="too few pictures for 8 folds"):
        make_folds(data, TrainingOptions(), 8, tmp_path / "folds")
