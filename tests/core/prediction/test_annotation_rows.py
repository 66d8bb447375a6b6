"""The labelling round trip: predictions to a tool, corrected there, and read back as labels."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.dataset_trees import named_labels
from tests.helpers.pictures import plain
from vaa_cli.core.datasets.formats.registry import detect
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.prediction.annotation_rows import labelling_configuration
from vaa_cli.core.prediction.columns import Column, Columns
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.formats import has_format, open_rows
from vaa_cli.core.prediction.predictor import Prediction

COLUMNS = Columns(
    (
        Column('hat & "cap"', (0,)),
        Column("age", (1, 2), ("<young>", "old")),
        Column("bag", (3,)),
    ),
    DecisionRule((0.5, 0.5, 0.1, 0.5), groups=((1, 2),)),
    decisions=True,
)
PROBABILITIES = (
    ("a.png", (0.9, 0.6, 0.05, 0.1)),
    ("sub/b c.png", (0.1, 0.1, 0.2, 0.9)),
    ("d.png", (0.9, 0.1, 0.05, 0.9)),
)
NAMES = ('hat & "cap"', "age=<young>", "age=old", "bag")
DECIDED = [(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 0, 1)]
ENDINGS = {"csv": "labels.csv", "cvat": "annotations.xml", "labelstudio": "labels.json"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, in which vaa predict works."""
    (tmp_path / "sub").mkdir()
    for name, _ in PROBABILITIES:
        plain(size=(40, 20)).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, format: str, boxes: bool = False) -> Path:
    """The predictions in a file of a format; one picture is broken."""
    path = folder / ENDINGS[format]
    columns = Columns(COLUMNS.columns, COLUMNS.rule, boxes=boxes, decisions=True)
    with path.open("wb") as file:
        rows = open_rows(format, file, columns)
        for number, (name, probabilities) in enumerate(PROBABILITIES):
            box = Box(2.0 + number, 1.0, 30.0, 15.5) if boxes else None
            values = np.array(probabilities, dtype=np.float32)
            rows.write(Prediction(Request(name, box), values))
            if boxes and number == 0:
                rows.write(Prediction(Request(name, Box(0, 0, 10, 10)), values))
        if format != "csv":
            rows.write(Prediction(Request("broken.png"), None, "broken"))
        rows.finish()
        rows.flush()
    assert has_format(format, path.read_bytes())
    assert not any(
        has_format(other, path.read_bytes()) for other in ("csv", "jsonl", "parquet", *ENDINGS)
        if other != format
    )  # fmt: skip
    return path


def submitted(path: Path) -> Path:
    """The file as the tool exports it once a person has seen the pre-annotations."""
    if path.suffix == ".json":
        tasks: list[dict[str, Any]] = json.loads(path.read_text())
        for task in tasks:
            task["annotations"] = task.pop("predictions")
        path.write_text(json.dumps(tasks))
    return path


def read(folder: Path, format: str) -> LabelTable:
    found = detect(folder)
    assert found.format.name == format
    return found.format.read(folder)


def labels_of(table: LabelTable) -> list[tuple[int, ...]]:
    assert sorted(table.attributes) == sorted(NAMES)
    return [tuple(row[name] for name in NAMES) for row in named_labels(table)]


@pytest.mark.parametrize("format", ENDINGS)
def test_what_comes_back_is_what_was_decided(folder: Path, format: str) -> None:
    submitted(written(folder, format))
    table = read(folder, format)
    assert table.row_images == [name for name, _ in PROBABILITIES]
    assert labels_of(table) == DECIDED
    assert set(table.groups) == {"age"}


CORRECTIONS = {
    "csv": (("a.png,1,<young>,0", "a.png,0,old,1"), ("d.png,1,(none),1", "d.png,1,(none),0")),
    "cvat": (
        ('<attribute name="bag">false</attribute>', '<attribute name="bag">true</attribute>'),
        (">&lt;young&gt;</attribute>", ">old</attribute>"),
    ),
    "labelstudio": (('"choices": ["<young>"]', '"choices": ["old"]'),),
}
CORRECTED = {
    "csv": [(0, 0, 1, 1), (0, 0, 1, 1), (1, 0, 0, 0)],
    "cvat": [(1, 0, 1, 1), (0, 0, 1, 1), (1, 0, 0, 1)],
    "labelstudio": [(1, 0, 1, 0), (0, 0, 1, 1), (1, 0, 0, 1)],
}


@pytest.mark.parametrize("format", ENDINGS)
def test_corrections_come_back(folder: Path, format: str) -> None:
    path = submitted(written(folder, format))
    text = path.read_text()
    for old, new in CORRECTIONS[format]:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text)
    table = read(folder, format)
    found, expected = by_name(named(table)), by_name(CORRECTED[format])
    if format == "csv":
        expected.pop("age=<young>"), found.pop("age=<young>")  # nobody is young any more
    assert found == expected


def by_name(rows: Sequence[tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return dict(zip(NAMES, zip(*rows, strict=True), strict=True))


def named(table: LabelTable) -> list[tuple[int, ...]]:
    return [tuple(row.get(name, 0) for name in NAMES) for row in named_labels(table)]


@pytest.mark.parametrize("format", ["cvat", "labelstudio"])
def test_boxes_come_back(folder: Path, format: str) -> None:
    submitted(written(folder, format, boxes=True))
    table = read(folder, format)
    assert table.row_images == ["a.png", "a.png", "sub/b c.png", "d.png"]
    assert table.boxes is not None
    expected = np.array([[2, 1, 30, 15.5], [0, 0, 10, 10], [3, 1, 30, 15.5], [4, 1, 30, 15.5]])
    np.testing.assert_allclose(table.boxes, expected, atol=0.01)
    assert labels_of(table) == [DECIDED[0], *DECIDED]


def test_nothing_predicted_is_whole(folder: Path) -> None:
    for format in ("cvat", "labelstudio"):
        path = folder / ENDINGS[format]
        with path.open("wb") as file:
            open_rows(format, file, COLUMNS).finish()
        assert has_format(format, path.read_bytes())
    assert json.loads((folder / "labels.json").read_text()) == []


def test_the_configuration_names_every_choice() -> None:
    from defusedxml.ElementTree import fromstring

    for has_boxes in (False, True):
        view = fromstring(labelling_configuration(COLUMNS, has_boxes))
        controls = {one.get("name"): [c.get("value") for c in one] for one in view.iter("Choices")}
        assert controls == {
            'hat & "cap"': ["yes", "no"],
            "age": ["<young>", "old", "(none)"],
            "bag": ["yes", "no"],
        }
        assert (view.find("RectangleLabels") is not None) == has_boxes
        text = labelling_configuration(COLUMNS, has_boxes)
        assert ("perRegion" in text) == has_boxes
