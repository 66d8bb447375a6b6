"""Joining prepared folders by the names of their attributes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import make_table
from vaa_cli.core.datasets.merge import merged_margin, merged_table
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import LabelTable


def prepared(
    folder: Path,
    labels: Sequence[Sequence[int]],
    attributes: Sequence[str],
    splits: Sequence[int],
    boxes: Sequence[Sequence[float]] | None = None,
    margin: float = 0.0,
    images: Sequence[str] | None = None,
) -> Prepared:
    """A prepared folder of a dataset in `folder/data`."""
    table = make_table(labels, images, splits, boxes, attributes, root=folder / "data")
    write_prepared(folder / "prepared", table, Origin(folder.name, "csv", box_margin=margin))
    return read_prepared(folder / "prepared")


def rows_of(table: LabelTable) -> set[tuple[object, ...]]:
    """Each row as its picture, split, and the labels by name."""
    assert table.splits is not None
    return {
        (
            str(table.path(row)),
            int(table.splits[row]),
            *sorted(zip(table.attributes, table.labels[row].tolist(), strict=True)),
        )
        for row in range(len(table))
    }


def test_rows_are_joined_by_name(tmp_path: Path) -> None:
    first = prepared(tmp_path / "a", [[1, 0], [-1, 1]], ["hat", "bag"], [0, 2])
    second = prepared(tmp_path / "b", [[0, 1], [1, -1]], ["coat", "hat"], [0, 1])
    table = merged_table([first, second])
    assert table.attributes == ("hat", "bag", "coat")
    assert not Path(str(table.root)).is_absolute() or table.root == tmp_path
    a, b = tmp_path / "a" / "data", tmp_path / "b" / "data"
    assert rows_of(table) == {
        (str(a / "0.png"), 0, ("bag", 0), ("coat", -1), ("hat", 1)),
        (str(a / "1.png"), 2, ("bag", 1), ("coat", -1), ("hat", -1)),
        (str(b / "0.png"), 0, ("bag", -1), ("coat", 0), ("hat", 1)),
        (str(b / "1.png"), 1, ("bag", -1), ("coat", 1), ("hat", -1)),
    }
    assert table.boxes is None


def test_what_was_joined_can_be_written_and_read(tmp_path: Path) -> None:
    first = prepared(tmp_path / "a", [[1], [0]], ["hat"], [0, 2])
    second = prepared(tmp_path / "b", [[0, 1]], ["coat", "hat"], [0])
    table = merged_table([first, second])
    write_prepared(tmp_path / "joined", table, Origin("a + b", "merged"))
    joined = read_prepared(tmp_path / "joined")
    assert {str(joined.splits["train"].path(row)) for row in range(2)} == {
        str(tmp_path / "a" / "data" / "0.png"), str(tmp_path / "b" / "data" / "0.png")
    }  # fmt: skip
    assert joined.attributes == ("hat", "coat")
    assert joined.priors.positives.tolist() == [2, 0]
    assert joined.priors.unspecified.tolist() == [0, 1]


def test_three_folders_of_which_two_share_a_name(tmp_path: Path) -> None:
    folders = [
        prepared(tmp_path / name, [[1]], [attribute], [0])
        for name, attribute in (("a", "hat"), ("b", "coat"), ("c", "hat"))
    ]
    assert merged_table(folders).attributes == ("hat", "coat")


def test_boxes_of_some(tmp_path: Path) -> None:
    first = prepared(tmp_path / "a", [[1], [0]], ["hat"], [0, 0], [[1, 2, 3, 4], [math.nan] * 4])
    second = prepared(tmp_path / "b", [[1]], ["hat"], [0])
    table = merged_table([first, second])
    boxes = {str(Path(table.path(row)).relative_to(tmp_path)): table.box(row) for row in range(3)}
    assert boxes == {"a/data/0.png": (1, 2, 3, 4), "a/data/1.png": None, "b/data/0.png": None}


def test_folders_of_one_dataset(tmp_path: Path) -> None:
    """Two parts of the same pictures, each with attributes of its own."""
    root = tmp_path / "data"
    folders = []
    for name, images in (("a", ["x.png"]), ("b", ["y.png", "sub/z.png"])):
        table = make_table([[1]] * len(images), images, [0] * len(images), root=root)
        write_prepared(tmp_path / name, table, Origin(name, "csv"))
        folders.append(read_prepared(tmp_path / name))
    table = merged_table(folders)
    assert table.root == root and table.row_images == ["x.png", "y.png", "sub/z.png"]


def test_nothing_in_common(tmp_path: Path) -> None:
    first = prepared(tmp_path / "a", [[1]], ["hat"], [0])
    second = prepared(tmp_path / "b", [[1]], ["Hat"], [0])
    with pytest.raises(VAAError, match=r"no attribute in common.*hat.*Hat.*`attributes`"):
        merged_table([first, second])


def test_the_same_rows_twice(tmp_path: Path) -> None:
    first = prepared(tmp_path / "a", [[1], [0]], ["hat"], [0, 2])
    with pytest.raises(VAAError, match=r"0\.png.*another folder.*2 such rows"):
        merged_table([first, first])


def test_margins(tmp_path: Path) -> None:
    box = [[1.0, 2, 3, 4]]
    first = prepared(tmp_path / "a", [[1]], ["hat"], [0], box, margin=0.25)
    second = prepared(tmp_path / "b", [[1]], ["hat"], [0], box, margin=0.25)
    third = prepared(tmp_path / "c", [[1]], ["hat"], [0], box)
    whole = prepared(tmp_path / "d", [[1]], ["hat"], [0])
    assert merged_margin([first, second]) == 0.25
    assert merged_margin([whole, first]) == 0.25  # where there are no boxes, it says nothing
    assert merged_margin([whole]) == 0
    with pytest.raises(VAAError, match=r"margins.*0\.25"):
        merged_margin([first, second, third])


def test_a_picture_in_two_splits(tmp_path: Path) -> None:
    """Two ways to prepare one dataset: the same pictures with other people in them."""
    folders = []
    for name, split, box in (("a", 0, (1, 2, 3, 4)), ("b", 2, (5, 6, 7, 8))):
        table = make_table([[1], [0]], ["x.png", f"{name}.png"], [split, 0],
                           [box, (0, 0, 4, 4)], ["hat"], tmp_path / "data")  # fmt: skip
        write_prepared(tmp_path / name, table, Origin(name, "csv"))
        folders.append(read_prepared(tmp_path / name))
    with pytest.raises(VAAError, match=r"x\.png.*1 such"):
        merged_table(folders)


def test_rows_keep_their_split(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    splits = [rng.integers(0, 3, 30).tolist() for _ in range(2)]
    folders = [
        prepared(tmp_path / name, [[i % 2] for i in range(30)], ["hat"], splits[k])
        for k, name in enumerate("ab")
    ]
    table = merged_table(folders)
    assert table.splits is not None
    for row in range(len(table)):
        path = Path(table.path(row)).relative_to(tmp_path)
        number = int(path.stem)
        assert table.splits[row] == splits["ab".index(path.parts[0])][number]
        assert table.labels[row, 0] == number % 2
