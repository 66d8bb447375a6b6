"""Exclusive groups of attributes: read, kept, contradicted."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import make_table, write_rows
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes
from vaa_cli.core.labels.groups import group_values, named_groups
from vaa_cli.core.labels.label_file import read_label_file

ROWS = (
    ("a.png", "young", "1"),
    ("b.png", "adult", "0"),
    ("c.png", "", "1"),
    ("d.png", "old", "0"),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "labels.csv", ("image", "age", "hat"), *ROWS)


def test_a_column_of_words_is_a_group(file: Path) -> None:
    table = read_label_file(file)
    assert table.attributes == ("age=adult", "age=old", "age=young", "hat")
    assert table.groups == {"age": ("age=adult", "age=old", "age=young")}
    assert table.labels[:, :3].tolist() == [[0, 0, 1], [1, 0, 0], [-1, -1, -1], [0, 1, 0]]


def test_columns_named_as_words_of_a_group_are_one(tmp_path: Path) -> None:
    header = ("image", "age=young", "age=old", "hat", "size=large")
    path = write_rows(tmp_path / "a.csv", header, ("a.png", 1, 0, 1, 1), ("b.png", 0, 1, 0, 0))
    assert read_label_file(path).groups == {"age": ("age=young", "age=old")}


def test_a_row_with_two_of_a_group_is_named(tmp_path: Path) -> None:
    header = ("image", "age=young", "age=old", "hat")
    path = write_rows(tmp_path / "a.csv", header, ("a.png", 1, 0, 1), ("b.png", 1, 1, 0))
    table = read_label_file(path)
    with pytest.raises(VAAError, match=r"a\.csv: row 3 has both age=young and age=old") as error:
        choose_attributes(table, None)
    assert "\n" not in str(error.value)
    assert choose_attributes(table, "hat").groups == {}


def test_groups_lose_attributes_that_are_not_chosen(file: Path) -> None:
    table = read_label_file(file)
    assert choose_attributes(table, "age=old,hat,age=young").groups == {
        "age": ("age=old", "age=young")
    }
    assert choose_attributes(table, "age=old,hat").groups == {}
    assert choose_attributes(table, "age,hat").groups == table.groups


def test_joined_attributes_are_in_no_group(file: Path, tmp_path: Path) -> None:
    choice = tmp_path / "choice.yaml"
    choice.write_text("grown: [age=adult, age=old]\nage=young: age=young\nhat: hat\n")
    assert choose_attributes(read_label_file(file), str(choice)).groups == {}


def test_a_prepared_folder_keeps_groups(tmp_path: Path) -> None:
    table = make_table(
        [[1, 0, 1], [0, 1, 0]], splits=[0, 1], attributes=("age=young", "age=old", "hat")
    )
    groups = {"age": ("age=young", "age=old")}
    object.__setattr__(table, "groups", groups)
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    prepared = read_prepared(tmp_path / "prepared")
    assert prepared.groups == groups
    assert prepared.split("val").groups == groups


def test_a_number_among_words_is_named(tmp_path: Path) -> None:
    rows = [(f"{i}.png", ("young", "old")[i % 2], 1) for i in range(20)]
    rows[7] = ("7.png", "37", 1)
    table = read_label_file(write_rows(tmp_path / "a.csv", ("image", "age", "hat"), *rows))
    assert table.groups == {"age": ("age=old", "age=young")}
    found = r"a\.csv: row 9, column 'age': '37' is a number among words"
    with pytest.raises(VAAError, match=found):
        choose_attributes(table, None)
    assert choose_attributes(table, "hat").attributes == ("hat",)


def test_a_column_of_numbers_is_no_group(tmp_path: Path) -> None:
    rows = [(f"{i}.png", ("38", "39", "L", "XL")[i % 4], 1) for i in range(20)]
    table = read_label_file(write_rows(tmp_path / "a.csv", ("image", "size", "hat"), *rows))
    assert table.attributes == ("hat",)
    assert any("size" in note for note in table.notes)


def test_none_of_a_group(tmp_path: Path) -> None:
    rows = [("a.png", "young"), ("b.png", "(none)"), ("c.png", ""), ("d.png", "old")]
    table = read_label_file(write_rows(tmp_path / "a.csv", ("image", "age"), *rows))
    assert table.attributes == ("age=old", "age=young")
    assert table.labels.tolist() == [[0, 1], [0, 0], [-1, -1], [1, 0]]


def test_values_of_a_group() -> None:
    labels = np.array([[0, 1, 0], [0, 0, 0], [1, 1, 0], [-1, 0, 0], [1, -1, 0]], dtype=np.int8)
    assert group_values(labels, [0, 2]).tolist() == [2, 2, 0, -1, 0]


def test_names_of_groups() -> None:
    assert named_groups(["a=b", "a=c", "x=y", "=z", "=w", "p", "a="]) == {"a": ("a=b", "a=c")}
