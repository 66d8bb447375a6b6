"""MATLAB files: the same values whichever form they have, and one line for what is none."""

import pickle
import struct
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.matlab_files import (
    USER_BLOCK,
    Array,
    Bomb,
    Structs,
    Value,
    assert_refused,
    cells,
    cut,
    every_form,
    row_of,
    stamp_v73,
    vector,
    write_mat,
    write_v5_opaque,
    write_v73,
)
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError


def assert_same(found: Any, value: Value) -> None:
    """The reader gives a value as what it promises: dicts, 2-D object arrays, str, 2-D arrays."""
    if isinstance(value, str):
        assert type(found) is str
        assert found == value
    elif isinstance(value, dict):
        assert type(found) is dict
        assert list(found) == list(value)  # in the order of the fields
        for name, field in value.items():
            assert_same(found[name], field)
    else:
        if isinstance(value, Structs):
            value = row_of(value.elements)
        elif isinstance(value, list):
            value = cells(value)
        assert isinstance(found, np.ndarray)
        assert found.shape == value.shape
        assert (found.dtype == object) == (value.dtype == object)
        if value.dtype == object:
            for at in np.ndindex(value.shape):
                assert_same(found[at], value[at])
        else:  # MATLAB itself stores whole doubles as small integers: the type is no promise
            np.testing.assert_array_equal(found, value)


def assert_read(path: Path, variables: Mapping[str, Value]) -> None:
    """A file has exactly these variables."""
    found = read_mat(path)
    assert type(found) is dict
    assert found.keys() == variables.keys()
    for name, value in variables.items():
        assert_same(found[name], value)


# What is read

NAMES = cells(["Female", " Age 17-30", "Skirt&Dress", "", "größe", "帽子", "hat \U0001f3a9"])
# What the readers meet; field names in no alphabetical order, as HDF5 would sort them.
EXAMPLES: dict[str, Value] = {
    "table": np.arange(12.0).reshape(3, 4),
    "square": np.array([[1, 2], [3, 4]], dtype=np.uint8),
    "column": vector([5, 7, 9], dtype=np.uint16),
    "row": vector([5, 7, 9], axis=1),
    "number": np.array([[-2.5]]),
    "special": np.array([[np.nan, np.inf, -np.inf]], dtype=np.float32),
    "big": np.array([[2**63 + 1, 2**64 - 1]], dtype=np.uint64),
    "logical": np.array([[True, False, True], [False, False, True]]),
    "true": np.array([[True]]),
    "nothing": np.zeros((0, 0)),
    "no_rows": np.zeros((0, 3), dtype=np.int8),
    "no_columns": np.zeros((3, 0)),
    "text": "Größe ≥ 60 ",
    "letter": "x",
    "two_digits": "\x10\x11",
    "no_text": "",
    "names": NAMES,
    "names_in_a_row": row_of(["b", "a"]),
    "wide_cell": cells(["a", "b", np.eye(2), "d", [], "f"], (2, 3)),
    "one_cell": ["only"],
    "no_cells": cells([], (0, 0)),
    "struct": {"zeta": "last first", "Alpha": np.eye(3), "mid": {"b": "1", "a": {"x": ["y"]}}},
    "empty_fields": {"c": "", "b": np.zeros((0, 0)), "a": []},
    "people": Structs(
        (
            {"name": "one", "index": vector([1, 2]), "at": {"y": "u", "x": "v"}},
            {"name": "", "index": np.zeros((0, 0)), "at": {"y": "w", "x": ["c", "d"]}},
            {"name": "three", "index": vector([3], axis=1), "at": {"y": np.eye(2), "x": ""}},
        )
    ),
    "partition": [
        {"train": vector([1, 3]), "val": vector([2], axis=1), "test": vector([4, 5])},
        {"train": vector([5, 4]), "val": vector([1], axis=1), "test": vector([2, 3])},
    ],
}


@every_form
@pytest.mark.parametrize("name", EXAMPLES)
def test_each_kind_of_value(tmp_path: Path, form: str, name: str) -> None:
    variables = {name: EXAMPLES[name]}
    assert_read(write_mat(tmp_path / "a b.mat", form, variables), variables)


@every_form
def test_all_variables_and_no_other(tmp_path: Path, form: str) -> None:
    assert_read(write_mat(tmp_path / "all.mat", form, EXAMPLES), EXAMPLES)


@every_form
def test_the_ending_of_the_name_does_not_matter(tmp_path: Path, form: str) -> None:
    assert_read(write_mat(tmp_path / "labels", form, EXAMPLES), EXAMPLES)
    assert not (tmp_path / "labels.mat").exists()


@every_form
def test_many_cells(tmp_path: Path, form: str) -> None:
    # More than there are two-letter names in `#refs#`.
    names: Value = cells([f"{i:06d}.jpg" for i in range(1500)])
    assert_read(write_mat(tmp_path / "many.mat", form, {"names": names}), {"names": names})


identifiers = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
# Lone surrogates are no text, and NumPy's strings lose zeros at their end.
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00")
shapes = st.tuples(st.integers(0, 3), st.integers(0, 3))
NUMBERS = (
    "float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
    "bool",
)  # fmt: skip
leaves = st.one_of(
    st.text(letters, max_size=6),
    st.sampled_from(NUMBERS).flatmap(lambda name: hnp.arrays(np.dtype(name), shapes)),
)


def cell_arrays(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Array]:
    """Cell arrays of few values, some without any."""
    return shapes.flatmap(
        lambda shape: st.tuples(*[inner] * (shape[0] * shape[1])).map(
            lambda values: cells(values, shape)
        )
    )


def struct_arrays(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Structs]:
    """Two or three structs with the same fields."""
    fields = st.lists(identifiers, min_size=1, max_size=3, unique=True)
    return st.tuples(fields, st.integers(2, 3)).flatmap(
        lambda drawn: st.lists(
            st.tuples(*[inner] * len(drawn[0])), min_size=drawn[1], max_size=drawn[1]
        ).map(lambda rows: Structs(tuple(dict(zip(drawn[0], row, strict=True)) for row in rows)))
    )


values: st.SearchStrategy[Value] = st.recursive(
    leaves,
    lambda inner: st.one_of(
        cell_arrays(inner),
        st.dictionaries(identifiers, inner, min_size=1, max_size=4),
        struct_arrays(inner),
    ),
    max_leaves=8,
)


@every_form
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(variables=st.dictionaries(identifiers, values, min_size=1, max_size=3))
def test_every_value_comes_back(form: str, variables: dict[str, Value]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        assert_read(write_mat(Path(folder) / "x.mat", form, variables), variables)


# What is refused


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["nothing", "a folder"])
def test_where_no_file_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "labels 1.mat"
    make(path)
    assert_refused(tmp_path, lambda: read_mat(path), path.name)


V5_HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
CONTENTS = {
    "empty": b"",
    "text": b"image,hat\n1.png,1\n" * 20,
    "zeros": bytes(2000),
    "noise after a v5 header": V5_HEADER + b"\xa7" * 99,
    "v7.3 header": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400),
    "HDF5 signature": b"\x89HDF\r\n\x1a\n" + bytes(600),
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(600),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS.keys())
def test_what_is_no_mat_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "labels.mat"
    path.write_bytes(content)
    assert_refused(tmp_path, lambda: read_mat(path), path.name)


@every_form
def test_a_file_that_is_cut(tmp_path: Path, form: str) -> None:
    rng = np.random.default_rng(0)
    variable: Value = {"names": ["a", "b", "c"], "labels": rng.random((30, 20))}
    path = tmp_path / "cut.mat"
    for share in [*np.linspace(0, 0.95, 24), 0.98, 0.99]:
        cut(write_mat(path, form, {"x": variable}), float(share))
        # v5 has no count of its variables: cut at the end of the header it is whole, without any.
        if path.stat().st_size != 128:
            assert_refused(tmp_path, lambda: read_mat(path), path.name)


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_no_pickle_is_loaded(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "labels.mat", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace), protocol))
    assert_refused(tmp_path, lambda: read_mat(path), path.name)
    with path.open("wb") as file:
        np.save(file, np.array([Bomb(trace)], dtype=object), allow_pickle=True)
    assert_refused(tmp_path, lambda: read_mat(path), path.name)
    with path.open("wb") as file:
        np.savez(file, x=np.array([Bomb(trace)], dtype=object))
    assert_refused(tmp_path, lambda: read_mat(path), path.name)
    assert not trace.exists()


def test_an_object_of_a_class_in_v5(tmp_path: Path) -> None:
    path = write_v5_opaque(tmp_path / "table.mat", "names")
    assert_refused(tmp_path, lambda: read_mat(path), path.name)


def broken_v73(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """A v7.3 file of a cell `x` with two names, its HDF5 changed."""
    write_mat(path, "v7.3", {"x": ["a", "b"], "y": np.eye(2)})
    with h5py.File(path, "r+") as file:
        change(file)
    return stamp_v73(path)


def as_object(file: h5py.File) -> None:
    """Turn a value into a `string`, which MATLAB stores as numbers of its own."""
    del file["y"]
    file["y"] = np.array([[0xDD000000, 2, 1, 1, 1, 1]], dtype=np.uint32)
    file["y"].attrs["MATLAB_class"] = np.bytes_("string")
    file["y"].attrs["MATLAB_object_decode"] = np.int32(3)


def refer_to_itself(file: h5py.File) -> None:
    """Put a cell into itself."""
    file["x"][0, 1] = file["x"].ref


def refer_to_nothing(file: h5py.File) -> None:
    """Take away what a cell holds."""
    file["x"][0, 1] = h5py.Reference()


@pytest.mark.parametrize("change", [as_object, refer_to_itself, refer_to_nothing])
def test_values_that_v73_does_not_have(tmp_path: Path, change: Callable[[h5py.File], None]) -> None:
    path = broken_v73(tmp_path / "labels.mat", change)
    assert_refused(tmp_path, lambda: read_mat(path), path.name)


@pytest.mark.parametrize("block", [0, USER_BLOCK])
def test_hdf5_that_matlab_did_not_write(tmp_path: Path, block: int) -> None:
    path = tmp_path / "other.mat"
    with h5py.File(path, "w", userblock_size=block) as file:
        file["number"] = 3
        file["text"] = "hello"
        file["table"] = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])
        file["cube"] = np.zeros((2, 3, 4))
        file["group/inner"] = np.eye(2)
        file["link"] = h5py.SoftLink("/nowhere")
        file["other"] = h5py.ExternalLink("elsewhere.h5", "/x")
        file.create_dataset("empty", dtype="f8", shape=None)
    try:
        assert type(read_mat(path)) is dict
    except VAAError as error:
        assert path.name in str(error) and len(str(error).splitlines()) == 1


def test_a_file_that_brings_in_another(tmp_path: Path) -> None:
    """HDF5 can link to, and store data in, any file of this machine."""
    secret = tmp_path / "secret.bin"
    secret.write_bytes("secret!!".encode("utf-16-le"))
    write_v73(tmp_path / "other.mat", {"x": "secret"})
    for kind in ("external storage", "external link", "soft link", "virtual"):
        path = tmp_path / f"{kind}.mat"
        with h5py.File(path, "w", userblock_size=512) as file:
            if kind == "external storage":
                places = [(str(secret), 0, 16)]
                file.create_dataset("x", shape=(8, 1), dtype="u2", external=places)
            elif kind == "external link":
                file["x"] = h5py.ExternalLink(str(tmp_path / "other.mat"), "x")
            elif kind == "soft link":
                file["x"] = h5py.SoftLink("/y")
            else:
                layout = h5py.VirtualLayout((6, 1), "u2")
                layout[:] = h5py.VirtualSource(str(tmp_path / "other.mat"), "x", (6, 1))
                file.create_virtual_dataset("x", layout)
        with pytest.raises(VAAError, match=r"elsewhere|another file"):
            read_mat(path)


def test_cells_that_share_cells_are_read_once(tmp_path: Path) -> None:
    """Thirty levels of four references to the same cell would be 4³⁰ cells, were each followed."""
    path = tmp_path / "bomb.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        references = file.create_group("#refs#")
        below = references.create_dataset("a", data=np.ones((1, 1)))
        for level in range(30):
            cell = np.full((2, 2), below.ref, dtype=h5py.ref_dtype)
            below = references.create_dataset(f"l{level}", data=cell, dtype=h5py.ref_dtype)
            below.attrs["MATLAB_class"] = np.bytes_("cell")
        file["x"] = below
    value = read_mat(path)["x"]
    for _ in range(30):
        assert value.shape == (2, 2)
        value = value[1, 1]
    assert value == 1


def test_a_small_hdf5_file_that_declares_gigabytes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        item = file.create_dataset("x", (1 << 17, 1 << 17), "f8", chunks=(64, 64))
        item.attrs["MATLAB_class"] = np.bytes_("double")
    assert (tmp_path / "a.mat").stat().st_size < 100_000
    with pytest.raises(VAAError, match="bytes of values"):
        read_mat(tmp_path / "a.mat")


@pytest.mark.parametrize("value", [np.zeros((3, 5)), np.full((3, 5), "a", dtype=object)])
def test_a_small_v5_file_that_declares_gigabytes(tmp_path: Path, value: np.ndarray) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"x": value})
    sides, more = struct.pack("<ii", 3, 5), struct.pack("<ii", 1 << 15, 1 << 15)
    content = path.read_bytes()
    assert content.count(sides) == 1
    path.write_bytes(content.replace(sides, more))
    with pytest.raises(VAAError, match="1,073,741,824 values in 'x'"):
        read_mat(path)
