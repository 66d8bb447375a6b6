"""The `csv` format: which table a folder means, and where its pictures are."""

import os
import re
from pathlib import Path

import pytest

from tests.helpers.pictures import plain, write_rows
from vaa_cli.core.datasets.formats.csv_folder import find_tables, read
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes


def save_pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        plain().save(folder / name)


def write_labels(path: Path, *images: str, column: str = "image") -> Path:
    """A label table in which everyone has a hat."""
    return write_rows(path, [column, "hat"], *([image, 1] for image in images))


# Which table


def test_the_file_itself(tmp_path: Path) -> None:
    path = write_labels(tmp_path / "any.txt", "a.png")
    write_labels(tmp_path / "labels.csv", "b.png")
    assert find_tables(path) == [path]


def test_labels_csv_comes_first(tmp_path: Path) -> None:
    write_labels(tmp_path / "another.csv", "a.png")
    path = write_labels(tmp_path / "labels.csv", "b.png")
    assert find_tables(tmp_path) == [path]


@pytest.mark.parametrize("column", ["image", "file", "filename", "path"])
def test_the_only_table_with_an_image_column(tmp_path: Path, column: str) -> None:
    write_rows(tmp_path / "classes.csv", ["id", "name"], [1, "hat"])
    path = write_labels(tmp_path / "people.csv", "a.png", column=column)
    write_rows(tmp_path / "z.csv", ["key", "value"])
    assert find_tables(tmp_path) == [path]


def test_several_tables_that_fit(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        write_labels(tmp_path / name, "a.png")
    write_rows(tmp_path / "classes.csv", ["id", "name"], [1, "hat"])
    with pytest.raises(VAAError) as caught:
        find_tables(tmp_path)
    assert "one.csv" in str(caught.value) and "two.csv" in str(caught.value)
    assert "classes.csv" not in str(caught.value)


@pytest.mark.parametrize("tables", [0, 2])
def test_no_table_that_fits(tmp_path: Path, tables: int) -> None:
    for i in range(tables):
        write_rows(tmp_path / f"{i}.csv", ["id", "name"], [1, "hat"])
    save_pictures(tmp_path, "a.png")
    with pytest.raises(VAAError) as caught:
        read(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert all(name in message for name in ("image", "file", "filename", "path"))


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(VAAError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_what_is_wrong_with_the_table_is_reported(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png", "b.png")
    write_rows(tmp_path / "labels.csv", ["image", "hat"], ["a.png", "perhaps"], ["b.png", 1])
    with pytest.raises(VAAError, match=r"labels\.csv: row 2, column 'hat': 'perhaps'"):
        choose_attributes(read(tmp_path), None)


def test_a_column_that_holds_no_labels_matters_where_it_is_chosen(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png", "b.png")
    header = ["image", "camera", "hat", "shoes"]
    write_rows(tmp_path / "labels.csv", header, ["a.png", "c1", 1, "no"], ["b.png", "c2", 0, "red"])
    table = read(tmp_path)
    assert choose_attributes(table, "hat").labels.tolist() == [[1], [0]]
    for request in (None, "hat,shoes", "all"):
        with pytest.raises(VAAError, match=r"column 'shoes'.*`attributes` names those to keep"):
            choose_attributes(table, request)
    chosen = choose_attributes(table, "camera,hat")
    assert chosen.attributes == ("camera=c1", "camera=c2", "hat")
    assert chosen.labels.tolist() == [[1, 0, 1], [0, 1, 0]]


def test_all_cells_that_are_no_labels_are_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_pictures(tmp_path, "a.png", "b.png", "c.png")
    write_rows(
        tmp_path / "labels.csv", ["image", "hat", "bag"], ["a.png", 1, "yess"], ["b.png", "2", 0],
        ["c.png", 0, "noo"],
    )  # fmt: skip
    with pytest.raises(VAAError, match=r"3 kinds of cells are no labels, such as .*row 3.*'hat'"):
        choose_attributes(read(tmp_path), None)
    found = [re.search(r"row (\d), column '(\w+)': '(\w+)'", line) for line in caplog.messages]
    assert [match.groups() for match in found if match] == [
        ("3", "hat", "2"), ("2", "bag", "yess"), ("4", "bag", "noo"),
    ]  # fmt: skip


# A table for each split


def write_split(path: Path, *rows: tuple[object, ...]) -> None:
    write_rows(path, ["image", "hat", "bag"], *rows)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid"), ("train",)])
def test_tables_called_as_splits_are_these_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    save_pictures(tmp_path / "images", *(f"{i}.png" for i in range(len(names))))
    for i, name in enumerate(names):
        write_split(tmp_path / f"{name}.csv", (f"{i}.png", i % 2, ""))
    table = read(tmp_path)
    assert table.root == tmp_path / "images" and len(table) == len(names)
    by_image = dict(zip(table.row_images, table.labels.tolist(), strict=True))
    assert by_image == {f"{i}.png": [i % 2, -1] for i in range(len(names))}
    if len(names) > 1:
        assert table.splits is not None
        splits = dict(zip(table.row_images, table.splits.tolist(), strict=True))
        assert splits == {f"{i}.png": i for i in range(len(names))}


def test_tables_of_splits_that_do_not_fit_together(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png", "b.png")
    write_split(tmp_path / "train.csv", ("a.png", 1, 0))
    write_rows(tmp_path / "test.csv", ["image", "hat"], ["b.png", 1])
    with pytest.raises(VAAError, match="other columns"):
        read(tmp_path)
    write_rows(tmp_path / "test.csv", ["image", "split", "hat", "bag"], ["b.png", "test", 1, 0])
    with pytest.raises(VAAError, match=r"test\.csv has a column split"):
        read(tmp_path)
    write_split(tmp_path / "more.csv", ("b.png", 1, 0))
    with pytest.raises(VAAError, match=r"several label tables .*column split"):
        read(tmp_path)


# Files that are no tables


@pytest.mark.parametrize("name", ["labels.csv", "other.csv"])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(VAAError, match="pipe" if name == "labels.csv" else "no labels"):
        read(tmp_path)


def test_what_macos_leaves_beside_a_table_is_passed_over(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png")
    write_labels(tmp_path / "people.csv", "a.png")
    write_labels(tmp_path / "._people.csv", "a.png")
    assert find_tables(tmp_path) == [tmp_path / "people.csv"]


# Where the pictures are


@pytest.mark.parametrize("by", ["folder", "file"])
def test_paths_that_start_at_the_table(tmp_path: Path, by: str) -> None:
    save_pictures(tmp_path, "photos/a.png", "b.png")
    path = write_labels(tmp_path / "labels.csv", "photos/a.png", "b.png")
    table = read(tmp_path if by == "folder" else path)
    assert table.row_images == ["photos/a.png", "b.png"]
    assert all(Path(table.path(row)).is_file() for row in range(2))
    assert table.attributes == ("hat",)
    assert table.labels.tolist() == [[1], [1]]


@pytest.mark.parametrize("folder", ["images", "img", "photos"])
def test_pictures_in_a_folder_beside_the_table(tmp_path: Path, folder: str) -> None:
    save_pictures(tmp_path / folder, "a.png", "sub/b.png")
    write_labels(tmp_path / "labels.csv", "a.png", "sub/b.png")
    table = read(tmp_path)
    assert table.row_images == ["a.png", "sub/b.png"]
    assert all(Path(table.path(row)).is_file() for row in range(2))


def test_the_folder_with_most_of_the_pictures(tmp_path: Path) -> None:
    save_pictures(tmp_path, "1.png")
    save_pictures(tmp_path / "images", "1.png", "2.png", "3.png")
    write_labels(tmp_path / "labels.csv", "1.png", "2.png", "3.png", "missing.png")
    table = read(tmp_path)
    assert table.path(1) == tmp_path / "images" / "2.png"
    assert len(table) == 4  # what is missing is dropped by those who look at each picture


def test_none_of_the_pictures_is_there(tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", "other.png")
    write_labels(tmp_path / "labels.csv", "a.png", "b.png")
    with pytest.raises(VAAError) as caught:
        read(tmp_path)
    assert str(tmp_path / "a.png") in str(caught.value) and "images" in str(caught.value)


def test_one_picture_spelt_in_two_ways(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png", "sub/b.png")
    write_labels(tmp_path / "labels.csv", "./a.png", "sub//b.png", "sub/./b.png", "a.png")
    assert read(tmp_path).row_images == ["a.png", "sub/b.png", "sub/b.png", "a.png"]


@pytest.mark.parametrize("name", ["images\\a.png", " images/a.png", "a.png ", " images\\a.png"])
def test_names_as_other_systems_and_people_spell_them(tmp_path: Path, name: str) -> None:
    save_pictures(tmp_path / "images", "a.png", "b.png")
    write_rows(
        tmp_path / "labels.csv", ["hat", "image"], [1, f"{name}"], [0, name.replace("a.", "b.")]
    )
    table = read(tmp_path)
    assert [table.path(row) for row in range(2)] == [
        tmp_path / "images" / "a.png", tmp_path / "images" / "b.png",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_file_of_the_very_name_comes_first(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a\\b.png", "a/b.png", "c.png")
    write_labels(tmp_path / "labels.csv", "a\\b.png", "c.png")
    assert read(tmp_path).row_images == ["a\\b.png", "c.png"]


def test_a_name_with_backslashes_cannot_leave_the_folder(tmp_path: Path) -> None:
    save_pictures(tmp_path, "secret.png", "d/a.png")
    write_labels(tmp_path / "d" / "labels.csv", "..\\secret.png", "a.png")
    with pytest.raises(VAAError, match="leaves the dataset folder"):
        read(tmp_path / "d")


def test_a_path_longer_than_any_file_has(tmp_path: Path) -> None:
    save_pictures(tmp_path, "a.png")
    write_labels(tmp_path / "labels.csv", "x" * 5000, "a.png")
    assert read(tmp_path).root == tmp_path
