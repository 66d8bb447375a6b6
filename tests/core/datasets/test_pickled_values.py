"""Pickles of plain values are read, and nothing that one names is imported or called."""

import pickle
import random
import struct
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.dataset_trees import save_pictures
from vaa_cli.core.datasets.formats.registry import detect
from vaa_cli.core.datasets.pickled_values import read_values
from vaa_cli.core.errors import VAAError

# What a pickle that is run does, by the events that Python reports of it.
_DEEDS = (
    "import",
    "exec",
    "compile",
    "os.",
    "subprocess.",
    "pickle.",
    "open",
    "socket.",
    "ctypes.",
)
_watched: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is None or not event.startswith(_DEEDS):
        return
    # The file that is read is opened by its name, and then by its number.
    if event != "open" or not (isinstance(arguments[0], int) or str(arguments[0]).endswith(".pkl")):
        _watched.append(f"{event} {arguments!r}"[:200])


sys.addaudithook(_watch)


@contextmanager
def deeds() -> Iterator[list[str]]:
    """What is imported, opened or run meanwhile."""
    global _watched
    found: list[str] = []
    _watched = found
    try:
        yield found
    finally:
        _watched = None


class EasyDict(dict[str, Any]):
    """As easydict has it: its items are attributes, too."""

    def __init__(self, items: dict[str, Any]) -> None:
        super().__init__(items)
        self.__dict__.update(items)


EasyDict.__module__ = "easydict"


@pytest.fixture(autouse=True)
def easydict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module that pickles of the field name; vaa does not need it."""
    module = types.ModuleType("easydict")
    module.EasyDict = EasyDict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "easydict", module)


def saved(path: Path, value: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol=protocol))
    return path


def dataset(rows: int = 6) -> EasyDict:
    """A dataset as Rethinking_of_PAR keeps it."""
    rng = np.random.default_rng(0)
    partition = {
        "train": np.arange(3), "val": np.array([3]), "trainval": np.arange(4),
        "test": np.array([4, 5]),
    }  # fmt: skip
    return EasyDict(
        {
            "description": "people",
            "reorder": "group_order",
            "root": "/home/someone/data",
            "image_name": [f"{i}.jpg" for i in range(rows)],
            "label": rng.integers(0, 2, (rows, 3)),
            "attr_name": ["hat", "bag", "boots"],
            "label_idx": EasyDict({"eval": [0, 2], "color": []}),
            "partition": EasyDict(partition),
            "weight_train": [rng.random(3)],
        }
    )


PLAIN: list[Any] = [
    None, True, False, 0, -1, 255, 65536, -(2**40), 2**80, 1.5, "", "text ü", "x" * 300, b"",
    b"\x00", [], [1, [2, "a"]], (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), {}, {"a": {1: None}},
    OrderedDict(a=1), [[1], [1]],
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    shared = ["twice"]
    for value in [*PLAIN, [shared, shared]]:
        assert read_values(saved(tmp_path / "a.pkl", value, protocol)) == value


ARRAYS = [
    np.arange(12).reshape(3, 4),
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array([True, False]),
    np.arange(5, dtype=">i2"),
    np.array([], dtype=np.int64),
    np.zeros((0, 3), dtype=np.float32),
    np.array(["a", "bcd"]),
    np.array([b"a", b"bcd"]),
    np.array(["a", None, [1, 2]], dtype=object),
    np.array(3.5),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_arrays_of_every_protocol(tmp_path: Path, array: Any, protocol: int) -> None:
    found = read_values(saved(tmp_path / "a.pkl", {"x": array}, protocol))["x"]
    assert found.dtype.kind == array.dtype.kind
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("protocol", range(6))
def test_numbers_of_numpy(tmp_path: Path, protocol: int) -> None:
    value = {"a": np.float64(1.5), "b": np.int8(-3), "c": np.bool_(True)}
    assert read_values(saved(tmp_path / "a.pkl", value, protocol)) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
        max_leaves=20,
    ),
    st.integers(0, 5),
)
@settings(max_examples=200, deadline=None)
def test_any_plain_value(
    tmp_path_factory: pytest.TempPathFactory, value: Any, protocol: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pkl"
    assert read_values(saved(path, value, protocol)) == value


# The dataset format


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_dataset(tmp_path: Path, protocol: int) -> None:
    content = dataset()
    save_pictures(tmp_path / "images", content["image_name"])
    saved(tmp_path / "dataset_all.pkl", content, protocol)
    found = detect(tmp_path)
    assert found.format.name == "par"
    table = found.format.read(tmp_path)
    assert table.attributes == ("hat", "bag", "boots")
    assert table.benchmark == ("hat", "boots")
    assert table.labels.tolist() == content["label"].tolist()
    assert table.splits is not None
    assert table.splits.tolist() == [0, 0, 0, 1, 2, 2]


def test_partitions_and_rows_in_none(tmp_path: Path) -> None:
    content = dataset()
    save_pictures(tmp_path, content["image_name"])
    content["partition"] = {
        "train": [np.array([0, 1]), np.array([2])],
        "test": [np.array([2]), np.array([0, 5])],
    }
    saved(tmp_path / "dataset_all.pkl", content)
    read = detect(tmp_path).format.read
    assert read(tmp_path).row_images == ["0.jpg", "1.jpg", "2.jpg"]
    table = read(tmp_path, partition=1)
    assert table.row_images == ["0.jpg", "2.jpg", "5.jpg"]
    assert table.splits is not None
    assert table.splits.tolist() == [2, 0, 2]
    with pytest.raises(VAAError, match="partition=2"):
        read(tmp_path, partition=2)


def test_zero_shot_runs(tmp_path: Path) -> None:
    save_pictures(tmp_path, dataset()["image_name"])
    for run in range(3):
        content = dataset()
        content["attr_name"] = [f"a{run}", "b", "c"]
        saved(tmp_path / f"dataset_zs_run{run}.pkl", content)
    found = detect(tmp_path)
    assert found.format.read(tmp_path).attributes[0] == "a0"
    assert found.format.read(tmp_path, partition=2).attributes[0] == "a2"
    with pytest.raises(VAAError, match="has 3 runs"):
        found.format.read(tmp_path, partition=3)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("label", np.ones((5, 3)), "shape"),
        ("label", np.full((6, 3), 7), "is 7"),
        ("label", "hat", "no table of numbers"),
        ("attr_name", ["hat", "hat", "bag"], "twice"),
        ("attr_name", 3, "no list"),
        ("image_name", ["../0.jpg"] * 6, "leaves the dataset folder"),
        ("image_name", ["x.jpg"] * 6, "none of its pictures"),
        ("partition", [1, 2], "no dict"),
        ("partition", {"train": np.array([6])}, "no number of one of 6"),
        ("partition", {"train": np.array([0]), "test": np.array([0])}, "another part"),
        ("partition", {"train": "x"}, "no list of numbers"),
    ],
)
def test_datasets_of_another_form(tmp_path: Path, key: str, value: Any, reason: str) -> None:
    content = dict(dataset())
    save_pictures(tmp_path, content["image_name"])
    content[key] = value
    saved(tmp_path / "dataset_all.pkl", content)
    with pytest.raises(VAAError, match=reason) as error:
        detect(tmp_path).format.read(tmp_path)
    assert "\n" not in str(error.value)


# Hostile files


class Attack:
    """An object that runs something when it is unpickled."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class WithState:
    """An object whose state is set by a function of its own."""

    def __setstate__(self, state: object) -> None:
        raise AssertionError("its state was set")

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


def proto(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


HOSTILE: dict[str, bytes] = {
    "system": pickle.dumps(Attack(__import__("os").system, ("touch hacked",))),
    "eval": pickle.dumps({"image_name": Attack(eval, ("open('hacked', 'w')",))}),
    "import": proto(b"\x8c\x04this\x8c\x01x\x93"),
    "global": proto(b"cos\nsystem\n(S'touch hacked'\ntR"),
    "inst": b"(S'touch hacked'\nios\nsystem\n.",
    "obj": proto(b"(cos\nsystem\n\x8c\x0ctouch hackedo"),
    "getattr": proto(b"cbuiltins\ngetattr\n\x8c\x01a\x8c\x01b\x86R"),
    "ndarray of another": proto(b"cnumpy.core.multiarray\n_reconstruct\ncos\nsystem\n)\x86R"),
    "setstate": pickle.dumps(WithState()),
    "persistent": proto(b"Px\n"),
    "extension": proto(b"\x82\x01"),
    "a class as a value": proto(b"cnumpy\nndarray\n"),
    "memo bomb": proto(
        b"]\x94" + b"".join(b"]\x94(" + (b"h" + bytes([i])) * 10 + b"e" for i in range(200))
    ),
    "unknown place": proto(b"h\x05"),
    "itself": proto(b"]\x94h\x00a"),
    "nothing": b"",
    "no end": b"\x80\x04]",
    "empty stack": proto(b"a"),
    "marks": proto(b"(" * 1000),
    "deep": proto(b"]" + b"]" * 5000 + b"a" * 5000),
    "huge text": proto(b"\x8d" + struct.pack("<Q", 10**9) + b"x"),
    "huge number": proto(b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x"),
    "huge array": proto(
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
        b"(K\x01J\x00\xca\x9a\x3b\x85cnumpy\ndtype\n\x8c\x02i8\x89\x88\x87R"
        b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x08xxxxxxxxtb"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_one_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "dataset_all.pkl"
    path.write_bytes(HOSTILE[name])
    with deeds() as done:
        try:
            read_values(path)
        except VAAError as error:
            assert "\n" not in str(error)
        else:
            assert name in ("memo bomb", "itself")  # plain lists, whatever they hold
    assert done == []
    assert not (tmp_path / "hacked").exists()


def test_mutated_files_run_nothing(tmp_path: Path) -> None:
    rng = random.Random(0)
    whole = [pickle.dumps(dataset(), protocol=protocol) for protocol in range(6)]
    whole += [*HOSTILE.values()]
    path = tmp_path / "dataset_all.pkl"
    refused = 0
    with deeds() as done:
        for number in range(1000):
            content = bytearray(whole[number % len(whole)] or b"\x80")
            for _ in range(rng.randint(1, 8)):
                place = rng.randrange(len(content))
                kind = rng.randrange(3)
                if kind == 0:
                    content[place] = rng.randrange(256)
                elif kind == 1:
                    content[place:place] = bytes([rng.choice(b"cR\x93\x81bio0ue.(t\x85\x86\x87")])
                elif len(content) > 1:
                    del content[place]
            path.write_bytes(content)
            try:
                read_values(path)
            except VAAError as error:
                refused += 1
                assert "\n" not in str(error)
    assert done == []
    assert refused > 500
