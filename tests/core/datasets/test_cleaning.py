"""Rows that can be used: boxes are clipped, and what is left out is told with its reason."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.pictures import make_table
from vaa_cli.core.datasets.cleaning import Dropped, usable_rows
from vaa_cli.core.images.check import Checked

WHOLE = (np.nan,) * 4


def test_all_rows_of_a_broken_picture_are_dropped() -> None:
    table = make_table([[1], [0], [1]], ["a", "b", "a"], splits=[0, 1, 2])
    usable, dropped = usable_rows(table, ["no such file", (8, 8)])
    assert usable.row_images == ["b"] and usable.labels.tolist() == [[0]]
    assert usable.splits is not None and usable.splits.tolist() == [1]
    assert dropped == [Dropped("a", "no such file")] * 2


def test_boxes_are_clipped_and_degenerate_ones_dropped() -> None:
    boxes = [(-5, -5, 10, 10), (0.5, 1.25, 100, 100), (20, 0, 5, 5), (3, 3, 0, 5), WHOLE]
    table = make_table([[1]] * 5, ["a", "b", "a", "b", "a"], boxes=boxes)
    usable, dropped = usable_rows(table, [(20, 10), (40, 30)])
    assert usable.row_images == ["a", "b", "a"]
    assert usable.boxes is not None
    np.testing.assert_array_equal(usable.boxes, [(0, 0, 5, 5), (0.5, 1.25, 39.5, 28.75), WHOLE])
    assert [drop.image for drop in dropped] == ["a", "b"]
    assert "20 x 10" in dropped[0].reason and "(20, 0, 5, 5)" in dropped[0].reason
    assert "40 x 30" in dropped[1].reason


def test_where_nobody_looked_boxes_are_clipped_at_what_is_known() -> None:
    boxes = [(-5, -5, 10, 10), (500, 600, 10, 10), (-9, 0, 4, 4), (3, 3, -1, 4)]
    table = make_table([[1]] * 4, ["a"] * 4, boxes=boxes)
    usable, dropped = usable_rows(table, None)
    assert usable.boxes is not None
    assert usable.boxes.tolist() == [[0, 0, 5, 5], [500, 600, 10, 10]]
    assert len(dropped) == 2 and all("no area" in drop.reason for drop in dropped)


def test_a_row_that_repeats_another_is_dropped() -> None:
    """WIDER names some people twice; the CSVs that are written refuse that."""
    boxes = [(1, 2, 3, 4), (1, 2, 3, 4), (1, 2, 3, 5), (-4, 0, 8, 8), (0, 0, 4, 8)]
    table = make_table([[1], [0], [1], [1], [1]], ["a"] * 5, boxes=boxes)
    usable, dropped = usable_rows(table, [(20, 20)])
    assert usable.boxes is not None
    assert usable.boxes.tolist() == [[1, 2, 3, 4], [1, 2, 3, 5], [0, 0, 4, 8]]
    assert [drop.reason for drop in dropped] == [
        "the same picture and box as in a row before it"
    ] * 2


def test_a_broken_picture_that_stands_there_twice_is_broken() -> None:
    table = make_table([[1]] * 3, ["a", "a", "b"])
    _, dropped = usable_rows(table, ["an empty file", (4, 4)])
    assert [drop.reason for drop in dropped] == ["an empty file"] * 2


@pytest.mark.parametrize("checked", [None, [(8, 8)] * 3])
def test_nothing_to_drop(checked: list[Checked] | None) -> None:
    table = replace(make_table([[1], [0], [-1]]), identities=np.array([4, 4, 5]))
    usable, dropped = usable_rows(table, checked)
    assert dropped == []
    assert usable.row_images == table.row_images
    assert usable.identities is not None and usable.identities.tolist() == [4, 4, 5]
