"""The prepared folder: its contract in the design, and that tables survive it."""

import csv
import json
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers.pictures import make_table
from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import SPLITS, LabelTable

FILES = ["dataset.json", "priors.csv", "test.csv", "train.csv", "val.csv"]
RESERVED = {"image", "file", "filename", "path", "split", "left", "top", "width", "height"}

# A table is read from UTF-8, so that its names have no surrogates; nor can a file name have NUL.
letters = st.one_of(
    st.sampled_from(',,""\'\n ;#\\aß日😀\u0301'),
    st.characters(codec="utf-8", exclude_characters="\0\r/"),
)
image_names = st.lists(
    st.text(letters, min_size=1, max_size=8).filter(lambda name: name != ".."),
    min_size=1,
    max_size=2,
).map("/".join)
attribute_names = st.text(letters, min_size=1, max_size=8).filter(
    lambda name: name.strip() == name and name.lower() not in RESERVED
)
sides = st.floats(-1e4, 1e4).map(lambda side: round(side, 3))


@st.composite
def tables(draw: st.DrawFn) -> LabelTable:
    """Tables with splits, as prepare hands them to the prepared folder."""
    images = draw(st.lists(image_names, unique=True, min_size=1, max_size=8))
    attributes = draw(st.lists(attribute_names, unique=True, min_size=1, max_size=4))
    n, c = len(images), len(attributes)
    labels = draw(st.lists(st.sampled_from((1, 0, -1)), min_size=n * c, max_size=n * c))
    splits = draw(st.lists(st.sampled_from((0, 1, 2)), min_size=n, max_size=n))
    box = st.one_of(st.just((math.nan,) * 4), st.tuples(sides, sides, sides, sides))
    boxes = draw(st.none() | st.lists(box, min_size=n, max_size=n))
    matrix = np.array(labels).reshape(n, c).tolist()
    return make_table(matrix, images, splits, boxes, attributes)


def assert_same(actual: LabelTable, expected: LabelTable) -> None:
    """Two tables have the same rows; an empty one may have forgotten its boxes."""
    assert actual.row_images == expected.row_images
    assert actual.attributes == expected.attributes
    assert actual.labels.dtype == np.int8
    np.testing.assert_array_equal(actual.labels, expected.labels)
    for row in range(len(expected)):
        box, wanted = actual.box(row), expected.box(row)
        assert (box is None) == (wanted is None)
        if box is not None and wanted is not None:
            np.testing.assert_allclose(box, wanted, rtol=1e-12)


def read_cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    return make_table(
        [[1, 0], [-1, 0], [1, 1], [0, 1]],
        images=["a.jpg", "sub/b.jpg", "c.jpg", "d.jpg"],
        splits=[0, 0, 2, 0],
        attributes=["hat", "bag, large"],
        root=tmp_path,
    )


# What was written is what is read


@settings(max_examples=100, deadline=None, derandomize=True)
@given(table=tables())
@example(table=make_table([[-1], [-1]], ["NA", " "], [0, 1], attributes=["nan"]))
@example(table=make_table([[1, 0, -1]], ["a.jpg"], [0], attributes=["top", "width", "left"]))
@example(table=make_table([[1]], ['a\nb, "c".jpg'], [0], [[math.nan] * 4], ['x,"y"\nz']))
def test_a_table_survives(table: LabelTable) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "prepared"
        table = replace(table, root=Path(name))
        written = write_prepared(folder, table, Origin("people", "csv"))
        prepared = read_prepared(folder)
    assert prepared.attributes == table.attributes
    assert list(prepared.splits) == list(SPLITS)
    for split in SPLITS:
        assert_same(prepared.splits[split], table.split(split))
    for priors in (written, prepared.priors):
        expected = Priors.of(table.split("train"))
        assert priors.attributes == expected.attributes
        np.testing.assert_array_equal(priors.positives, expected.positives)
        np.testing.assert_array_equal(priors.negatives, expected.negatives)
        np.testing.assert_array_equal(priors.unspecified, expected.unspecified)


def test_carriage_returns_in_names_survive(tmp_path: Path) -> None:
    table = make_table(
        [[1, 0], [0, 1]], ["Icon\r", "a\rb.jpg"], [0, 0], attributes=["h\rt", "bag"], root=tmp_path
    )
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    assert_same(read_prepared(tmp_path / "prepared").split("train"), table)


def test_paths_lead_to_the_pictures_from_any_working_folder(
    table: LabelTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dataset").mkdir()
    monkeypatch.chdir(tmp_path)
    write_prepared(Path("prepared"), replace(table, root=Path("dataset")), Origin("people", "csv"))
    monkeypatch.chdir("/")
    train = read_prepared(tmp_path / "prepared").split("train")
    assert Path(train.path(1)).resolve() == (tmp_path / "dataset" / "sub" / "b.jpg").resolve()


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_root_that_is_no_utf8_survives(table: LabelTable, tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"caf\xe9")
    write_prepared(tmp_path / "prepared", replace(table, root=root), Origin("people", "csv"))
    assert read_prepared(tmp_path / "prepared").split("train").path(0) == root / "a.jpg"


# The contract


def test_files(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "new" / "prepared", table, Origin("people", "csv"))
    assert sorted(path.name for path in (tmp_path / "new" / "prepared").iterdir()) == FILES
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["prepared"]


def test_split_tables(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    header = ["image", "hat", "bag, large"]
    assert read_cells(tmp_path / "prepared" / "train.csv") == [
        header, ["a.jpg", "1", "0"], ["sub/b.jpg", "", "0"], ["d.jpg", "0", "1"],
    ]  # fmt: skip
    assert read_cells(tmp_path / "prepared" / "val.csv") == [header]
    assert read_cells(tmp_path / "prepared" / "test.csv") == [header, ["c.jpg", "1", "1"]]


def test_split_tables_with_boxes(table: LabelTable, tmp_path: Path) -> None:
    boxes = np.full((4, 4), math.nan)
    boxes[0] = 1, 2.5, 30, 40
    write_prepared(tmp_path / "prepared", replace(table, boxes=boxes), Origin("people", "csv"))
    header, first, second, _ = read_cells(tmp_path / "prepared" / "train.csv")
    assert header == ["image", "left", "top", "width", "height", "hat", "bag, large"]
    assert [float(cell) for cell in first[1:5]] == [1, 2.5, 30, 40]
    assert second[1:5] == ["", "", "", ""]


def test_priors_table(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    header, hat, bag = read_cells(tmp_path / "prepared" / "priors.csv")
    assert header == ["attribute", "positives", "negatives", "unspecified", "prior", "weight"]
    # The train split alone: hat 1, ?, 0; bag 0, 0, 1.
    assert hat[:4] == ["hat", "1", "1", "1"]
    assert bag[:4] == ["bag, large", "1", "2", "0"]
    assert float(hat[4]) == pytest.approx(0.5)
    assert float(hat[5]) == pytest.approx(math.exp(-0.5))
    assert float(bag[4]) == pytest.approx(1 / 3)
    assert float(bag[5]) == pytest.approx(math.exp(-1 / 3))


def test_a_prior_that_nothing_tells_is_empty(tmp_path: Path) -> None:
    table = make_table([[-1], [1]], splits=[0, 1], root=tmp_path)
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    _, row = read_cells(tmp_path / "prepared" / "priors.csv")
    assert row[1:5] == ["0", "0", "1", ""]
    assert float(row[5]) == 1


def test_description(table: LabelTable, tmp_path: Path) -> None:
    dropped = [Dropped("x.jpg", "no such file"), Dropped("ß.jpg", "an empty file")]
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv", dropped, 0.25))
    text = (tmp_path / "prepared" / "dataset.json").read_text(encoding="utf-8")
    description = json.loads(text)
    assert description["name"] == "people"
    assert description["format"] == "csv"
    assert Path(description["root"]) == tmp_path.resolve()
    assert description["attributes"] == ["hat", "bag, large"]
    assert description["counts"] == {"train": 3, "val": 0, "test": 1}
    assert isinstance(description["schema"], int)
    assert description["dropped"] == [
        {"image": "x.jpg", "reason": "no such file"},
        {"image": "ß.jpg", "reason": "an empty file"},
    ]


def test_an_earlier_folder_is_replaced(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("first", "csv"))
    write_prepared(tmp_path / "prepared", table.select([3, 0]), Origin("second", "csv"))
    prepared = read_prepared(tmp_path / "prepared")
    assert prepared.name == "second"
    assert prepared.split("train").row_images == ["d.jpg", "a.jpg"]


def test_a_folder_of_other_files_is_left_alone(table: LabelTable, tmp_path: Path) -> None:
    folder = tmp_path / "prepared"
    folder.mkdir()
    (folder / "thesis.tex").write_text("dear")
    with pytest.raises(VAAError, match=r"thesis\.tex"):
        write_prepared(folder, table, Origin("people", "csv"))
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


# Splits that are asked for


def test_a_split_without_pictures(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    with pytest.raises(VAAError, match="'val'"):
        read_prepared(tmp_path / "prepared").split("val")


def test_a_split_that_does_not_exist(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    with pytest.raises(VAAError, match=r"'exam'.*train"):
        read_prepared(tmp_path / "prepared").split("exam")


# Broken folders


@pytest.mark.parametrize("name", [".", "nowhere", "file", "file/below"])
def test_what_is_no_prepared_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VAAError, match="not a prepared folder"):
        read_prepared(tmp_path / name)


@pytest.mark.parametrize("split", SPLITS)
def test_a_missing_table(table: LabelTable, tmp_path: Path, split: str) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    (tmp_path / "prepared" / f"{split}.csv").unlink()
    with pytest.raises(VAAError, match=rf"{split}\.csv"):
        read_prepared(tmp_path / "prepared")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", "{}", '{"schema": 1, "name": "x"}', "\udcff"]
)
def test_a_broken_description(table: LabelTable, tmp_path: Path, text: str) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    path = tmp_path / "prepared" / "dataset.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(VAAError, match=r"dataset\.json"):
        read_prepared(tmp_path / "prepared")


@pytest.mark.parametrize(("field", "value"), [("schema", 999), ("attributes", 3), ("root", None)])
def test_a_description_of_another_kind(
    table: LabelTable, tmp_path: Path, field: str, value: object
) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    path = tmp_path / "prepared" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(VAAError, match=r"dataset\.json"):
        read_prepared(tmp_path / "prepared")


def test_a_table_with_other_attributes(table: LabelTable, tmp_path: Path) -> None:
    write_prepared(tmp_path / "prepared", table, Origin("people", "csv"))
    path = tmp_path / "prepared" / "test.csv"
    path.write_text(path.read_text().replace("hat", "cap"))
    with pytest.raises(VAAError, match=r"test\.csv"):
        read_prepared(tmp_path / "prepared")
