"""Structs and cell arrays, as the readers of both kinds of MATLAB files build them."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Cells of an array: an empty one can declare any number.
_MOST = 50_000_000


class UnsupportedError(Exception):
    """A value of a kind that no dataset keeps its labels in."""


def structs(fields: dict[str, Any], shape: tuple[int, ...], convert: Any) -> Any:
    """A struct as a dict, or an array of them.

    Args:
        fields: by name, an array of `shape` each.
        shape: MATLAB's; `(1, 1)` is a struct by itself.
        convert: makes a field's value of what stands in the array.
    """
    _require_few(shape)
    array = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        array[at] = {name: convert(values[at]) for name, values in fields.items()}
    return array[0, 0] if shape == (1, 1) else array


def _require_few(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > _MOST:
        raise UnsupportedError(f"{math.prod(shape):,} cells or structs")


def mapped(cells: NDArray[Any], convert: Any) -> NDArray[Any]:
    """A cell array with each cell converted."""
    _require_few(cells.shape)
    array = np.empty(cells.shape, dtype=object)
    for at in np.ndindex(cells.shape):
        array[at] = convert(cells[at])
    return array
