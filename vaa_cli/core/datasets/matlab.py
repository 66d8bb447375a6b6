"""MATLAB files: v5 to v7 by SciPy, v7.3 (HDF5) by h5py, with the same values from either."""

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError, one_line


class _UnsupportedError(Exception):
    """A value of a kind that no dataset keeps its labels in."""


def read_mat(path: Path) -> dict[str, Any]:
    """The variables of a MATLAB file by name.

    A struct is a dict with its fields in order, an array of structs a 2-D object array of dicts,
    a cell array a 2-D object array, characters are a str, and numbers a 2-D array of MATLAB's
    shape. Values must not be changed: whoever reads the same file next gets the same ones.

    Raises:
        VAAError: it cannot be read, is no whole MATLAB file, or holds objects of classes, which
            only MATLAB can read.
    """
    try:
        status = path.stat()
        return _read(path, status.st_size, status.st_mtime_ns)
    except _UnsupportedError as error:
        raise VAAError(
            f"{path} holds {error}; save its variables as structs, cells, text and numbers"
        ) from error
    except FileNotFoundError as error:
        raise VAAError(f"{path}: no such file") from error
    except PermissionError as error:
        raise VAAError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:
        # Parsers of broken files raise anything: ValueError, TypeError, OSError, zlib.error …
        raise VAAError(
            f"{path} is no whole MATLAB file ({one_line(error)}); download it again"
        ) from error


# The last file is kept: two formats look into the same one to tell which of them it is.
@lru_cache(maxsize=1)
def _read(path: Path, size: int, mtime: int) -> dict[str, Any]:
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            return _HDF5Reader(file).variables()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd variables; what matters is asked for later
        variables = scipy.io.loadmat(str(path), appendmat=False)
    return {name: _from_scipy(value) for name, value in variables.items() if name[:2] != "__"}


def _from_scipy(value: Any) -> Any:
    if isinstance(value, scipy.io.matlab.MatlabOpaque):
        raise _UnsupportedError("an object of a class")
    if isinstance(value, scipy.io.matlab.MatlabFunction):
        raise _UnsupportedError("a function")
    if not isinstance(value, np.ndarray):
        raise _UnsupportedError(f"a {type(value).__name__}")
    if value.dtype.names is not None:
        fields = {name: value[name] for name in value.dtype.names}
        return _structs(fields, value.shape, _from_scipy)
    if value.dtype.kind == "U":
        return str(value[0]) if value.size == 1 else "" if value.size == 0 else value
    if value.dtype.kind == "O":
        return _mapped(value, _from_scipy)
    if value.dtype.kind not in "biufc":
        raise _UnsupportedError(f"values of type {value.dtype}")
    return value


class _HDF5Reader:
    """Turns what stands in a v7.3 file into values, each stored object once.

    Cells refer to other objects of the file, several to the same one if they like, and in a file
    made to do harm back to themselves.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._values: dict[int, Any] = {}

    def variables(self) -> dict[str, Any]:
        """The variables by name."""
        names = [name for name in self._file if not name.startswith("#")]
        return {name: self._value(self._child(self._file, name)) for name in names}

    def _child(self, group: h5py.Group, name: str) -> Any:
        # Other links, and data stored elsewhere, would bring in any file of this machine.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise _UnsupportedError(f"a link to elsewhere ({name!r})")
        return group[name]

    def _follow(self, reference: Any) -> Any:
        return self._value(self._file[reference])

    def _value(self, item: Any) -> Any:
        address = h5py.h5o.get_info(item.id).addr
        if address not in self._values:
            self._values[address] = _Unfinished
            self._values[address] = self._convert(item)
        if self._values[address] is _Unfinished:
            raise _UnsupportedError("a cell that holds itself")
        return self._values[address]

    def _convert(self, item: Any) -> Any:
        attributes = item.attrs
        kind = attributes.get("MATLAB_class", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if "MATLAB_object_decode" in attributes or kind == "function_handle":
            raise _UnsupportedError("an object of a class or a function")
        if isinstance(item, h5py.Group):
            if "MATLAB_sparse" in attributes:
                raise _UnsupportedError("a sparse array")
            return self._struct(item)
        if item.external or item.is_virtual:
            raise _UnsupportedError("data that is stored in another file")
        if "MATLAB_empty" in attributes:
            shape = tuple(int(side) for side in item[()])
            return "" if kind == "char" else np.empty(shape, object if kind == "cell" else float)
        values: NDArray[Any] = np.asarray(item[()]).T
        if kind == "char":
            rows = [row.astype("<u2").tobytes().decode("utf-16-le") for row in values]
            return rows[0] if len(rows) == 1 else np.array(rows)
        if item.dtype == h5py.ref_dtype:
            return _mapped(values, self._follow)
        if values.dtype.kind not in "biuf":
            raise _UnsupportedError(f"values of type {values.dtype}")
        return values

    def _struct(self, group: h5py.Group) -> Any:
        names = [_field_name(letters) for letters in group.attrs.get("MATLAB_fields", ())]
        fields = {name: self._child(group, name) for name in names or group}
        if fields and all(_is_struct_array_field(field) for field in fields.values()):
            cells = {name: field[()].T for name, field in fields.items()}
            return _structs(cells, next(iter(cells.values())).shape, self._follow)
        return {name: self._value(field) for name, field in fields.items()}


class _Unfinished:
    """Stands for a value that is being read."""


def _field_name(letters: Any) -> str:
    return b"".join(bytes(letter) for letter in letters).decode()


def _is_struct_array_field(item: Any) -> bool:
    # The field of one struct has a class of its own; a cell array's is "cell".
    is_reference = isinstance(item, h5py.Dataset) and item.dtype == h5py.ref_dtype
    return is_reference and "MATLAB_class" not in item.attrs


def _structs(fields: dict[str, Any], shape: tuple[int, ...], convert: Any) -> Any:
    array = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        array[at] = {name: convert(values[at]) for name, values in fields.items()}
    return array[0, 0] if shape == (1, 1) else array


def _mapped(cells: NDArray[Any], convert: Any) -> NDArray[Any]:
    array = np.empty(cells.shape, dtype=object)
    for at in np.ndindex(cells.shape):
        array[at] = convert(cells[at])
    return array
