"""Pictures of where a model looks: what is bright, what stays, and how a sheet is laid out."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaa_cli.core.images.overlay import attention_grid, overlay

GREY = np.full((40, 20, 3), 100, dtype=np.uint8)


def test_a_map_of_nothing_leaves_the_picture() -> None:
    assert np.array_equal(overlay(GREY, np.zeros((4, 2))), GREY)


@given(st.floats(1e-6, 1e6), st.integers(0, 3), st.integers(0, 1))
def test_the_brightest_place_is_where_the_map_is_highest(
    scale: float, row: int, column: int
) -> None:
    heat = np.zeros((4, 2))
    heat[row, column] = scale
    sheet = overlay(GREY, heat).astype(int)
    assert sheet.shape == GREY.shape
    brightness = sheet.sum(axis=2).reshape(4, 10, 2, 10).mean(axis=(1, 3))
    assert np.unravel_index(brightness.argmax(), brightness.shape) == (row, column)
    # Its scale does not matter, and far from it the picture is as it was.
    assert np.array_equal(sheet, overlay(GREY, heat / scale))
    assert np.array_equal(sheet[39 - 39 * (row > 1), 19 - 19 * (column > 0)], (100, 100, 100))


def test_higher_is_brighter() -> None:
    """On black, from nothing to the most; so that the order is told without colours too."""
    ramp = np.linspace(0, 1, 50)[None, :]
    sheet = overlay(np.zeros((1, 50, 3), dtype=np.uint8), ramp).astype(float)
    assert (np.diff(sheet.sum(axis=2)[0]) >= 0).all()


def test_a_sheet_has_a_row_a_picture() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, 32, 16), dtype=np.uint8)
    maps = rng.random((2, 5, 4, 2))
    sheet = attention_grid(pixels, maps, [4, 1])
    gap = (sheet.shape[1] - 3 * 16) // 2
    assert sheet.shape == (2 * 32 + gap, 3 * 16 + 2 * gap, 3)
    for i in range(2):
        picture, row = pixels[i].transpose(1, 2, 0), slice(i * (32 + gap), i * (32 + gap) + 32)
        assert np.array_equal(sheet[row, :16], picture)
        for j, c in enumerate((4, 1), start=1):
            cell = sheet[row, j * (16 + gap) : j * (16 + gap) + 16]
            assert np.array_equal(cell, overlay(picture, maps[i, c]))
