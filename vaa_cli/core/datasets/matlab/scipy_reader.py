"""MATLAB files of versions 5 to 7, by SciPy."""

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from vaa_cli.core.datasets.matlab.structs import UnsupportedError, mapped, structs

# Values of a variable.
_MOST = 1 << 28


def read_variables(path: Path) -> dict[str, Any]:
    """The variables of a file by name, see `matlab.read_mat`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd variables; what matters is asked for later
        _require_few(scipy.io.whosmat(str(path), appendmat=False))
        variables = scipy.io.loadmat(str(path), appendmat=False)
    return {name: _from_scipy(value) for name, value in variables.items() if name[:2] != "__"}


def _require_few(declared: Sequence[tuple[str, tuple[int, ...], str]]) -> None:
    """Check the sizes that variables declare, which an empty one can do with any."""
    for name, shape, _ in declared:
        if math.prod(shape) > _MOST:
            raise UnsupportedError(f"{math.prod(shape):,} values in {name!r}")


def _from_scipy(value: Any) -> Any:
    if isinstance(value, scipy.io.matlab.MatlabOpaque):
        raise UnsupportedError("an object of a class")
    if isinstance(value, scipy.io.matlab.MatlabFunction):
        raise UnsupportedError("a function")
    if not isinstance(value, np.ndarray):
        raise UnsupportedError(f"a {type(value).__name__}")
    if value.dtype.names is not None:
        fields = {name: value[name] for name in value.dtype.names}
        return structs(fields, value.shape, _from_scipy)
    if value.dtype.kind == "U":
        return str(value[0]) if value.size == 1 else "" if value.size == 0 else value
    if value.dtype.kind == "O":
        return mapped(value, _from_scipy)
    if value.dtype.kind not in "biufc":
        raise UnsupportedError(f"values of type {value.dtype}")
    return value
