"""Labels cover neither points nor each other, and stay inside the chart."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.reports.label_placement import Rectangle, place_labels

BOUNDS = Rectangle(0, 0, 300, 200)
points = st.tuples(st.floats(4, 296), st.floats(4, 196))


def area_in_common(one: Rectangle, other: Rectangle) -> float:
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(across, 0) * max(down, 0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(points, st.floats(5, 120)), max_size=25))
def test_nothing_is_covered(labelled: list[tuple[tuple[float, float], float]]) -> None:
    centres = [centre for centre, _ in labelled]
    sizes = [(width, 13.0) for _, width in labelled]
    labels = place_labels(centres, sizes, 4, BOUNDS)
    assert len(labels) == len(labelled)
    placed = [label for label in labels if label is not None]
    for label, size in zip(labels, sizes, strict=True):
        if label is None:
            continue
        assert abs(label.right - label.left - size[0]) < 1e-6
        assert label.left >= 0 and label.right <= 300 and label.top >= 0 and label.bottom <= 200
        for x, y in centres:
            assert area_in_common(label, Rectangle(x - 4, y - 4, x + 4, y + 4)) < 1e-6
    assert all(area_in_common(one, other) < 1e-6 for one, other in combinations(placed, 2))


def test_a_lone_label_is_beside_its_point() -> None:
    (label,) = place_labels([(100, 100)], [(50, 13)], 4, BOUNDS)
    assert label is not None and 104 <= label.left <= 110 and label.top < 100 < label.bottom
    (label,) = place_labels([(290, 100)], [(50, 13)], 4, BOUNDS)  # no room on the right
    assert label is not None and 280 <= label.right <= 286


def test_where_there_is_no_room_there_is_no_label() -> None:
    labels = place_labels([(150, 100)] * 60, [(100, 13)] * 60, 4, BOUNDS)
    assert labels[0] is not None and labels[-1] is None
    assert place_labels([(150, 100)], [(400, 13)], 4, BOUNDS) == [None]
