"""Structs and cell arrays, as the readers of both kinds of MATLAB files build them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class UnsupportedError(Exception):
    """A value of a kind that no dataset keeps its labels in."""


def structs(fields: dict[str, Any], shape: tuple[int, ...], convert: Any) -> Any:
    """A struct as a dict, or an array of them.

    Args:
        fields: by name, an array of `shape` each.
        shape: MATLAB's; `(1, 1)` is a struct by itself.
        convert: makes a field's value of what stands in the array.
    """
    array = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        array[at] = {name: convert(values[at]) for name, values in fields.items()}
    return array[0, 0] if shape == (1, 1) else array


def mapped(cells: NDArray[Any], convert: Any) -> NDArray[Any]:
    """A cell array with each cell converted."""
    array = np.empty(cells.shape, dtype=object)
    for at in np.ndindex(cells.shape):
        array[at] = convert(cells[at])
    return array
