"""The `celeba` format: CelebA's text files, and the same as CSV."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.dataset_trees import (
    CELEBA_ATTRIBUTES,
    CELEBA_FACES,
    Faces,
    assert_consistent,
    celeba_faces,
    make_celeba,
    mentions,
    picture_names,
    refusal,
)
from vaa_cli.core.datasets.formats.celeba import read
from vaa_cli.core.labels.table import LabelTable

FORMS = ("txt", "csv")
# The picture that the tests of refusals break, and its lines in the two forms.
BROKEN = "000014.jpg"
LINES = {"txt": 16, "csv": 15}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "Celeb A"


def assert_faces(
    table: LabelTable, root: Path, faces: Faces = CELEBA_FACES, pictures: str = "img_align_celeba"
) -> None:
    """The table has exactly these faces, in order."""
    assert_consistent(table, root)
    assert table.row_images == [f"{pictures}/{name}" for name in faces.labels]
    assert table.attributes == tuple(faces.attributes)
    expected = [[{1: 1, -1: 0}[int(str(v))] for v in row] for row in faces.labels.values()]
    assert table.labels.tolist() == expected
    assert table.splits is not None
    assert table.splits.tolist() == [faces.parts[name] for name in faces.labels]
    assert table.boxes is None and table.identities is None


# What is read


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("attributes", "partition"), [("", ""), ("Anno", "Eval")])
@pytest.mark.parametrize("pictures", ["img_align_celeba", "img_align_celeba/img_align_celeba"])
def test_every_value_in_every_layout(
    root: Path, form: str, attributes: str, partition: str, pictures: str
) -> None:
    make_celeba(root, CELEBA_FACES, form, attributes, partition, pictures)
    table = read(root)
    assert_faces(table, root, pictures=pictures)
    assert all(Path(table.path(row)).is_file() for row in range(len(table)))


def test_the_default_tree_has_what_readers_trip_over(root: Path) -> None:
    assert picture_names(make_celeba(root) / "img_align_celeba") == list(CELEBA_FACES.labels)
    assert set(CELEBA_FACES.parts.values()) == {0, 1, 2}
    assert len(set(CELEBA_ATTRIBUTES)) == 40
    values = np.array(list(CELEBA_FACES.labels.values()))
    assert all(set(column) == {-1, 1} for column in values.T.tolist())
    text = (root / "list_attr_celeba.txt").read_text()
    assert re.search(r"jpg {2}1 ", text) and " -1  1" in text


@pytest.mark.parametrize("form", FORMS)
def test_parts_are_joined_by_name(root: Path, form: str) -> None:
    parts = dict(sorted(CELEBA_FACES.parts.items(), reverse=True))
    make_celeba(root, replace(CELEBA_FACES, parts=parts), form)
    assert_faces(read(root), root)


@pytest.mark.parametrize("form", FORMS)
def test_parts_are_not_in_order_of_the_names(root: Path, form: str) -> None:
    parts = {name: i % 3 for i, name in enumerate(CELEBA_FACES.labels)}
    faces = replace(CELEBA_FACES, parts=parts)
    assert_faces(read(make_celeba(root, faces, form)), root, faces)


@pytest.mark.parametrize("form", FORMS)
def test_one_picture(root: Path, form: str) -> None:
    faces = celeba_faces(1)
    assert_faces(read(make_celeba(root, faces, form)), root, faces)


@pytest.mark.parametrize("form", FORMS)
def test_another_number_of_attributes(root: Path, form: str) -> None:
    faces = Faces(
        labels={"000001.jpg": [1, -1, -1], "000002.jpg": [-1, 1, -1]},
        parts={"000001.jpg": 0, "000002.jpg": 2},
        attributes=("Bald", "wearing_Hat", "5_o_Clock_Shadow"),
    )
    assert_faces(read(make_celeba(root, faces, form)), root, faces)


@pytest.mark.parametrize("attributes", FORMS)
def test_one_file_of_each_form(root: Path, attributes: str) -> None:
    other = "csv" if attributes == "txt" else "txt"
    make_celeba(root, form=attributes)
    (root / f"list_eval_partition.{attributes}").unlink()
    make_celeba(root / "other", form=other)
    name = f"list_eval_partition.{other}"
    (root / "other" / name).rename(root / name)
    assert_faces(read(root), root)


def test_runs_of_blanks(root: Path) -> None:
    make_celeba(root)
    for path in (root / "list_attr_celeba.txt", root / "list_eval_partition.txt"):
        lines = path.read_text().splitlines()
        path.write_text("".join(f"  {line.replace(' ', '   ')}\t \n" for line in lines))
    assert_faces(read(root), root)


@pytest.mark.parametrize("form", FORMS)
def test_lines_as_windows_ends_them(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    for path in root.glob(f"*.{form}"):
        text = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        path.write_bytes(text + b"\r\n")
    assert_faces(read(root), root)


@pytest.mark.parametrize("form", FORMS)
def test_no_end_of_the_last_line(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    for path in root.glob(f"*.{form}"):
        path.write_bytes(path.read_bytes().rstrip())
    assert_faces(read(root), root)


@pytest.mark.parametrize("form", FORMS)
def test_missing_pictures_are_no_error(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    for name in list(CELEBA_FACES.labels)[1::2]:
        (root / "img_align_celeba" / name).unlink()
    assert_faces(read(root), root)


@pytest.mark.parametrize("form", FORMS)
def test_pictures_without_labels_are_no_error(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    first = root / "img_align_celeba" / "000001.jpg"
    (root / "img_align_celeba" / "999999.jpg").write_bytes(first.read_bytes())
    assert_faces(read(root), root)


# What is refused


def broken(**changes: object) -> Faces:
    """The faces with other labels or another part of one of them."""
    labels, parts = dict(CELEBA_FACES.labels), dict(CELEBA_FACES.parts)
    if "part" in changes:
        parts[BROKEN] = changes["part"]
    if "value" in changes:
        labels[BROKEN] = [*labels[BROKEN][:17], changes["value"], *labels[BROKEN][18:]]
    if "count" in changes:
        labels[BROKEN] = (list(labels[BROKEN]) * 2)[: int(str(changes["count"]))]
    return replace(CELEBA_FACES, labels=labels, parts=parts)


def refused(root: Path, form: str, faces: Faces) -> str:
    """The message about the attribute file, which names it and the row that is wrong."""
    message = refusal(read, make_celeba(root, faces, form))
    assert f"list_attr_celeba.{form}" in message
    assert BROKEN in message or mentions(message, LINES[form]), message
    return message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [0, 1, 39, 41, 80])
def test_a_row_of_another_length(root: Path, form: str, count: int) -> None:
    refused(root, form, broken(count=count))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0, 2, -2, 1.5, "x", "nan", "--1", "1e0", "257", "²"])
def test_a_value_that_is_neither_present_nor_absent(root: Path, form: str, value: object) -> None:
    message = refused(root, form, broken(value=value))
    assert (
        CELEBA_ATTRIBUTES[17] in message or mentions(message, 17, 18, 19) or str(value) in message
    )


def test_an_empty_cell(root: Path) -> None:
    message = refused(root, "csv", broken(value=""))
    assert CELEBA_ATTRIBUTES[17] in message or mentions(message, 17, 18, 19)


@pytest.mark.parametrize("count", ["29", "31", "0", "-30", "3O", "30 30", "thirty", "30.5", ""])
def test_a_count_that_does_not_match(root: Path, count: str) -> None:
    make_celeba(root)
    path = root / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("30\n", f"{count}\n", 1))
    assert path.name in refusal(read, root)


@pytest.mark.parametrize("count", ["29", "31"])
def test_both_counts_are_reported(root: Path, count: str) -> None:
    make_celeba(root)
    path = root / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("30\n", f"{count}\n", 1))
    message = refusal(read, root)
    assert mentions(message, int(count)) and mentions(message, 30)


def test_a_file_cut_between_lines(root: Path) -> None:
    make_celeba(root)
    path = root / "list_attr_celeba.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:20]))
    assert path.name in refusal(read, root)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("lines", [0, 1, 2])
def test_a_file_of_a_header_only(root: Path, form: str, lines: int) -> None:
    make_celeba(root, form=form)
    path = root / f"list_attr_celeba.{form}"
    kept = path.read_text().splitlines(keepends=True)[: min(lines, 1 if form == "csv" else 2)]
    path.write_text("".join(kept))
    assert path.name in refusal(read, root)


def test_a_count_of_nothing(root: Path) -> None:
    make_celeba(root, Faces(labels={}, parts=CELEBA_FACES.parts))
    assert "list_attr_celeba.txt" in refusal(read, root)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_that_is_no_text(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    path = root / f"list_attr_celeba.{form}"
    path.write_bytes(path.read_bytes().replace(b"Bald", b"B\xe4ld"))
    assert path.name in refusal(read, root)


@pytest.mark.parametrize("form", FORMS)
def test_an_attribute_twice(root: Path, form: str) -> None:
    names = list(CELEBA_ATTRIBUTES)
    names[9] = names[4]
    make_celeba(root, replace(CELEBA_FACES, attributes=names), form)
    message = refusal(read, root)
    assert f"list_attr_celeba.{form}" in message and names[4] in message


@pytest.mark.parametrize("form", FORMS)
def test_no_attribute_file(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    (root / f"list_attr_celeba.{form}").unlink()
    assert "list_attr_celeba" in refusal(read, root)


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_that_is_in_no_part(root: Path, form: str) -> None:
    parts = {name: part for name, part in CELEBA_FACES.parts.items() if name != BROKEN}
    message = refusal(read, make_celeba(root, replace(CELEBA_FACES, parts=parts), form))
    assert BROKEN in message and f"list_eval_partition.{form}" in message


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [3, -1, "train", "", "0.5", "00x", "256"])
def test_a_part_that_is_none_of_three(root: Path, form: str, part: object) -> None:
    message = refusal(read, make_celeba(root, broken(part=part), form))
    line = 14 if form == "txt" else 15
    assert f"list_eval_partition.{form}" in message
    assert BROKEN in message or mentions(message, line), message


@pytest.mark.parametrize("form", FORMS)
def test_a_partition_of_nothing(root: Path, form: str) -> None:
    make_celeba(root, form=form)
    path = root / f"list_eval_partition.{form}"
    path.write_text("image_id,partition\n" if form == "csv" else "")
    assert path.name in refusal(read, root)


def test_partition_rows_with_more_fields(root: Path) -> None:
    make_celeba(root)
    path = root / "list_eval_partition.txt"
    path.write_text(path.read_text().replace(f"{BROKEN} ", f"{BROKEN} 0 "))
    message = refusal(read, root)
    assert path.name in message and (BROKEN in message or mentions(message, 14))
