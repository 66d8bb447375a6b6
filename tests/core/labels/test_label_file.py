"""The CSV form of label tables: the `csv` row of the dataset formats."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.pictures import make_table, write_rows
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.label_file import (
    read_label_file,
    read_prepared_csv,
    require_column_names,
)
from vaa_cli.core.labels.label_header import EmptyMeaning, TableOptions
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system import csv_reader
from vaa_cli.core.system.csv_reader import read_csv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def table_of(path: Path, text: str) -> LabelTable:
    """The table that a CSV of this text gives."""
    path.write_text(text, encoding="utf-8", newline="")
    return read_label_file(path)


def refusal(path: Path, text: str | bytes) -> str:
    """The message with which a CSV is refused; it is one line and names the file."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(VAAError) as caught:
        choose_attributes(read_label_file(path), None)
    message = str(caught.value)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return message


# Cells


@pytest.mark.parametrize(
    ("cell", "label"),
    [
        *((cell, 1) for cell in ("1", "true", "True", "TRUE", "yes", "Yes", "YES", "yEs")),
        *((cell, 1) for cell in ("x", "X", "ja", "Ja", "oui", "si", "sí", "y", "t", "✓", "1.0")),
        *((cell, 0) for cell in ("0", "false", "False", "FALSE", "no", "No", "NO", "nO")),
        *((cell, 0) for cell in ("nein", "Non", "n", "f", "0.0")),
        *((cell, -1) for cell in ("", "NA", "na", "Na", "n/a")),
    ],
)
@pytest.mark.parametrize("around", ["{}", " {}", "{}  ", "  {} "], ids=repr)
def test_every_spelling_of_a_cell(path: Path, cell: str, label: int, around: str) -> None:
    table = table_of(path, f"image,hat,bag\na.jpg,{around.format(cell)},0\nb.jpg,1,1\n")
    assert table.labels.dtype == np.int8
    assert table.labels.tolist() == [[label, 0], [1, 1]]


def test_minus_one_is_absent_where_there_is_no_zero(path: Path) -> None:
    table = table_of(path, "image,a,b\n1.jpg,1,-1\n2.jpg,-1,\n3.jpg, -1 ,NA\n")
    assert table.labels.tolist() == [[1, 0], [0, -1], [0, -1]]


def test_minus_one_is_unspecified_where_there_is_a_zero(path: Path) -> None:
    # One zero anywhere in the table is enough.
    table = table_of(path, "image,a,b\n1.jpg,1,-1\n2.jpg,-1,1\n3.jpg,1,0\n")
    assert table.labels.tolist() == [[1, -1], [-1, 1], [1, 0]]


@pytest.mark.parametrize("cell", ["2", "-2", "0.5", "maybe", "10", "truely", "-", "?", "yess"])
def test_another_cell_is_an_error(path: Path, cell: str) -> None:
    text = f"image,hat,dark coat\n1.jpg,1,0\n2.jpg,0,{cell}\n3.jpg,0,0\n4.jpg,0,{cell}\n"
    message = refusal(path, text)
    assert "row 3" in message and "dark coat" in message and repr(cell) in message


def test_rows_count_as_in_a_spreadsheet_past_names_of_two_lines(path: Path) -> None:
    assert "row 3" in refusal(path, 'image,hat\n"two\nlines.jpg",1\n2.jpg,maybe\n')


def test_rows_count_as_in_a_spreadsheet_past_blank_lines(path: Path) -> None:
    assert "row 5" in refusal(path, "image,hat\n\n1.jpg,1\n\n2.jpg,maybe\n")


def test_blank_lines_at_the_end_are_no_rows(path: Path) -> None:
    assert table_of(path, "image,hat\n1.jpg,1\n\n\n").row_images == ["1.jpg"]


# Columns


def test_numbers_and_text_are_no_attributes(path: Path) -> None:
    rows = "".join(f"{i}.jpg,{i % 2},{20 + i},seen on day {i},p{i % 2}\n" for i in range(30))
    table = table_of(path, f"image,hat,age,note,id\n{rows}")
    assert table.attributes == ("hat", "id=p0", "id=p1")
    assert table.notes == (
        "age is numbers such as '20', and no attribute",
        "note is text such as 'seen on day 0', and no attribute",
        "id is an attribute a word: p0, p1",
    )
    table = read_label_file(path, TableOptions(ignore=("id", "note")))
    assert (table.attributes, len(table.notes)) == (("hat",), 1)
    with pytest.raises(VAAError, match="no column 'nota' to ignore; it has image, hat"):
        read_label_file(path, TableOptions(ignore=("nota",)))


def test_words_become_an_attribute_each(path: Path) -> None:
    table = table_of(
        path, "image,age,hat\na.jpg,young,1\nb.jpg, adult ,0\nc.jpg,,0\nd.jpg,young,\n"
    )
    assert table.attributes == ("age=adult", "age=young", "hat")
    assert table.labels.tolist() == [[0, 1, 1], [1, 0, 0], [-1, -1, 0], [0, 1, -1]]


def test_a_column_is_categorical_across_chunks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "_CHUNK", 3)
    words = ["red", "", "blue", "green", "red", "green", "blue", ""]
    rows = "".join(f"{i}.jpg,{word},{i}.5\n" for i, word in enumerate(words))
    table = table_of(path, f"image,coat,size\n{rows}")
    assert table.attributes == ("coat=blue", "coat=green", "coat=red")
    expected = [
        [-1] * 3 if not word else [int(word == one) for one in ("blue", "green", "red")]
        for word in words
    ]
    assert table.labels.tolist() == expected


@pytest.mark.parametrize("column", ["image", "file", "filename", "path", "file_name", "IMG"])
def test_names_of_the_image_column(path: Path, column: str) -> None:
    table = table_of(path, f"hat,{column},bag\n1,a/b.jpg,0\n")
    assert table.row_images == ["a/b.jpg"]
    assert table.attributes == ("hat", "bag")
    assert table.labels.tolist() == [[1, 0]]
    assert table.splits is None and table.boxes is None
    assert table.root == path.parent
    assert table.path(0) == path.parent / "a" / "b.jpg"
    assert table.box(0) is None


def test_no_image_column(path: Path) -> None:
    message = refusal(path, "Bild,hat\na.jpg,1\n")
    assert all(name in message for name in ("image", "file", "filename", "path", "Bild, hat"))
    table = read_label_file(path, TableOptions(image_column="Bild"))
    assert (table.row_images, table.attributes) == (["a.jpg"], ("hat",))
    with pytest.raises(VAAError, match="no column 'bild'; it has Bild, hat"):
        read_label_file(path, TableOptions(image_column="bild"))


def test_attributes_keep_their_order_and_lose_spaces_around_them(path: Path) -> None:
    table = table_of(path, "z,image, a b ,split,m\n1,1.jpg,0,test,1\n")
    assert table.attributes == ("z", "a b", "m")
    assert table.labels.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("cell", "split"),
    [
        *((cell, 0) for cell in ("train", "Train", "TRAIN", " train ", "training")),
        *((cell, 1) for cell in ("val", "Val", " val", "valid", "validation", "dev")),
        *((cell, 2) for cell in ("test", "TEST", "test ", "testing")),
    ],
)
def test_split_names(path: Path, cell: str, split: int) -> None:
    table = table_of(path, f"image,split,hat\na.jpg,{cell},1\nb.jpg,train,0\n")
    assert table.splits is not None
    assert table.splits.tolist() == [split, 0]
    assert table.attributes == ("hat",)


@pytest.mark.parametrize("cell", ["exam", "", "0", "NA"])
def test_unknown_split(path: Path, cell: str) -> None:
    message = refusal(path, f"image,split,hat\na.jpg,test,1\nb.jpg,{cell},0\n")
    assert "row 3" in message and "split" in message and repr(cell) in message
    assert all(name in message for name in ("train", "val", "test"))


@pytest.mark.parametrize("header", ["image,a,b,a", "image,a,image", "image, a,a", "image,x,x,x,a"])
def test_a_column_that_stands_there_twice(path: Path, header: str) -> None:
    cells = ",".join(["a.jpg", *["1"] * header.count(",")])
    message = refusal(path, f"{header}\n{cells}\n")
    twice = {"image,a,image": "image", "image,x,x,x,a": "x"}.get(header, "a")
    assert repr(twice) in message


def test_a_column_named_like_pandas_names_repeats_is_none(path: Path) -> None:
    assert table_of(path, "image,a,a.1\n1.jpg,1,0\n").attributes == ("a", "a.1")


@pytest.mark.parametrize("header", ["image", "image,split", "image,left,top,width,height"])
def test_no_attribute_columns(path: Path, header: str) -> None:
    cells = {"image": "a.jpg", "split": "train"}
    row = ",".join(cells.get(name, "5") for name in header.split(","))
    assert "attribute" in refusal(path, f"{header}\n{row}\n")


def test_a_column_without_a_name(path: Path) -> None:
    assert "column 3" in refusal(path, "image,hat,,bag\na.jpg,1,1,0\n")


# Boxes


BOX_HEADER = "image,left,top,width,height,hat\n"


def test_boxes(path: Path) -> None:
    table = table_of(path, BOX_HEADER + "a.jpg,1, 2.5,30,4e1,1\nb.jpg,, ,,,0\n")
    assert table.boxes is not None
    np.testing.assert_array_equal(table.boxes, [[1, 2.5, 30, 40], [math.nan] * 4])
    assert table.box(0) == Box(1, 2.5, 30, 40)
    assert table.box(1) is None
    assert table.attributes == ("hat",)


def test_box_columns_stand_in_any_order(path: Path) -> None:
    table = table_of(path, "height,hat,width,image,top,left\n4,1,3,a.jpg,2,1\n")
    assert table.box(0) == Box(left=1, top=2, width=3, height=4)
    assert table.attributes == ("hat",)


@pytest.mark.parametrize("missing", ["left", "top", "width", "height"])
def test_fewer_than_four_box_columns_are_attributes(path: Path, missing: str) -> None:
    # A lone `top` is a piece of clothing.
    columns = [name for name in ("left", "top", "width", "height") if name != missing]
    table = table_of(path, f"image,{','.join(columns)},hat\na.jpg,1,0,,1\n")
    assert table.boxes is None
    assert table.attributes == (*columns, "hat")
    assert table.labels.tolist() == [[1, 0, -1, 1]]


@pytest.mark.parametrize("missing", ["left", "top", "width", "height"])
def test_pixels_in_fewer_than_four_box_columns_are_an_error(path: Path, missing: str) -> None:
    columns = [name for name in ("left", "top", "width", "height") if name != missing]
    message = refusal(path, f"image,{','.join(columns)},hat\na.jpg,100,200,300,1\n")
    assert "numbers in 'left'" in message or "numbers in 'top'" in message
    assert "left, top, width, height" in message and missing not in message.split("but")[0]


@pytest.mark.parametrize("cells", ["1,2,3,", ",2,3,4", "1,,,", "1,2, ,4"])
def test_a_box_in_part(path: Path, cells: str) -> None:
    message = refusal(path, f"{BOX_HEADER}a.jpg,1,2,3,4,1\nb.jpg,{cells},1\n")
    assert "row 3" in message


@pytest.mark.parametrize("cell", ["wide", "3px", "nan", "inf", "-inf", "1 2", "None", "true"])
def test_a_box_that_is_no_number(path: Path, cell: str) -> None:
    message = refusal(path, f"{BOX_HEADER}a.jpg,1,2,3,4,1\nb.jpg,1,2,{cell},4,1\n")
    assert "row 3" in message and "'width'" in message and repr(cell) in message


@pytest.mark.parametrize("header", ["left,top,width,height,Top", "Top,left,top,width,height"])
def test_a_piece_of_clothing_beside_boxes(path: Path, header: str) -> None:
    """The column that is spelt like the box's is it; CCP has an attribute `top`."""
    cells = {"left": "1", "top": "2", "width": "3", "height": "4", "Top": "0"}
    row = ",".join(cells[name] for name in header.split(","))
    table = table_of(path, f"image,{header}\na.jpg,{row}\n")
    assert table.attributes == ("Top",) and table.labels.tolist() == [[0]]
    assert table.box(0) == Box(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("attributes", "boxes"),
    [(["image"], False), (["hat", "split"], False), (["Split"], True), (["top"], True),
     (["left", "top", "width", "height"], False), (["Left", "TOP", "width", "height"], False)],
)  # fmt: skip
def test_attributes_that_would_be_taken_for_columns(attributes: list[str], boxes: bool) -> None:
    table = make_table(
        [[1] * len(attributes)], boxes=[(1, 2, 3, 4)] if boxes else None, attributes=attributes
    )
    with pytest.raises(VAAError, match="`attributes`"):
        require_column_names(table)


@pytest.mark.parametrize(
    ("attributes", "boxes"), [(["top"], False), (["Top", "Image", "file"], True), (["path"], False)]
)
def test_attributes_named_nearly_like_columns(
    tmp_path: Path, attributes: list[str], boxes: bool
) -> None:
    table = make_table(
        [[1] * len(attributes)], splits=[0], boxes=[(1, 2, 3, 4)] if boxes else None,
        attributes=attributes, root=tmp_path,
    )  # fmt: skip
    require_column_names(table)
    write_prepared(tmp_path / "prepared", table, Origin("x", "csv"))
    train = read_prepared(tmp_path / "prepared").splits["train"]
    assert train.attributes == table.attributes and train.box(0) == table.box(0)
    assert train.row_images == table.row_images


# Repeated rows


def test_rows_that_say_the_same_stay_for_who_drops_them(path: Path) -> None:
    table = table_of(path, "image,hat\na.jpg,1\nb.jpg,1\n./a.jpg,1\n")
    assert table.row_images == ["a.jpg", "b.jpg", "a.jpg"]


def test_the_same_picture_in_two_splits(path: Path) -> None:
    message = refusal(path, "image,split,hat\na.jpg,train,1\na.jpg,test,1\n")
    assert "rows 2 and 3" in message


def test_the_same_picture_with_other_labels(path: Path) -> None:
    message = refusal(path, "image,hat\na.jpg,1\nb.jpg,1\nc.jpg,0\nb.jpg,0\n")
    assert "rows 3 and 5" in message and "b.jpg" in message


def test_the_same_picture_and_box_twice(path: Path) -> None:
    message = refusal(path, f"{BOX_HEADER}a.jpg,1,2,3,4,1\nb.jpg,,,,,1\na.jpg,1,2.0,3,4,0\n")
    assert "rows 2 and 4" in message and "a.jpg" in message


def test_the_repeated_rows_are_named_among_others_of_the_picture(path: Path) -> None:
    rows = "a.jpg,1,2,3,4,1\na.jpg,5,6,7,8,1\na.jpg,5,6,7,8,0\n"
    assert "rows 3 and 4" in refusal(path, BOX_HEADER + rows)


def test_a_whole_picture_twice_beside_its_boxes(path: Path) -> None:
    rows = "a.jpg,,,,,1\na.jpg,5,6,7,8,1\na.jpg,,,,,0\n"
    assert "rows 2 and 4" in refusal(path, BOX_HEADER + rows)


def test_several_boxes_in_one_picture(path: Path) -> None:
    table = table_of(path, BOX_HEADER + "a.jpg,1,2,3,4,1\na.jpg,1,2,3,5,0\na.jpg,,,,,1\n")
    assert table.row_images == ["a.jpg"] * 3
    assert [table.box(row) for row in range(3)] == [Box(1, 2, 3, 4), Box(1, 2, 3, 5), None]


# Paths


@pytest.mark.parametrize("name", ["/etc/a.jpg", "../a.jpg", "x/../../a.jpg", "x/.."])
def test_pictures_outside_the_folder(path: Path, name: str) -> None:
    message = refusal(path, f"image,hat\nfine.jpg,1\n{name},1\n")
    assert "row 3" in message and "'image'" in message and repr(name) in message


def test_dots_in_a_name_are_no_way_out(path: Path) -> None:
    assert table_of(path, "image,hat\na..b/..c.jpg,1\n").row_images == ["a..b/..c.jpg"]


def test_a_row_that_names_no_picture(path: Path) -> None:
    message = refusal(path, "file,hat\na.jpg,1\n,1\n")
    assert "row 3" in message and "'file'" in message


# Files


def test_an_empty_file(path: Path) -> None:
    assert "empty" in refusal(path, "")


def test_a_header_alone(path: Path) -> None:
    assert "no rows" in refusal(path, "image,hat\n")


@pytest.mark.parametrize("mark", [";", "\t", ","])
@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_tables_as_spreadsheets_write_them(path: Path, mark: str, coding: str) -> None:
    rows = [
        ["image", '"hat; or, cap"', "left", "top", "width", "height"],
        ["Straße.jpg", "x", '"1,5"', "2", "3", "4"],
        ["b.jpg", "nein", "0", "0", "7", "7"],
    ]
    content = "\r\n".join(mark.join(row) for row in rows)
    path.write_bytes(content.encode(coding))
    table = read_label_file(path)
    assert table.row_images == ["Straße.jpg", "b.jpg"]
    assert table.attributes == ("hat; or, cap",)
    assert table.labels.tolist() == [[1], [0]]
    assert table.boxes is not None and table.boxes.tolist()[0] == [1.5, 2, 3, 4]
    expected = {
        "utf-8": "UTF-8",
        "utf-8-sig": "UTF-8",
        "cp1252": "Windows-1252",
        "utf-16": "UTF-16",
    }
    named = {",": "commas", ";": "semicolons", "\t": "tabs"}[mark]
    assert str(csv_reader.dialect_of(path)) == f"{expected[coding]} with {named}"


def test_another_encoding_far_down(path: Path) -> None:
    rows = "".join(f"{i}.jpg,1\n" for i in range(20_000))
    path.write_bytes(f"image,hat\n{rows}Straße.jpg,1\n".encode("cp1252"))
    assert read_label_file(path).row_images[-1] == "Straße.jpg"


def test_a_byte_order_mark_is_no_part_of_the_name(path: Path) -> None:
    path.write_bytes("\ufeffimage,hat\nStraße.jpg,1\n".encode())
    table = read_label_file(path)
    assert table.row_images == ["Straße.jpg"]
    assert table.attributes == ("hat",)


def test_windows_line_ends(path: Path) -> None:
    table = table_of(path, "image,hat\r\na.jpg,1\r\nb.jpg,\r\n")
    assert (table.attributes, table.row_images) == (("hat",), ["a.jpg", "b.jpg"])
    assert table.labels.tolist() == [[1], [-1]]


@pytest.mark.parametrize(
    "rows",
    ["a.jpg,1,0,1\nb.jpg,1,0\n", "a.jpg,1,0\nb.jpg,1,0,1\n", "a.jpg,1,0,\nb.jpg,1,0,\n"],
    ids=["first", "later", "all"],
)
def test_rows_with_too_many_cells(path: Path, rows: str) -> None:
    refusal(path, f"image,hat,bag\n{rows}")


@pytest.mark.parametrize("row", ["b.jpg,1", "b.jpg", "b.jpg,1,0,1", "b.jpg,1,0,"])
@pytest.mark.parametrize("behind", ["", "\n", "\n\n", "\nc.jpg,1,0\n"])
def test_a_row_with_more_or_fewer_cells_than_the_header(path: Path, row: str, behind: str) -> None:
    message = refusal(path, f"image,hat,bag\na.jpg,1,0\n\n{row}{behind}")
    assert "row 4" in message and "(3)" in message
    assert ("has fewer cells" in message) == (row.count(",") < 2)


def test_spaces_behind_commas_are_no_part_of_cells(path: Path) -> None:
    text = 'image, split, "hat, red", bag \na.jpg, train, 0, 1\n" b.jpg" , val, 1 , \n'
    table = table_of(path, text)
    assert table.attributes == ("hat, red", "bag")
    assert table.labels.tolist() == [[0, 1], [1, -1]]
    assert table.row_images[0] == "a.jpg" and table.row_images[1].strip() == "b.jpg"


def test_names_of_prepared_tables_keep_their_spaces(path: Path) -> None:
    names = [" a.jpg", "b.jpg ", "c,d.jpg"]
    write_rows(path, ["image", "hat"], *([name, 1] for name in names))
    assert read_prepared_csv(path, path.parent, ("hat",)).row_images == names


@pytest.mark.parametrize("content", ["image,hat\na.jpg,1\nb\0.jpg,1\n", "image,h\0at\na.jpg,1\n"])
def test_a_nul_character(path: Path, content: str) -> None:
    assert "NUL" in refusal(path, content)


def test_a_line_that_does_not_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaa_cli.core.system.input_files._LONGEST_LINE", 100)
    assert "does not end" in refusal(path, "image,hat\na.jpg,1\n" + "x" * 200)


# The column of problems


def test_an_empty_column_of_problems_is_none_of_an_attribute(path: Path) -> None:
    """So that `vaa predict --decisions > labels.csv` gives labels."""
    for name in ("error", "Error"):
        table = table_of(path, f"image,hat,{name}\na.jpg,1,\nb.jpg,0, \n")
        assert table.attributes == ("hat",)


def test_problems_are_no_labels(path: Path) -> None:
    for cell in ("no such file", "1"):
        message = refusal(path, f"image,hat,error\na.jpg,1,\nb.jpg,,{cell}\n")
        assert "row 3" in message and "'error'" in message


def test_no_attribute_is_called_as_the_column_of_problems(path: Path) -> None:
    table = replace(table_of(path, "image,hat\na.jpg,1\n"), attributes=("error",))
    with pytest.raises(VAAError, match="'error'"):
        require_column_names(table)


def test_a_blank_line_before_the_header(path: Path) -> None:
    # Skipped as spreadsheets do, or refused in words; not a crash.
    try:
        table = table_of(path, "\nimage,hat\na.jpg,1\n")
    except VAAError as error:
        assert str(path) in str(error)
    else:
        assert (table.row_images, table.attributes) == (["a.jpg"], ("hat",))


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(VAAError, match=r"labels\.csv"):
        read_label_file(path)


def test_read_csv_gives_text_as_it_stands(path: Path) -> None:
    write_rows(path, ["a", " b "], ["007", "NA"], ["", "1.50"], [" x ", "null"])
    frame = read_csv(path)
    assert list(frame.columns) == ["a", "b"]
    assert frame.to_numpy().tolist() == [["007", "NA"], ["", "1.50"], ["x ", "null"]]
    assert read_csv(path, spaces=False).to_numpy().tolist()[2] == [" x ", "null"]


def test_two_image_columns(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", ("image", "file", "hat"), ("a.png", "b.png", 1))
    with pytest.raises(VAAError, match="2 image columns, image and file"):
        read_label_file(path)
    assert read_label_file(path, TableOptions(ignore=("file",))).row_images == ["a.png"]
    chosen = TableOptions(image_column="file", ignore=("image",))
    assert read_label_file(path, chosen).row_images == ["b.png"]


@pytest.mark.parametrize(("empty", "label"), [("unspecified", -1), ("absent", 0)])
def test_what_an_empty_cell_means(tmp_path: Path, empty: EmptyMeaning, label: int) -> None:
    rows = (("a.png", "x", "NA"), ("b.png", "", "0"), ("c.png", " ", "1"))
    path = write_rows(tmp_path / "a.csv", ("image", "hat", "bag"), *rows)
    table = read_label_file(path, TableOptions(empty=empty))
    assert table.labels.tolist() == [[1, -1], [label, 0], [label, 1]]
    assert any("`empty`" in note for note in table.notes) == (empty == "unspecified")


def test_a_workbook_is_read_as_a_table(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (
        ("Image", "hat", "age", "left", "top", "width", "height"),
        ("a.png", "ja", "young", 1, 2.5, 3, 4),
        ("b.png", "nein", "old", None, None, None, None),
    ):
        book.active.append(row)
    book.save(tmp_path / "labels.xlsx")
    table = read_label_file(tmp_path / "labels.xlsx")
    assert table.attributes == ("hat", "age=old", "age=young")
    assert table.labels.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert table.box(0) == Box(1, 2.5, 3, 4) and table.box(1) is None
