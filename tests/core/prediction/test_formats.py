"""CSV, JSON lines and Parquet: the contract of the predictions."""

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.prediction.columns import Column, Columns
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.formats import format_for, open_rows, prediction_line
from vaa_cli.core.prediction.predictor import Prediction

ATTRIBUTES = ("hat", "bag, large", 'the "best"')
COLUMNS = Columns(
    tuple(Column(name, (position,)) for position, name in enumerate(ATTRIBUTES)),
    DecisionRule((0.5, 0.25, 0.75)),
)


def predicted(path: str, *probabilities: float, box: Box | None = None) -> Prediction:
    return Prediction(Request(path, box), np.array(probabilities, dtype=np.float32))


def failed(path: str, problem: str, box: Box | None = None) -> Prediction:
    return Prediction(Request(path, box), None, problem)


def file_of(format: str, *predictions: Prediction, columns: Columns = COLUMNS) -> bytes:
    file = io.BytesIO()
    rows = open_rows(format, file, columns)
    for prediction in predictions:
        rows.write(prediction)
    rows.finish()
    rows.flush()
    return file.getvalue()


def cells(*predictions: Prediction, columns: Columns = COLUMNS) -> list[list[str]]:
    text = file_of("csv", *predictions, columns=columns).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def lines(*predictions: Prediction, columns: Columns = COLUMNS) -> list[dict[str, object]]:
    return [
        json.loads(line)
        for line in file_of("jsonl", *predictions, columns=columns).split(b"\n")[:-1]
    ]


def with_(**changes: object) -> Columns:
    return Columns(**{**COLUMNS.__dict__, **changes})


# CSV


def test_columns() -> None:
    header, row = cells(predicted("a.jpg", 0.125, 0.5, 1.0))
    assert header == ["image", *ATTRIBUTES, "error"]
    assert (row[0], row[-1]) == ("a.jpg", "")
    assert [float(cell) for cell in row[1:-1]] == [0.125, 0.5, 1.0]
    assert cells() == [header]


@pytest.mark.parametrize("decisions", [False, True])
def test_columns_with_boxes(decisions: bool) -> None:
    header, first, second, third = cells(
        predicted("a.jpg", 1, 1, 1, box=Box(1, 2.5, 1920, 40)),
        predicted("a.jpg", 1, 1, 1),
        failed("b.jpg", "no such file", box=Box(0, 0, 3, 4)),
        columns=with_(boxes=True, decisions=decisions),
    )
    assert header == ["image", "left", "top", "width", "height", *ATTRIBUTES, "error"]
    assert [float(cell) for cell in first[1:5]] == [1, 2.5, 1920, 40]
    assert second[1:5] == ["", "", "", ""]
    assert [float(cell) for cell in third[1:5]] == [0, 0, 3, 4]
    assert third[5:] == ["", "", "", "no such file"]
    assert {len(row) for row in (first, second, third)} == {len(header)}


def test_boxes_that_nobody_asked_for_are_left_out() -> None:
    header, row = cells(predicted("a.jpg", 1, 0, 1, box=Box(1, 2, 3, 4)))
    assert len(row) == len(header)
    assert [float(cell) for cell in row[1:-1]] == [1, 0, 1]


def test_errors() -> None:
    _, *rows = cells(
        failed("a.jpg", "no such file"), predicted("b.jpg", 0, 0, 0), failed("c.jpg", "an, error")
    )
    assert rows[0] == ["a.jpg", "", "", "", "no such file"]
    assert rows[1][-1] == ""
    assert rows[2] == ["c.jpg", "", "", "", "an, error"]


def test_decisions_at_and_around_the_thresholds() -> None:
    _, *rows = cells(
        predicted("at", 0.5, 0.25, 0.75),
        predicted("below", 0.4999, 0.2499, 0.7499),
        predicted("above", 0.5001, 0.2501, 0.7501),
        predicted("mixed", 1.0, 0.0, 0.7),
        columns=with_(decisions=True),
    )
    assert [row[1:-1] for row in rows] == [
        ["1", "1", "1"], ["0", "0", "0"], ["1", "1", "1"], ["1", "0", "0"],
    ]  # fmt: skip


def test_what_is_not_sure_enough_is_left_out() -> None:
    unsure = predicted("a.jpg", 0.19, 0.21, 0.81)
    _, row = cells(unsure, columns=with_(min_confidence=0.8))
    assert [bool(cell) for cell in row[1:-1]] == [True, False, True]
    _, row = cells(unsure, columns=with_(min_confidence=0.8, decisions=True))
    assert row[1:-1] == ["0", "", "1"]
    (line,) = lines(unsure, columns=with_(min_confidence=0.8, decisions=True))
    assert line["attributes"] == {"hat": 0, 'the "best"': 1}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_probabilities_keep_their_figures(probabilities: list[float]) -> None:
    _, row = cells(predicted("a.jpg", *probabilities))
    np.testing.assert_allclose([float(cell) for cell in row[1:-1]], probabilities, atol=1e-6)
    assert all(0 <= float(cell) <= 1 for cell in row[1:-1])
    (line,) = lines(predicted("a.jpg", *probabilities))
    assert isinstance(line["attributes"], dict)
    np.testing.assert_allclose([*line["attributes"].values()], probabilities, atol=1e-6)


letters = st.one_of(st.sampled_from(",\"'\n;\t\r 日😀"), st.characters(exclude_characters="\0"))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(letters, min_size=1, max_size=10), min_size=1, max_size=5))
def test_names_survive_in_their_order(names: list[str]) -> None:
    predictions = [predicted(name, 0, 0, 0) for name in names]
    _, *rows = cells(*predictions)
    assert [row[0] for row in rows] == names
    assert [line["image"] for line in lines(*predictions)] == names


def test_names_that_are_no_utf8_keep_their_bytes() -> None:
    odd = os.fsdecode(b"caf\xe9, \xff.jpg")
    predictions = [predicted(odd, 1, 1, 1), predicted("Straße.jpg", 0, 0, 0)]
    written = file_of("csv", *predictions, columns=with_(decisions=True)).split(b"\n")
    assert written[1:] == [b'"caf\xe9, \xff.jpg",1,1,1,', "Straße.jpg,0,0,0,".encode(), b""]
    first, second = file_of("jsonl", *predictions).splitlines()
    assert os.fsencode(json.loads(first)["image"]) == b"caf\xe9, \xff.jpg"
    assert "Straße.jpg".encode() in second


# JSON lines


def test_lines() -> None:
    first, second = lines(
        predicted("a.jpg", 0.5, 0.1234567, 1, box=Box(1, 2, 3, 4.5)),
        failed("b.jpg", "broken"),
        columns=with_(boxes=True),
    )
    assert first == {
        "image": "a.jpg",
        "box": [1, 2, 3, 4.5],
        "attributes": {"hat": 0.5, "bag, large": 0.123457, 'the "best"': 1.0},
        "error": None,
    }
    assert second == {"image": "b.jpg", "box": None, "attributes": None, "error": "broken"}
    assert "box" not in lines(predicted("a.jpg", 0, 0, 0))[0]


# Parquet


@pytest.mark.parametrize("decisions", [False, True])
def test_parquet(decisions: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("vaa_cli.core.prediction.formats._ROW_GROUP", 3)
    predictions = [
        predicted(f"{i}.jpg", i / 8, 0.3, 1 - i / 8, box=Box(i, 0, 1, 2)) for i in range(8)
    ]
    predictions[5] = failed(os.fsdecode(b"\xff.jpg"), "broken")
    content = file_of("parquet", *predictions, columns=with_(boxes=True, decisions=decisions))
    frame = pd.read_parquet(io.BytesIO(content))
    assert list(frame) == ["image", "left", "top", "width", "height", *ATTRIBUTES, "error"]
    assert list(frame["image"])[4:6] == ["4.jpg", "\\udcff.jpg"]
    assert frame["error"].notna().tolist() == [i == 5 for i in range(8)]
    expected = [int(i / 8 >= 0.5) if decisions else i / 8 for i in range(8)]
    found = frame["hat"].tolist()
    assert [x for i, x in enumerate(found) if i != 5] == [
        x for i, x in enumerate(expected) if i != 5
    ]
    assert np.isnan(found[5]) and np.isnan(frame["left"].tolist()[5])
    assert len(pd.read_parquet(io.BytesIO(file_of("parquet")))) == 0


# Which format


@pytest.mark.parametrize(
    ("name", "asked", "format"),
    [
        (None, None, "csv"), ("a.csv", None, "csv"), ("a.JSONL", None, "jsonl"),
        ("a.ndjson", None, "jsonl"), ("a.parquet", None, "parquet"), ("a", None, "csv"),
        ("a.csv", "jsonl", "jsonl"), (None, "jsonl", "jsonl"),
    ],
)  # fmt: skip
def test_format_for(name: str | None, asked: str | None, format: str) -> None:
    assert format_for(Path(name) if name else None, asked) == format


@pytest.mark.parametrize(
    ("asked", "message"), [("xml", "unknown format"), ("parquet", "`out=FILE`")]
)
def test_formats_that_cannot_be(asked: str, message: str) -> None:
    with pytest.raises(VAAError, match=message):
        format_for(None, asked)


# For people


def test_a_line_for_people() -> None:
    prediction = predicted("a\n\x1b[31m.jpg", 0.98, 0.2, 0.7)
    assert prediction_line(prediction, COLUMNS, 2).plain == (
        'a\\n\\x1b[31m.jpg  hat 98%  (the "best" 70%)'
    )
    sure = with_(min_confidence=0.75)
    assert prediction_line(prediction, sure, 9).plain.endswith("hat 98%  (bag, large 20%)")
    assert prediction_line(failed("b.jpg", "broken"), COLUMNS, 2).plain == "b.jpg  broken"


# Groups

GROUPED = Columns(
    (
        Column("hat", (0,)),
        Column("age", (1, 2), ("young", "=old")),
    ),
    DecisionRule((0.5, 0.25, 0.75), groups=((1, 2),)),
)


@pytest.mark.parametrize(
    ("probabilities", "word"),
    [((0.9, 0.5, 0.1), "young"), ((0.9, 0.3, 0.9), "=old"), ((0.9, 0.1, 0.5), "(none)")],
)
def test_a_group_has_one_column_with_its_word(probabilities: tuple[float, ...], word: str) -> None:
    prediction = predicted("a.jpg", *probabilities)
    header, row = cells(prediction, columns=GROUPED)
    assert header == ["image", "hat", "age", "error"]
    assert (float(row[1]), row[2]) == (0.9, word)
    (line,) = lines(prediction, columns=GROUPED)
    assert line["attributes"] == {"hat": 0.9, "age": word}
    safe = cells(prediction, columns=replace(GROUPED, safe=True))[1][2]
    assert safe == ("'=old" if word == "=old" else word)


def test_words_in_parquet() -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [predicted("a.jpg", 0.9, 0.5, 0.1), predicted("b.jpg", 0.9, 0.1, 0.5)]
    table = parquet.read_table(io.BytesIO(file_of("parquet", *rows, columns=GROUPED)))
    assert table.column("age").to_pylist() == ["young", "(none)"]


def test_decisions_hold_one_of_a_group_at_most() -> None:
    columns = Columns(
        COLUMNS.columns, DecisionRule((0.5, 0.25, 0.75), groups=((1, 2),)), decisions=True
    )
    assert cells(predicted("a.jpg", 0.9, 0.9, 0.8), columns=columns)[1][1:4] == ["1", "1", "0"]
