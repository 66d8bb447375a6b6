"""Whether attention lands on regions, scored against arithmetic done another way."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.evaluation.pointing_game import Region, hits, is_near, mass_inside, score_pointing


def box_of(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    inside = np.zeros((height, width), dtype=bool)
    inside[top:bottom, left:right] = True
    return inside


def test_the_tolerance_is_fifteen_pixels_at_224() -> None:
    near = is_near(box_of(224, 224, 100, 100, 110, 110))
    assert near[85, 100] and not near[84, 100]
    assert near[100, 124] and not near[100, 125]
    corner = [(i, j) for i in range(1, 20) for j in range(1, 20) if near[109 + i, 109 + j]]
    assert corner == [(i, j) for i in range(1, 20) for j in range(1, 20) if math.hypot(i, j) <= 15]


def test_the_tolerance_follows_the_shorter_side() -> None:
    near = is_near(box_of(448, 112, 0, 50, 10, 51))
    assert near[9 + 7, 50] and not near[9 + 8, 50]


@settings(deadline=None)
@given(data=st.data())
def test_distances_to_the_nearest_pixel(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 30))
    seed = data.draw(st.integers(0, 2**32 - 1))
    inside = np.random.default_rng(seed).random((height, width)) < data.draw(st.floats(0, 0.2))
    points = np.argwhere(inside)
    near = is_near(inside)
    for y in range(height):
        for x in range(width):
            distance = min((math.dist((y, x), point) for point in points), default=math.inf)
            assert near[y, x] == (distance <= 15 / 224 * min(height, width))


def test_the_maximum_is_in_the_middle_of_its_cell() -> None:
    heat = np.zeros((7, 7))
    heat[2, 5] = 1  # rows 64 to 96, columns 160 to 192 of 224
    near = np.zeros((224, 224), dtype=bool)
    near[80, 176] = True
    assert hits(heat, near) == 1
    assert hits(heat, ~near) == 0


def test_equal_maxima_share_the_hit() -> None:
    heat = np.array([[0.0, 2.0], [2.0, 2.0]])
    near = box_of(8, 8, 0, 4, 4, 8)  # the first of the three
    assert hits(heat, near) == pytest.approx(1 / 3)


@settings(deadline=None)
@given(
    cells=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    pixels=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32 - 1),
)
def test_mass_against_a_finer_picture(
    cells: tuple[int, int], pixels: tuple[int, int], seed: int
) -> None:
    """Where cells and pixels both are whole numbers of smaller squares, adding up is enough."""
    rng = np.random.default_rng(seed)
    heat, inside = rng.random(cells), rng.random(pixels) < 0.3
    fine_heat, fine_inside = heat, inside
    for axis in (0, 1):
        fine_heat = fine_heat.repeat(pixels[axis], axis) / pixels[axis]
        fine_inside = fine_inside.repeat(cells[axis], axis)
    expected = fine_heat[fine_inside].sum() / heat.sum()
    assert mass_inside(heat, inside) == pytest.approx(expected, abs=1e-9)


def test_a_map_of_nothing_has_nothing_inside() -> None:
    assert mass_inside(np.zeros((3, 3)), np.ones((9, 9), dtype=bool)) == 0


def test_scores_are_means_over_the_places_of_an_attribute() -> None:
    top, bottom = box_of(100, 100, 0, 0, 50, 100), box_of(100, 100, 50, 0, 100, 100)
    up, down = np.array([[3.0], [1.0]]), np.array([[0.0], [1.0]])
    found = score_pointing(
        [
            (Region(0, 1, top), {"a": up, "b": down}),
            (Region(1, 1, bottom), {"a": up, "b": down}),
            (Region(1, 2, bottom), {"a": down, "b": down}),
        ],
        4,
    )
    assert found.regions.tolist() == [0, 2, 1, 0]
    assert found.maps["a"].hits[1:3].tolist() == [0.5, 1]
    assert found.maps["a"].mass[1:3] == pytest.approx([0.5, 1])
    assert found.maps["b"].mass[1:3] == pytest.approx([0.5, 1])
    for scores in (*found.maps.values(), found.uniform, found.centred):
        assert np.isnan(scores.hits[[0, 3]]).all() and np.isnan(scores.mass[[0, 3]]).all()


def test_maps_that_have_not_looked() -> None:
    inside = box_of(224, 224, 0, 0, 56, 112)
    found = score_pointing([(Region(0, 0, inside), {"even": np.ones((14, 14))})], 1)
    assert found.uniform.mass[0] == pytest.approx(0.125)
    assert found.maps["even"].mass[0] == pytest.approx(0.125)
    # The tolerated points: 71 rows of 127 columns, less the corner's few.
    assert found.uniform.hits[0] == pytest.approx(is_near(inside).mean())
    assert 0.125 < found.uniform.hits[0] < 71 * 127 / 224**2
    # The middle, pixel 112, is 57 rows below the place.
    assert found.centred.hits[0] == 0
    # Of a normal distribution cut at two deviations: half across, z from -2 to -1 down.
    phi = [0.5 * (1 + math.erf(z / math.sqrt(2))) for z in (-2, -1, 2)]
    expected = 0.5 * (phi[1] - phi[0]) / (phi[2] - phi[0])
    assert found.centred.mass[0] == pytest.approx(expected, rel=1e-3)


def test_the_middle_is_hit_where_the_place_is() -> None:
    found = score_pointing([(Region(0, 0, box_of(90, 70, 40, 30, 50, 40)), {})], 1)
    assert found.centred.hits[0] == 1
    assert found.maps == {}
