"""Boxes: clipped to their pictures, with context around them, one at a time and all at once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.errors import PictureError
from vaa_cli.core.labels.boxes import Box, clip_boxes, crop_region, no_area

PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)

OUTSIDE = [
    Box(20, 0, 5, 5), Box(0, 10, 5, 5), Box(-5, 0, 5, 5), Box(0, -5, 5, 5), Box(500, 500, 5, 5),
    Box(3, 3, 0, 5), Box(3, 3, 5, 0), Box(8, 3, -4, 5), Box(3, 8, 5, -4), Box(3, 3, 0.2, 5),
]  # fmt: skip

sides = st.floats(-60, 60)
boxes = st.builds(Box, sides, sides, sides, sides)
margins = st.floats(0, 2)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box(2, 3, 5, 4), (2, 3, 7, 7)),
        (Box(0, 0, 20, 10), (0, 0, 20, 10)),
        (Box(-5, -5, 100, 100), (0, 0, 20, 10)),
        (Box(15, 8, 10, 10), (15, 8, 20, 10)),
        (Box(1.6, 2.4, 3.0, 3.0), (2, 2, 5, 5)),
        (Box(19, 9, 1, 1), (19, 9, 20, 10)),
    ],
)
def test_a_box_is_clipped_to_the_picture(box: Box, expected: tuple[int, int, int, int]) -> None:
    assert crop_region(box, 20, 10) == expected
    clipped, has_area = clip_boxes(np.array([box]), np.array([[20.0, 10.0]]))
    assert has_area.all()
    left, top, right, bottom = expected
    edges = np.round([*clipped[0, :2], *(clipped[0, :2] + clipped[0, 2:])])
    assert edges.tolist() == [left, top, right, bottom]


@pytest.mark.parametrize("box", OUTSIDE, ids=str)
def test_boxes_with_nothing_in_the_picture(box: Box) -> None:
    with pytest.raises(PictureError, match="20 x 10"):
        crop_region(box, 20, 10)
    _, has_area = clip_boxes(np.array([box]), np.array([[20.0, 10.0]]))
    assert has_area.tolist() == [False]
    assert str(box) in no_area(box, 20, 10)


@PROPERTY
@given(box=boxes, width=st.integers(1, 40))
def test_what_is_clipped_lies_in_the_picture_and_the_box(box: Box, width: int) -> None:
    try:
        left, top, right, bottom = crop_region(box, width, 30)
    except PictureError:
        # At most a rounded sliver of it can be inside.
        across = min(width, box.left + box.width) - max(0, box.left)
        down = min(30, box.top + box.height) - max(0, box.top)
        assert across <= 1 or down <= 1
    else:
        assert 0 <= left < right <= width and 0 <= top < bottom <= 30
        assert left >= box.left - 0.5 and right <= box.left + box.width + 0.5
        assert top >= box.top - 0.5 and bottom <= box.top + box.height + 0.5


# Context


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(0.0, (8, 4, 12, 6)), (0.5, (6, 3, 14, 7)), (1.0, (4, 2, 16, 8)), (9.0, (0, 0, 20, 10))],
)
def test_context_on_each_side(margin: float, expected: tuple[int, int, int, int]) -> None:
    assert crop_region(Box(8, 4, 4, 2), 20, 10, margin) == expected


def test_context_is_measured_on_what_the_picture_shows() -> None:
    # 4 of 40 pixels are inside: half of 4 is added, not half of 40.
    assert crop_region(Box(-36, 0, 40, 10), 20, 10, 0.5) == (0, 0, 6, 10)


@PROPERTY
@given(box=boxes, margin=margins)
def test_context_holds_the_box_and_ends_with_the_picture(box: Box, margin: float) -> None:
    try:
        bare = crop_region(box, 40, 30)
    except PictureError:
        with pytest.raises(PictureError):
            crop_region(box, 40, 30, margin)
        return
    wide = crop_region(box, 40, 30, margin)
    assert 0 <= wide[0] <= bare[0] and bare[2] <= wide[2] <= 40
    assert 0 <= wide[1] <= bare[1] and bare[3] <= wide[3] <= 30


# All at once


@PROPERTY
@given(st.lists(st.tuples(boxes, st.integers(1, 40), st.integers(1, 40)), min_size=1))
def test_all_at_once_is_one_after_the_other(rows: list[tuple[Box, int, int]]) -> None:
    given_boxes = np.array([box for box, _, _ in rows])
    sizes = np.array([[width, height] for _, width, height in rows], dtype=np.float64)
    clipped, has_area = clip_boxes(given_boxes, sizes)
    for (box, width, height), inside, area in zip(rows, clipped.tolist(), has_area, strict=True):
        try:
            region = crop_region(box, width, height)
        except PictureError:
            assert not area
            continue
        assert area
        assert crop_region(Box(*inside), width, height) == region
        assert inside[0] >= 0 and inside[0] + inside[2] <= width + 1e-9


def test_the_whole_picture_stays_whole() -> None:
    whole = np.full((1, 4), math.nan)
    clipped, has_area = clip_boxes(whole, np.array([[20.0, 10.0]]))
    assert np.isnan(clipped).all() and has_area.all()


def test_pictures_of_unknown_size_end_nowhere_but_begin_at_zero() -> None:
    rows = np.array([[-4.0, -2, 10, 10], [5, 5, 0, 3], [1e6, 0, 3, 3], [-9, 0, 3, 3]])
    clipped, has_area = clip_boxes(rows, np.full((4, 2), np.inf))
    assert has_area.tolist() == [True, False, True, False]
    assert clipped[0].tolist() == [0, 0, 6, 8]
    assert "inside" not in no_area(Box(5, 5, 0, 3), math.inf, math.inf)
