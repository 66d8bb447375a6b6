"""MATLAB files as MATLAB writes them, and what the tests of their readers check.

One description of a value serves every form of file: a dict is a struct, `Structs` a row of structs
with the same fields, a list a column of cells, a 2-D object array a cell array of that shape, a str
a row of characters, and any other array numbers.
"""

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import LabelTable

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Structs:
    """A 1 x n array of structs, n other than 1, all with the same fields in the same order."""

    elements: tuple[dict[str, Any], ...]


Value: TypeAlias = dict[str, Any] | list[Any] | str | Array | Structs


def cells(values: Sequence[Any], shape: tuple[int, int] | None = None) -> Array:
    """A cell array of the values in row-major order; a column where no shape is given."""
    array = np.empty(shape or (len(values), 1), dtype=object)
    for at, value in zip(np.ndindex(array.shape), values, strict=True):
        array[at] = value
    return array


def row_of(values: Sequence[Any]) -> Array:
    """A 1 x n cell array."""
    return cells(values, (1, len(values)))


# v5 and v7


def _for_scipy(value: Value) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return {name: _for_scipy(field) for name, field in value.items()}
    if isinstance(value, Structs):
        array = np.empty(
            (1, len(value.elements)), dtype=[(name, object) for name in value.elements[0]]
        )
        for position, element in enumerate(value.elements):
            for name, field in element.items():
                array[name][0, position] = _for_scipy(field)
        return array
    if isinstance(value, list):
        value = cells(value)
    if value.dtype == object:
        return cells([_for_scipy(cell) for cell in value.ravel()], (value.shape[0], value.shape[1]))
    return value


def save_mat(path: Path, **variables: object) -> Path:
    """Save variables as SciPy takes them (v5)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, variables)
    return path


def write_v5(path: Path, variables: Mapping[str, Value]) -> Path:
    """What `save -v6` writes."""
    plain = {name: _for_scipy(value) for name, value in variables.items()}
    savemat(path, plain, appendmat=False)
    return path


def write_v7(path: Path, variables: Mapping[str, Value]) -> Path:
    """What `save -v7` writes: v5 with each variable compressed."""
    plain = {name: _for_scipy(value) for name, value in variables.items()}
    savemat(path, plain, appendmat=False, do_compression=True)
    return path


# v7.3

USER_BLOCK = 512
# MATLAB's names of classes where NumPy's is another.
CLASSES = {"float64": "double", "float32": "single", "bool": "logical"}
CHARACTER, LOGICAL = 2, 1  # MATLAB_int_decode


class _HDF5:
    """Writes values into an open v7.3 file."""

    def __init__(self, file: h5py.File) -> None:
        self.file = file
        self.count = 0

    def refer(self, value: Value) -> h5py.Reference:
        """Store a value in `#refs#`, under the names a, b, …, z, aa, ab, …"""
        name, number = "", self.count
        while not name or number >= 0:
            name = string.ascii_lowercase[number % 26] + name
            number = number // 26 - 1
        self.count += 1
        references = self.file.require_group("#refs#")
        self.store(references, name, value)
        references[name].attrs["H5PATH"] = np.bytes_(f"/#refs#/{name}")
        return references[name].ref

    def references(self, group: h5py.Group, name: str, values: Array) -> h5py.Dataset:
        """Store a 2-D array of values as references, transposed as all arrays are."""
        found = np.empty(values.T.shape, dtype=h5py.ref_dtype)
        for at in np.ndindex(found.shape):
            found[at] = self.refer(values.T[at])
        return group.create_dataset(name, data=found, dtype=h5py.ref_dtype)

    def empty(self, group: h5py.Group, name: str, shape: Sequence[int]) -> h5py.Dataset:
        """An array without elements is stored as its shape."""
        stored = group.create_dataset(name, data=np.array(shape, dtype=np.uint64))
        stored.attrs["MATLAB_empty"] = np.uint8(1)
        return stored

    def store(self, group: h5py.Group, name: str, value: Value) -> None:
        """Store any value under a name in a group."""
        stored: Any
        if isinstance(value, dict | Structs):
            stored = group.create_group(name)
            kind = "struct"
            if isinstance(value, dict):
                fields = list(value)
                for field in fields:
                    self.store(stored, field, value[field])
            else:
                fields = list(value.elements[0])
                for field in fields:
                    column = row_of([element[field] for element in value.elements])
                    self.references(stored, field, column)
            letters = np.empty(len(fields), dtype=object)
            for position, field in enumerate(fields):
                letters[position] = np.array([letter.encode() for letter in field], dtype="S1")
            stored.attrs.create(
                "MATLAB_fields", letters, dtype=h5py.vlen_dtype(np.dtype("S1")), shape=letters.shape
            )
        elif isinstance(value, str):
            kind = "char"
            units = np.frombuffer(value.encode("utf-16-le"), dtype=np.uint16)
            if len(units):
                stored = group.create_dataset(name, data=units[:, None])
            else:
                stored = self.empty(group, name, (0, 0))
            stored.attrs["MATLAB_int_decode"] = np.int32(CHARACTER)
        else:
            array = cells(value) if isinstance(value, list) else value
            kind = CLASSES.get(array.dtype.name, array.dtype.name)
            if array.dtype == object:
                kind = "cell"
            if array.size == 0:
                stored = self.empty(group, name, array.shape)
            elif kind == "cell":
                stored = self.references(group, name, array)
            elif array.size == 1:
                stored = group.create_dataset(name, data=_stored_numbers(array))
            else:  # MATLAB compresses all but the smallest arrays
                stored = group.create_dataset(
                    name, data=_stored_numbers(array), chunks=True, compression="gzip"
                )
            if kind == "logical":
                stored.attrs["MATLAB_int_decode"] = np.int32(LOGICAL)
        stored.attrs["MATLAB_class"] = np.bytes_(kind)


def _stored_numbers(array: Array) -> Array:
    numbers = array.T
    return numbers.astype(np.uint8) if numbers.dtype == bool else numbers


def stamp_v73(path: Path) -> Path:
    """Write MATLAB's header into the user block of an HDF5 file that has room for it."""
    text = (
        b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: "
        b"Tue Nov 24 12:00:00 2026 HDF5 schema 1.00 ."
    )
    header = text.ljust(116) + bytes(8) + b"\x00\x02IM"
    with path.open("r+b") as file:
        file.write(header.ljust(USER_BLOCK, b"\x00"))
    return path


def write_v73(path: Path, variables: Mapping[str, Value]) -> Path:
    """What `save -v7.3` writes."""
    with h5py.File(path, "w", userblock_size=USER_BLOCK) as file:
        writer = _HDF5(file)
        for name, value in variables.items():
            writer.store(file, name, value)
    return stamp_v73(path)


FORMS: dict[str, Callable[[Path, Mapping[str, Value]], Path]] = {
    "v5": write_v5,
    "v7": write_v7,
    "v7.3": write_v73,
}

every_form = pytest.mark.parametrize("form", FORMS)


def write_mat(path: Path, form: str, variables: Mapping[str, Value]) -> Path:
    """Write the variables in one of the `FORMS`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return FORMS[form](path, variables)


# What is no MATLAB file, or a broken one


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def cut(path: Path, share: float) -> Path:
    """Leave only the first bytes of a file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


def _element(kind: int, content: bytes) -> bytes:
    """A data element of a v5 file: type, length, the content padded to 8 bytes."""
    padded = content.ljust(-(-len(content) // 8) * 8, b"\x00")
    size = len(padded) if kind == MATRIX else len(content)
    return np.array([kind, size], dtype="<u4").tobytes() + padded


INT8, INT32, UINT32, MATRIX = 1, 5, 6, 14  # types of data elements
CELL_CLASS, OPAQUE_CLASS = 1, 17


def write_v5_opaque(path: Path, name: str) -> Path:
    """A v5 file whose variable is a cell that holds an object of a class (an opaque value)."""
    number = np.zeros((1, 1))
    savemat(path, {"x": number}, appendmat=False)
    whole = path.read_bytes()
    header, inner = whole[:128], whole[128:]
    opaque = _element(
        MATRIX,
        _element(UINT32, np.array([OPAQUE_CLASS, 0], dtype="<u4").tobytes())
        + b"".join(_element(INT8, text) for text in (b"object", b"MCOS", b"string"))
        + inner,
    )
    cell = _element(
        MATRIX,
        _element(UINT32, np.array([CELL_CLASS, 0], dtype="<u4").tobytes())
        + _element(INT32, np.array([1, 1], dtype="<i4").tobytes())
        + _element(INT8, name.encode())
        + opaque,
    )
    path.write_bytes(header + cell)
    return path


# What the tests of several readers check


def random_labels(
    rng: np.random.Generator, rows: int, columns: int, values: Sequence[int] = (0, 1)
) -> Array:
    """`[rows x columns]` of the values."""
    return rng.choice(np.array(values), (rows, columns))


def vector(indices: Sequence[int], axis: int = 0, dtype: Any = np.float64) -> Array:
    """Indices as MATLAB keeps them: a column (axis 0) or a row (axis 1)."""
    column = np.array(indices, dtype=dtype)[:, None]
    return column if axis == 0 else column.T


Parts: TypeAlias = dict[str, list[Any]]


def random_partitions(names: Sequence[str], rows: int, left_out: int = 0) -> list[Parts]:
    """Five partitions into parts with 1-based rows in no order; each leaves out other rows."""
    rng = np.random.default_rng(rows)
    orders = [(rng.permutation(rows) + 1)[left_out:] for _ in range(5)]
    bounds = [(rows - left_out) * share // 10 for share in (5, 7)][: len(names) - 1]
    return [
        {name: part.tolist() for name, part in zip(names, np.split(order, bounds), strict=True)}
        for order in orders
    ]


def with_row(partitions: Sequence[Parts], number: int, name: str, row: Any) -> list[Parts]:
    """The same partitions, with one more row in a part of one of them."""
    changed = [dict(parts) for parts in partitions]
    changed[number][name] = [*changed[number][name], row]
    return changed


def part_structs(
    partitions: Sequence[Parts], axis: int = 0, dtype: Any = np.float64, ending: str = ""
) -> list[dict[str, Value]]:
    """Each partition as a struct, whose fields are the parts' names with an ending."""
    return [
        {name + ending: vector(rows, axis, dtype) for name, rows in parts.items()}
        for parts in partitions
    ]


def wrong_indices(rows: int) -> pytest.MarkDecorator:
    """Indices that name none of so many rows, and the types that they are stored in."""
    wrong = [
        (0, np.uint8), (0, np.float64), (-1, np.int16), (rows + 1, np.uint8),
        (rows + 1, np.float64), (1.5, np.float64), (np.nan, np.float64), (np.inf, np.float64),
    ]  # fmt: skip
    return pytest.mark.parametrize("index, dtype", wrong)


# A row or a column of indices, in the types that MATLAB stores them in.
kinds_of_indices = pytest.mark.parametrize(
    "axis, dtype", [(0, np.float64), (1, np.uint8), (0, np.uint64), (1, np.int16)]
)


def assert_table(
    table: LabelTable,
    root: Path,
    images: Sequence[str],
    attributes: Sequence[str],
    labels: Array,
    splits: Sequence[str] | None,
    benchmark: Sequence[str] | None,
) -> None:
    """The table is exactly this, of the types that tables have, without people or boxes."""
    assert table.root == root
    assert table.row_images == list(images)
    assert all(type(image) is str for image in table.row_images)
    assert table.attributes == tuple(attributes)
    assert all(type(name) is str for name in table.attributes)
    assert table.labels.dtype == np.int8
    np.testing.assert_array_equal(table.labels, labels)
    if splits is None:
        assert table.splits is None
    else:
        assert table.splits is not None and table.splits.dtype == np.int8
        assert [("train", "val", "test")[split] for split in table.splits] == list(splits)
    assert table.benchmark == (None if benchmark is None else tuple(benchmark))
    assert table.identities is None
    assert table.boxes is None


def assert_refused(root: Path, call: Callable[[], object], *parts: object) -> None:
    """The call ends with a VAAError of one line that has all the parts, each as a word."""
    with pytest.raises(VAAError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    text = message.replace(str(root), "ROOT")  # its numbers are none that the test looks for
    for part in parts:
        assert re.search(rf"(?<!\w){re.escape(str(part))}(?!\w)", text), (part, text)
