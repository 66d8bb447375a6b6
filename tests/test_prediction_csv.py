"""The prediction CSV: its contract in the design."""

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import contents
from vaa_cli.core.boxes import Box
from vaa_cli.core.errors import VAAError
from vaa_cli.core.inference import Prediction
from vaa_cli.core.model_card import ModelCard
from vaa_cli.core.prediction_csv import PredictionWriter, output_file
from vaa_cli.core.requests import Request

ATTRIBUTES = ("hat", "bag, large", 'the "best"')
THRESHOLDS = (0.5, 0.25, 0.75)


def make_card() -> ModelCard:
    return ModelCard(
        backbone="resnet18",
        attributes=ATTRIBUTES,
        thresholds=THRESHOLDS,
        priors=(0.5, 0.1, None),
        image_size=(64, 32),
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        stages=(3, 4),
        classifier="spatial",
        hidden=8,
        data="prepared",
        epoch=1,
        validation={},
    )


def predicted(path: str, *probabilities: float, box: Box | None = None) -> Prediction:
    return Prediction(Request(path, box), np.array(probabilities, dtype=np.float32))


def failed(path: str, problem: str, box: Box | None = None) -> Prediction:
    return Prediction(Request(path, box), None, problem)


def written(
    *predictions: Prediction, boxes: bool = False, decisions: bool = False
) -> list[list[str]]:
    """The cells of the CSV of some predictions."""
    text = io.StringIO(newline="")
    writer = PredictionWriter(text, make_card(), boxes, decisions)
    for prediction in predictions:
        writer.write(prediction)
    return list(csv.reader(io.StringIO(text.getvalue(), newline="")))


# Columns


def test_columns() -> None:
    header, row = written(predicted("a.jpg", 0.125, 0.5, 1.0))
    assert header == ["image", *ATTRIBUTES, "error"]
    assert (row[0], row[-1]) == ("a.jpg", "")
    assert [float(cell) for cell in row[1:-1]] == [0.125, 0.5, 1.0]


@pytest.mark.parametrize("decisions", [False, True])
def test_columns_with_boxes(decisions: bool) -> None:
    header, first, second, third = written(
        predicted("a.jpg", 1, 1, 1, box=Box(1, 2.5, 1920, 40)),
        predicted("a.jpg", 1, 1, 1),
        failed("b.jpg", "no such file", box=Box(0, 0, 3, 4)),
        boxes=True,
        decisions=decisions,
    )
    assert header == ["image", "left", "top", "width", "height", *ATTRIBUTES, "error"]
    assert [float(cell) for cell in first[1:5]] == [1, 2.5, 1920, 40]
    assert second[1:5] == ["", "", "", ""]
    assert [float(cell) for cell in third[1:5]] == [0, 0, 3, 4]
    assert third[5:] == ["", "", "", "no such file"]
    assert {len(row) for row in (first, second, third)} == {len(header)}


def test_boxes_that_nobody_asked_for_are_left_out() -> None:
    header, row = written(predicted("a.jpg", 1, 0, 1, box=Box(1, 2, 3, 4)))
    assert len(row) == len(header)
    assert [float(cell) for cell in row[1:-1]] == [1, 0, 1]


def test_errors() -> None:
    _, *rows = written(
        failed("a.jpg", "no such file"), predicted("b.jpg", 0, 0, 0), failed("c.jpg", "an, error")
    )
    assert rows[0] == ["a.jpg", "", "", "", "no such file"]
    assert rows[1][-1] == ""
    assert rows[2] == ["c.jpg", "", "", "", "an, error"]


def test_counts() -> None:
    writer = PredictionWriter(io.StringIO(), make_card(), boxes=False, decisions=False)
    assert (writer.rows, writer.failed) == (0, 0)
    for prediction in (predicted("a", 0, 0, 0), failed("b", "x"), failed("c", "y")):
        writer.write(prediction)
    assert (writer.rows, writer.failed) == (3, 2)


# Values


def test_decisions_at_and_around_the_thresholds() -> None:
    _, *rows = written(
        predicted("at", 0.5, 0.25, 0.75),
        predicted("below", 0.4999, 0.2499, 0.7499),
        predicted("above", 0.5001, 0.2501, 0.7501),
        predicted("mixed", 1.0, 0.0, 0.7),
        decisions=True,
    )
    assert [row[1:-1] for row in rows] == [
        ["1", "1", "1"], ["0", "0", "0"], ["1", "1", "1"], ["1", "0", "0"],
    ]  # fmt: skip


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_probabilities_keep_their_figures(probabilities: list[float]) -> None:
    _, row = written(predicted("a.jpg", *probabilities))
    np.testing.assert_allclose([float(cell) for cell in row[1:-1]], probabilities, atol=1e-6)
    assert all(0 <= float(cell) <= 1 for cell in row[1:-1])


# Names


letters = st.one_of(st.sampled_from(",\"'\n;\t 日😀"), st.characters(exclude_characters="\0\r"))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(letters, min_size=1, max_size=10), min_size=1, max_size=5))
def test_names_survive_in_their_order(names: list[str]) -> None:
    _, *rows = written(*(predicted(name, 0, 0, 0) for name in names))
    assert [row[0] for row in rows] == names


@pytest.mark.parametrize("name", ["Icon\r", "a\rb.jpg", "a\r\nb.jpg"], ids=repr)
def test_carriage_returns_in_names_survive(name: str) -> None:
    _, row = written(predicted(name, 0, 0, 0))
    assert row[0] == name


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_names_that_are_no_utf8_keep_their_bytes(tmp_path: Path) -> None:
    with output_file(tmp_path / "out.csv") as file:
        writer = PredictionWriter(file, make_card(), boxes=False, decisions=True)
        writer.write(predicted(os.fsdecode(b"caf\xe9, \xff.jpg"), 1, 1, 1))
        writer.write(predicted("Straße.jpg", 0, 0, 0))
    lines = (tmp_path / "out.csv").read_bytes().split(b"\n")
    assert lines[1:] == [b'"caf\xe9, \xff.jpg",1,1,1,', "Straße.jpg,0,0,0,".encode(), b""]


# Where it goes


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with output_file(path) as file:
        writer = PredictionWriter(file, make_card(), boxes=False, decisions=True)
        writer.write(predicted("a\r\nb.jpg", 1, 1, 1))
        assert path.read_text() == "old"
    with path.open(encoding="utf-8", newline="") as result:
        assert list(csv.reader(result))[1] == ["a\r\nb.jpg", "1", "1", "1", ""]
    assert contents(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, VAAError])
def test_a_file_that_is_not_whole_does_not_appear(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    with pytest.raises(stop), output_file(tmp_path / "out.csv") as file:
        writer = PredictionWriter(file, make_card(), boxes=False, decisions=False)
        writer.write(predicted("a.jpg", 1, 1, 1))
        raise stop("stop")
    assert contents(tmp_path) == []


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VAAError, match=r"out\.csv"), output_file(tmp_path / "file" / "out.csv"):
        pass


def test_rows_on_stdout_can_be_read_as_they_come(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with output_file(None) as file:
        writer = PredictionWriter(file, make_card(), boxes=False, decisions=True)
        writer.write(predicted("a.jpg", 1, 0, 1))
        header, row = capfdbinary.readouterr().out.splitlines()
        assert header.startswith(b"image,hat,") and row == b"a.jpg,1,0,1,"
        writer.write(predicted("b.jpg", 0, 0, 0))
    assert capfdbinary.readouterr().out == b"b.jpg,0,0,0,\n"
