"""The `rap` and `rap2` formats: one MATLAB struct, by position in v1 and by name in v2."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers import matlab_files as mat
from tests.helpers.dataset_trees import mentions, refusal
from vaa_cli.core.datasets.formats import rap, rap2
from vaa_cli.core.labels.table import LabelTable

FILE = "RAP_annotation.mat"
ROWS = 30


@dataclass(frozen=True)
class People:
    """What a file says: labels `[n x c]` of 0, 1 and 2, partitions of 1-based rows."""

    labels: mat.Array
    attributes: Sequence[str]
    images: Sequence[str]
    partitions: Sequence[mat.Parts]
    selected: Sequence[int]


def make_people(columns: int, parts: Sequence[str], rows: int = ROWS, left_out: int = 0) -> People:
    """Random people and partitions."""
    rng = np.random.default_rng(columns)
    return People(
        labels=mat.random_labels(rng, rows, columns, (0, 1, 2)),
        attributes=[f"{('hs-', 'Größe  ', 'Action ')[i % 3]}Kind{i}" for i in range(columns)],
        images=[f"CAM{i * 7 % 31:02d}-2014-02-15-frame{i}-line1.png" for i in range(rows)],
        partitions=mat.random_partitions(parts, rows, left_out),
        selected=(rng.permutation(columns) + 1).tolist()[: columns // 2],
    )


def v1_struct(people: People, axis: int = 1, dtype: Any = np.float64) -> dict[str, mat.Value]:
    """The fields of RAP v1, whose names are not what they are known by."""
    return {
        "partion": mat.part_structs(people.partitions, axis, dtype),
        "data": people.labels.astype(dtype),
        "attribute_chinese": ["帽子"],
        "attribute_eng": mat.cells([f" {name} " for name in people.attributes]),
        "attribute_exp": "none of the fields needed",
        "Imagesname": mat.cells(people.images),
    }


def v2_struct(people: People, axis: int = 1, dtype: Any = np.float64) -> dict[str, mat.Value]:
    """The fields of RAP v2, in another order than v1's."""
    partitions = mat.part_structs(people.partitions, axis, dtype, "_index")
    return {
        "name": mat.cells(people.images),
        "attribute_chinese": ["帽子"],
        "attribute": mat.cells([f" {name} " for name in people.attributes]),
        "data": people.labels.astype(dtype),
        "selected_attribute": mat.vector(people.selected, axis, dtype),
        "partition_attribute": mat.row_of(partitions),
    }


@dataclass(frozen=True)
class Version:
    """One of the two formats, and what its default file says."""

    read: Callable[..., LabelTable]
    struct: Callable[..., dict[str, mat.Value]]
    splits: dict[str, str]  # of each part
    people: People

    def make(self, root: Path, people: People | None = None, form: str = "v5") -> Path:
        """Write the tree of some people."""
        return write(root, self.struct(people or self.people), form)


V1_SPLITS = {"trainval": "train", "test": "test"}
V2_SPLITS = {"train": "train", "val": "val", "test": "test"}
V1 = Version(rap.read, v1_struct, V1_SPLITS, make_people(52, list(V1_SPLITS)))
V2 = Version(rap2.read, v2_struct, V2_SPLITS, make_people(20, list(V2_SPLITS)))


@pytest.fixture(params=[V1, V2], ids=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> Version:
    chosen: Version = request.param
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "RAP data"


def write(root: Path, value: mat.Value, form: str = "v5", folder: str = "RAP_annotation") -> Path:
    """A tree whose file has this value."""
    mat.write_mat(root / folder / FILE, form, {"RAP_annotation": value})
    (root / "RAP_dataset").mkdir()
    return root


def assert_people(
    table: LabelTable, root: Path, version: Version, people: People, partition: int = 0
) -> None:
    """The table has exactly the rows of the partition, in their order in the file."""
    parts = people.partitions[partition].items()
    split_of = {row - 1: version.splits[name] for name, rows in parts for row in rows}
    rows, names = sorted(split_of), list(people.attributes)
    # The paper of RAP v1 scores its first 51 attributes; RAP v2 says which.
    benchmark = names[:51] if version is V1 else [names[i - 1] for i in people.selected]
    mat.assert_table(
        table,
        root,
        [f"RAP_dataset/{people.images[row]}" for row in rows],
        names,
        np.array([0, 1, -1])[people.labels[rows]],
        [split_of[row] for row in rows],
        benchmark if len(benchmark) < len(names) else None,
    )


# What is read


@mat.every_form
@pytest.mark.parametrize("partition", [0, 1, 4])
def test_every_value(version: Version, root: Path, form: str, partition: int) -> None:
    table = version.read(version.make(root, form=form), partition)
    assert_people(table, root, version, version.people, partition)
    assert table.notes == ()


@mat.every_form
@mat.kinds_of_indices
def test_every_type_of_numbers(
    version: Version, root: Path, form: str, axis: int, dtype: Any
) -> None:
    write(root, version.struct(version.people, axis, dtype), form, folder="")
    assert_people(version.read(root), root, version, version.people)


@mat.every_form
# Of a square table, a transposed one has the same shape.
@pytest.mark.parametrize(
    "rows, columns, left_out", [(30, 30, 7), (52, 52, 0), (20, 51, 9), (20, 4, 0)]
)
def test_other_sizes(
    version: Version, root: Path, form: str, rows: int, columns: int, left_out: int
) -> None:
    people = make_people(columns, list(version.splits), rows, left_out)
    table = version.read(version.make(root, people, form))
    assert_people(table, root, version, people)
    assert len(table) == rows - left_out
    # Rows in no part are left out and counted.
    assert any(mentions(note, left_out) for note in table.notes) == bool(left_out), table.notes


@mat.every_form
def test_fields_by_position_or_by_name(version: Version, root: Path, form: str) -> None:
    fields = version.struct(version.people)
    if version is V1:  # names that, in order of the alphabet, are backwards
        fields = {f"f{9 - i}": value for i, value in enumerate(fields.values())} | {"a": "more"}
    else:
        fields = {"a": "more"} | {name: fields[name] for name in reversed(fields)}
    assert_people(version.read(write(root, fields, form)), root, version, version.people)


# What is refused


def refused(
    version: Version, root: Path, value: People | mat.Value, partition: int = 0, form: str = "v5"
) -> str:
    """The message about a file, which it names; the file's own name is taken out."""
    write(root, version.struct(value) if isinstance(value, People) else value, form)
    message = refusal(lambda root: version.read(root, partition), root)
    assert FILE in message, message
    return message.replace(FILE, "")


@mat.every_form
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_file_that_is_cut(version: Version, root: Path, form: str, share: float) -> None:
    mat.cut(version.make(root, form=form) / "RAP_annotation" / FILE, share)
    assert FILE in refusal(version.read, root)


def test_no_file_or_another_variable(version: Version, root: Path) -> None:
    root.mkdir()
    assert FILE in refusal(version.read, root)
    mat.write_mat(root / FILE, "v5", {"other": version.struct(version.people)})
    assert "RAP_annotation" in refusal(version.read, root).replace(FILE, "")


OTHERS: list[mat.Value] = ["text", {"a": np.eye(2)}, [np.eye(2)] * 5]


@pytest.mark.parametrize("value", [*OTHERS, v1_struct(V1.people), v2_struct(V2.people)])
def test_a_variable_of_another_kind(version: Version, root: Path, value: mat.Value) -> None:
    if not isinstance(value, dict) or list(value) != list(version.struct(version.people)):
        refused(version, root, value)


V1_FIELDS = ("partion", "data", "attribute_eng", "Imagesname")
V2_FIELDS = ("name", "attribute", "data", "selected_attribute", "partition_attribute")
FIELDS = [(V1, name) for name in V1_FIELDS] + [(V2, name) for name in V2_FIELDS]


@pytest.mark.parametrize("value", [*OTHERS, None])
@pytest.mark.parametrize("chosen, field", FIELDS)
def test_a_field_of_another_kind(
    root: Path, chosen: Version, field: str, value: mat.Value | None
) -> None:
    fields = chosen.struct(chosen.people)
    del fields[field]  # without it, the others of v1 are at other positions
    message = refused(chosen, root, fields if value is None else {**fields, field: value})
    assert chosen is V1 or value is not None or field in message


@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.parametrize("what", ["attributes", "images"])
def test_other_lengths(version: Version, root: Path, what: str, more: int) -> None:
    names: Any = [f"a{i}" for i in range(len(getattr(version.people, what)) + more)]
    message = refused(version, root, replace(version.people, **{what: names}))
    assert mentions(message, len(names)) and mentions(message, len(names) - more), message


@mat.every_form
@pytest.mark.parametrize("value", [3, -1, 0.5, 256, np.nan, np.inf])
def test_another_label(version: Version, root: Path, form: str, value: float) -> None:
    labels = version.people.labels.astype(np.float64)
    labels[12, 5] = value
    message = refused(version, root, replace(version.people, labels=labels), form=form)
    # Its row counted from 0 or from 1, or the picture in it.
    assert mentions(message, 12, 13) or version.people.images[12] in message, message


@pytest.mark.parametrize("number", [0, 3])
def test_a_picture_in_two_parts(version: Version, root: Path, number: int) -> None:
    people, first = version.people, next(iter(version.splits))
    row = people.partitions[number]["test"][2]
    partitions = mat.with_row(people.partitions, number, first, row)
    message = refused(version, root, replace(people, partitions=partitions), number)
    assert mentions(message, row) or people.images[row - 1] in message, message


@mat.wrong_indices(ROWS)
def test_a_row_that_is_not_there(version: Version, root: Path, index: Any, dtype: Any) -> None:
    partitions = mat.with_row(version.people.partitions, 1, "test", index)
    struct = version.struct(replace(version.people, partitions=partitions), dtype=dtype)
    assert "test" in refused(version, root, struct, 1)


@pytest.mark.parametrize("partition", [5, 7, -1])
def test_a_partition_that_is_not_there(version: Version, root: Path, partition: int) -> None:
    assert mentions(refused(version, root, version.people, partition), 5)


@pytest.mark.parametrize("selected", [0, 21, 1.5, np.nan])
def test_a_selected_attribute_that_is_not_there(root: Path, selected: Any) -> None:
    people = replace(V2.people, selected=[3, selected, 4])
    assert "selected_attribute" in refused(V2, root, people)


@pytest.mark.parametrize("name", ["../b.png", "/etc/b.png"])
def test_a_name_that_leaves_the_folder(version: Version, root: Path, name: str) -> None:
    people = replace(version.people, images=[*version.people.images[:-1], name])
    assert name in refused(version, root, people)
