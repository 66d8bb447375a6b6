"""Workbooks read as text: cells of every kind, sheets by name, and what is no workbook."""

import datetime
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_header import TableOptions
from vaa_cli.core.system import spreadsheet
from vaa_cli.core.system.spreadsheet import sheet_chunks, sheet_header

openpyxl = pytest.importorskip("openpyxl")


def save(path: Path, *rows: tuple[Any, ...], title: str = "people", **others: Any) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for name, content in others.items():
        other = book.create_sheet(name)
        for row in content:
            other.append(row)
    book.save(path)
    return path


def test_cells_of_every_kind(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 11, 27, 12, 30)
    path = save(
        tmp_path / "a.xlsx",
        ("image", "hat", "age", "when", "size"),
        ("a.png", 1, "young", day, 12.5),
        (),
        ("b.png", True, None, None, 3.0),
        (7, False, "  old "),
    )
    (frame,) = sheet_chunks(path)
    assert sheet_header(path) == list(frame.columns) == ["image", "hat", "age", "when", "size"]
    assert frame.to_numpy().tolist() == [
        ["a.png", "1", "young", "2026-11-27T12:30:00", "12.5"],
        ["b.png", "True", "", "", "3"],
        ["7", "False", "old", "", ""],
    ]
    assert frame.index.tolist() == [2, 4, 5]


def test_chunks_are_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "_CHUNK", 3)
    path = save(tmp_path / "a.xlsx", ("image", "hat"), *((f"{i}.png", i % 2) for i in range(7)))
    frames = list(sheet_chunks(path))
    assert [len(frame) for frame in frames] == [3, 3, 1]
    assert [name for frame in frames for name in frame["image"]] == [f"{i}.png" for i in range(7)]


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    rows = [("image", "bag"), ("b.png", 1)]
    path = save(tmp_path / "a.xlsx", ("image", "hat"), ("a.png", 1), more=rows)
    assert sheet_header(path) == ["image", "hat"]
    assert sheet_header(path, "more") == ["image", "bag"]
    with pytest.raises(VAAError, match=r"a\.xlsx has no sheet 'x'; it has people, more"):
        sheet_header(path, "x")


@pytest.mark.parametrize(
    ("rows", "reason"),
    [((), "empty"), ((("image", "hat"), ("a.png", 1, "?")), "row 2 has cells beyond")],
)
def test_sheets_that_are_no_table(
    rows: tuple[tuple[Any, ...], ...], reason: str, tmp_path: Path
) -> None:
    path = save(tmp_path / "a.xlsx", *rows)
    with pytest.raises(VAAError, match=reason):
        list(sheet_chunks(path))


def test_what_is_no_workbook(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(b"image,hat\na.png,1\n")
    with pytest.raises(VAAError, match="no workbook"):
        sheet_header(path)
    whole = save(tmp_path / "b.xlsx", ("image", "hat"), ("a.png", 1)).read_bytes()
    for size in range(0, len(whole), len(whole) // 23):
        path.write_bytes(whole[:size])
        with pytest.raises(VAAError) as error:
            list(sheet_chunks(path))
        assert "\n" not in str(error.value)


def test_a_bomb_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.xlsx", ("image", "hat"), ("a.png", 1))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/zeros", bytes(1 << 20))
    monkeypatch.setattr(spreadsheet, "_LARGEST", 1 << 20)
    with pytest.raises(VAAError, match="more than the limit"):
        sheet_header(path)


def test_options_name_the_sheet() -> None:
    assert TableOptions(sheet="people").sheet == "people"
