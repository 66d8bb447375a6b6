"""The `peta` format: one MATLAB struct, or the tree of sets as first published."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import matlab_files as mat
from tests.helpers.dataset_trees import mentions, named_labels, refusal
from vaa_cli.core.datasets.formats.peta import read

ROWS = 40
LABELS = mat.random_labels(np.random.default_rng(0), ROWS, 105)
NAMES = [f"{('personal', 'Größe  ')[i % 2]}{i}" for i in range(105)]
PARTS = ("train", "val", "test")
PARTITIONS = mat.random_partitions(PARTS, ROWS)


def peta(
    labels: Any = LABELS,
    names: Sequence[str] = NAMES,
    partitions: Sequence[mat.Parts] = PARTITIONS,
    columns: int = 1,
    axis: int = 0,
    dtype: Any = np.float64,
) -> dict[str, mat.Value]:
    """The struct, with numbers before the labels and text beside the names that are no use."""
    before = np.random.default_rng(2).integers(2, 100, (len(labels), 4))
    others = ["other"] * (columns - 1) * len(names)
    return {
        "zeta": np.hstack([before, labels]).astype(labels.dtype),
        "eta": mat.cells([*(f" {name} " for name in names), *others], (columns, len(names))).T,
        "beta": np.array([[1, 2, 3]]),
        "alpha": mat.part_structs(partitions, axis, dtype),
        "more": "text",
    }  # fmt: skip


def write(root: Path, value: mat.Value, form: str = "v5", variable: str = "peta") -> Path:
    """A tree whose file has this value."""
    mat.write_mat(root / "PETA.mat", form, {"other": "x", variable: value})
    (root / "images").mkdir()
    return root


def assert_rows(
    root: Path,
    partition: int = 0,
    labels: Any = LABELS,
    names: Sequence[str] = NAMES,
    partitions: Sequence[mat.Parts] = PARTITIONS,
    left_out: int = 0,
) -> None:
    """The tree has exactly the rows of the partition, in their order in the file."""
    table = read(root, partition)
    split_of = {row: name for name, rows in partitions[partition].items() for row in rows}
    rows = sorted(split_of)
    mat.assert_table(
        table,
        root,
        [f"images/{row:05d}.png" for row in rows],
        names,
        labels[np.array(rows) - 1],
        [split_of[row] for row in rows],
        names[:35] if len(names) > 35 else None,
    )
    assert len(table) == len(labels) - left_out
    assert any(mentions(note, left_out) for note in table.notes) == (left_out > 0), table.notes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "PETA data"


# PETA.mat


@mat.every_form
@pytest.mark.parametrize("partition", [0, 1, 4])
def test_every_value(root: Path, form: str, partition: int) -> None:
    assert_rows(write(root, peta(columns=1 + partition % 2), form), partition)


@mat.every_form
@mat.kinds_of_indices
def test_every_type_of_indices(root: Path, form: str, axis: int, dtype: Any) -> None:
    assert_rows(write(root, peta(axis=axis, dtype=dtype, labels=LABELS.astype(dtype)), form))


@mat.every_form
@pytest.mark.parametrize("columns", [1, 34, 35, 36])  # 40 rows and 4 + 36 columns: a square
def test_fewer_attributes(root: Path, form: str, columns: int) -> None:
    labels, names = LABELS[:, :columns], NAMES[:columns]
    assert_rows(write(root, peta(labels, names), form), labels=labels, names=names)


@mat.every_form
def test_rows_in_no_part_are_left_out_and_counted(root: Path, form: str) -> None:
    partitions = mat.random_partitions(PARTS, ROWS, left_out=7)
    tree = write(root, peta(partitions=partitions), form)
    assert_rows(tree, 3, partitions=partitions, left_out=7)


def refused(root: Path, value: mat.Value, partition: int = 0, form: str = "v5") -> str:
    """The message about a file, which it names."""
    message = refusal(partial(read, partition=partition), write(root, value, form))
    assert "PETA.mat" in message, message
    return message


@mat.every_form
@pytest.mark.parametrize("value", [2, -1, 0.5, 257, np.nan, np.inf])
def test_another_label(root: Path, form: str, value: float) -> None:
    labels = LABELS.astype(np.float64)
    labels[12, 8] = value
    assert mentions(refused(root, peta(labels), form=form), 12, 13)  # counted from 0 or from 1


@pytest.mark.parametrize("more", [-1, 1])
def test_more_or_fewer_names(root: Path, more: int) -> None:
    message = refused(root, peta(names=[*NAMES, "more"][: 105 + more]))
    assert mentions(message, 105) and mentions(message, 105 + more), message


@pytest.mark.parametrize("number", [0, 3])
@pytest.mark.parametrize("one, other", [("train", "val"), ("val", "test"), ("test", "train")])
def test_a_picture_in_two_parts(root: Path, number: int, one: str, other: str) -> None:
    row = PARTITIONS[number][one][2]
    partitions = mat.with_row(PARTITIONS, number, other, row)
    assert mentions(refused(root, peta(partitions=partitions), number), row)


@mat.wrong_indices(ROWS)
@pytest.mark.parametrize("part", PARTS)
def test_a_row_that_is_not_there(root: Path, part: str, index: Any, dtype: Any) -> None:
    value = peta(partitions=mat.with_row(PARTITIONS, 1, part, index), dtype=dtype)
    assert part in refused(root, value, 1)


@pytest.mark.parametrize("partition", [5, 19, -1])
def test_a_partition_that_is_not_there(root: Path, partition: int) -> None:
    assert mentions(refused(root, peta(), partition), 5)


@pytest.mark.parametrize("value", ["text", np.eye(3), ["a"], {"a": np.eye(2)}, np.zeros((0, 0))])
@pytest.mark.parametrize("field", ["zeta", "eta", "alpha", None])
def test_another_kind_of_value(root: Path, field: str | None, value: mat.Value) -> None:
    refused(root, {**peta(), field: value} if field else value)


def test_no_file_or_another_variable(root: Path) -> None:
    root.mkdir()
    assert "PETA.mat" in refusal(read, root)
    message = refusal(read, write(root, peta(), variable="people"))
    assert "PETA.mat" in message and "peta" in message


@mat.every_form
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_file_that_is_cut(root: Path, form: str, share: float) -> None:
    mat.cut(write(root, peta(), form) / "PETA.mat", share)
    assert "PETA.mat" in refusal(read, root)


# The tree of sets: for each set its lines, and the pictures that each line names

Sets = Mapping[str, Mapping[str, Sequence[str]]]
SETS: Sets = {
    "CUHK": {  # an image a line, with its extension or without
        "0001.png personalMale hairLong": ["0001.png"],
        "0010 upperBodyRed": ["0010.PNG"],
        "001": ["001.jpeg"],
    },
    "VIPeR": {  # people; 1 is not the start of 10 or 1a
        "1 personalMale accessoryHat": ["1-a.bmp", "1_b.bmp", "1_c.jpg"],
        "10\thairLong   upperBodyRed ": ["10_x.bmp"],
        "1a hairLong": ["1a_1.bmp", "1a.2.bmp"],
        "2 accessoryHat": ["2.bmp"],
    },
    "i-LID": {  # nothing stands between the person and the rest: the longest that fits
        "1 personalMale": ["1x.png", "1301.png"],
        "12 hairLong": ["12x.png", "124.png"],
        "123 upperBodyRed": ["1234.png"],
    },
}


def make_sets(folder: Path, sets: Sets = SETS, newline: str = "\n") -> Path:
    """The tree of these sets; other files than pictures stand beside them."""
    for name, lines in sets.items():
        archive = folder / name / "archive"
        archive.mkdir(parents=True)
        for file in ["Thumbs.db", "readme", *(file for files in lines.values() for file in files)]:
            (archive / file).touch()
        (archive / "Label.txt").write_bytes(newline.join([*lines, ""]).encode())
    return folder


def assert_sets(root: Path, sets: Sets, prefix: str) -> tuple[str, ...]:
    """The tree has exactly these pictures with these labels; gives the notes."""
    table = read(root)
    found = {
        f"{prefix}{name}/archive/{file}": (name, line)
        for name, lines in sets.items()
        for line, files in lines.items()
        for file in files
    }
    names = {word for lines in sets.values() for line in lines for word in line.split()[1:]}
    assert table.root == root
    assert table.row_images == sorted(found)
    assert table.labels.dtype == np.int8 and table.splits is None and table.boxes is None
    for image, labels in zip(table.row_images, named_labels(table), strict=True):
        assert labels == {name: int(name in found[image][1].split()[1:]) for name in names}
    # The same number for the same person, and for no one else.
    assert table.identities is not None
    people = map(found.__getitem__, table.row_images)
    pairs = set(zip(people, table.identities.tolist(), strict=True))
    assert len(pairs) == len({who for who, _ in pairs}) == len({number for _, number in pairs})
    return table.notes


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
def test_every_set(tmp_path: Path, inner: bool, newline: str) -> None:
    folder = make_sets(tmp_path / "PETA dataset", newline=newline)
    root, prefix = (tmp_path, "PETA dataset/") if inner else (folder, "")
    assert assert_sets(root, SETS, prefix) == ()
    benchmark = read(root).benchmark
    assert benchmark is not None
    assert sorted(benchmark) == ["accessoryHat", "hairLong", "personalMale"]


@pytest.mark.parametrize("names", ["hairLong personalMale", "upperBodyRed hairShort"])
def test_all_or_none_of_the_benchmark(tmp_path: Path, names: str) -> None:
    sets = {"GRID": {f"1 {names}": ["1_a.png"], "2": ["2_a.png", "2_b.png"]}}
    folder = make_sets(tmp_path / "PETA dataset", sets)
    assert assert_sets(folder, sets, "") == ()
    assert read(folder).benchmark is None


def test_what_does_not_match_is_counted(tmp_path: Path) -> None:
    lost: dict[str, list[str]] = {f"70{i} hairLong": [] for i in range(7)}
    sets = {**SETS, "VIPeR": {**SETS["VIPeR"], **lost}}
    folder = make_sets(tmp_path / "PETA dataset", sets)
    for i in range(11):
        (folder / "VIPeR" / "archive" / f"0_{i}.bmp").touch()
    notes = assert_sets(folder, sets, "")
    assert any(mentions(note, 11) for note in notes) and any(mentions(note, 7) for note in notes)


def test_names_of_people_without_pictures(tmp_path: Path) -> None:
    sets = {**SETS, "GRID": {"1 upperBodyRed": ["1_a.png"], "2 upperBodyGreen": []}}
    assert_sets(make_sets(tmp_path / "PETA dataset", sets), sets, "")


def test_an_id_that_another_starts_with(tmp_path: Path) -> None:
    pictures = ["1_a.png", "1-b.png"]
    sets = {"GRID": {"1 hairLong": pictures, "1.5 personalMale": ["1.5.png"]}}
    assert_sets(make_sets(tmp_path / "PETA dataset", sets), sets, "")


@pytest.mark.parametrize("line", [
    b"2 hairLong", b"../2 hairLong", b"a/2 hairLong", b"a\\2 hairLong", b".. hairLong",
    b"3 hair\xffLong",
])  # fmt: skip
def test_a_wrong_line(tmp_path: Path, line: bytes) -> None:
    folder = make_sets(tmp_path / "PETA dataset")
    with (folder / "VIPeR" / "archive" / "Label.txt").open("ab") as file:
        file.write(line)
    message = refusal(read, folder)
    assert "VIPeR" in message and "Label.txt" in message and mentions(message, 5), message


def test_a_tree_has_no_partitions(tmp_path: Path) -> None:
    assert "partition" in refusal(partial(read, partition=1), make_sets(tmp_path / "PETA dataset"))
