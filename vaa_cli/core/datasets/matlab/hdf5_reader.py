"""MATLAB files of version 7.3, which are HDF5, by h5py."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.matlab.structs import UnsupportedError, mapped, structs

# Bytes of values: a file of a kilobyte can declare any number, which reading would allocate.
_LARGEST = 4 << 30


def read_variables(path: Path) -> dict[str, Any] | None:
    """The variables of a file by name, see `matlab.read_mat`; None if it is no HDF5 file."""
    if not h5py.is_hdf5(path):
        return None
    with h5py.File(path, "r") as file:
        return _HDF5Reader(file).variables()


class _HDF5Reader:
    """Turns what stands in a v7.3 file into values, each stored object once.

    Cells refer to other objects of the file, several to the same one if they like, and in a file
    made to do harm back to themselves.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._values: dict[int, Any] = {}
        self._bytes = 0

    def variables(self) -> dict[str, Any]:
        """The variables by name."""
        names = [name for name in self._file if not name.startswith("#")]
        return {name: self._value(self._child(self._file, name)) for name in names}

    def _child(self, group: h5py.Group, name: str) -> Any:
        # Other links, and data stored elsewhere, would bring in any file of this machine.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise UnsupportedError(f"a link to elsewhere ({name!r})")
        return group[name]

    def _follow(self, reference: Any) -> Any:
        return self._value(self._file[reference])

    def _value(self, item: Any) -> Any:
        address = h5py.h5o.get_info(item.id).addr
        if address not in self._values:
            self._values[address] = _Unfinished
            self._values[address] = self._convert(item)
        if self._values[address] is _Unfinished:
            raise UnsupportedError("a cell that holds itself")
        return self._values[address]

    def _convert(self, item: Any) -> Any:
        attributes = item.attrs
        kind = attributes.get("MATLAB_class", b"")
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        if "MATLAB_object_decode" in attributes or kind == "function_handle":
            raise UnsupportedError("an object of a class or a function")
        if isinstance(item, h5py.Group):
            if "MATLAB_sparse" in attributes:
                raise UnsupportedError("a sparse array")
            return self._struct(item)
        if item.external or item.is_virtual:
            raise UnsupportedError("data that is stored in another file")
        self._bytes += item.nbytes
        if self._bytes > _LARGEST:
            raise UnsupportedError(f"more than {_LARGEST:,} bytes of values")
        if "MATLAB_empty" in attributes:
            shape = tuple(int(side) for side in item[()])
            return "" if kind == "char" else np.empty(shape, object if kind == "cell" else float)
        values: NDArray[Any] = np.asarray(item[()]).T
        if kind == "char":
            rows = [row.astype("<u2").tobytes().decode("utf-16-le") for row in values]
            return rows[0] if len(rows) == 1 else np.array(rows)
        if item.dtype == h5py.ref_dtype:
            return mapped(values, self._follow)
        if values.dtype.kind not in "biuf":
            raise UnsupportedError(f"values of type {values.dtype}")
        return values

    def _struct(self, group: h5py.Group) -> Any:
        names = [_field_name(letters) for letters in group.attrs.get("MATLAB_fields", ())]
        fields = {name: self._child(group, name) for name in names or group}
        if fields and all(_is_struct_array_field(field) for field in fields.values()):
            cells = {name: field[()].T for name, field in fields.items()}
            return structs(cells, next(iter(cells.values())).shape, self._follow)
        return {name: self._value(field) for name, field in fields.items()}


class _Unfinished:
    """Stands for a value that is being read."""


def _field_name(letters: Any) -> str:
    return b"".join(bytes(letter) for letter in letters).decode()


def _is_struct_array_field(item: Any) -> bool:
    # The field of one struct has a class of its own; a cell array's is "cell".
    is_reference = isinstance(item, h5py.Dataset) and item.dtype == h5py.ref_dtype
    return is_reference and "MATLAB_class" not in item.attrs
