"""Forty photos labelled in a spreadsheet, as its programs save them, prepared without one edit."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import run_vaa
from tests.helpers.pictures import plain
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.labels.table import SPLITS

HEADER = ("Picture", "Hut", "Rucksack", "Alter", "Größe", "Notiz", "left", "top", "width", "height")
WORDS = ("jung", "mittel", "alt")


def rows() -> list[tuple[str, ...]]:
    """What the person typed, as a German spreadsheet shows it."""
    found: list[tuple[str, ...]] = []
    for k in range(40):
        hat = "x" if k % 3 == 0 else ""
        backpack = ("ja", "nein", "Ja ", "")[k % 4]
        size, note = f"{160 + k},5", f'Frau am Eingang, "{k}"'
        box = ("1,5", "2", "10,25", "12") if k % 2 else ("", "", "", "")
        found.append((f"Bilder\\Straße {k:02d}.png", hat, backpack, WORDS[k % 3], size, note, *box))
    return found


def lines(mark: str, end: str) -> str:
    """The sheet as text, with quotes where a program sets them."""

    def cell(text: str) -> str:
        quoted = text.replace('"', '""')
        return f'"{quoted}"' if any(c in text for c in f'{mark}"\n') else text

    return "".join(mark.join(map(cell, row)) + end for row in (HEADER, *rows()))


def as_excel_csv(folder: Path) -> None:
    """Excel, "CSV (Trennzeichen-getrennt)": semicolons, Windows-1252."""
    (folder / "labels.csv").write_bytes(lines(";", "\r\n").encode("cp1252"))


def as_excel_utf8(folder: Path) -> None:
    """Excel, "CSV UTF-8": semicolons in German, with a byte-order mark."""
    (folder / "labels.csv").write_bytes(lines(";", "\r\n").encode("utf-8-sig"))


def as_excel_unicode(folder: Path) -> None:
    """Excel, "Unicode Text": tabs, UTF-16, the ending changed by hand as its help advises."""
    (folder / "labels.csv").write_bytes(lines("\t", "\r\n").encode("utf-16"))


def as_google(folder: Path) -> None:
    """Google Sheets and Numbers: commas, UTF-8."""
    (folder / "Photos - Sheet1.csv").write_bytes(lines(",", "\r\n").encode())


def as_workbook(folder: Path) -> None:
    """The workbook itself, with numbers as numbers."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    for row in rows():
        numbers = [float(text.replace(",", ".")) if text else None for text in row[6:]]
        size = float(row[4].replace(",", "."))
        book.active.append([*(text or None for text in row[:4]), size, row[5], *numbers])
    book.save(folder / "labels.xlsx")


def as_libreoffice(folder: Path) -> None:
    """LibreOffice's CSV of the workbook, where it is installed."""
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        pytest.skip("LibreOffice is not installed")
    as_workbook(folder)
    command = [program, "--headless", "--convert-to", "csv", "labels.xlsx"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    (folder / "labels.xlsx").unlink()


FORMS = [
    as_excel_csv, as_excel_utf8, as_excel_unicode, as_google, as_workbook, as_libreoffice
]  # fmt: skip


@pytest.mark.parametrize("save", FORMS, ids=lambda save: save.__name__)
def test_forty_rows_without_one_edit(tmp_path: Path, save: Callable[[Path], None]) -> None:
    folder = tmp_path / "photos"
    (folder / "Bilder").mkdir(parents=True)
    for k in range(40):
        plain(size=(20, 30)).save(folder / "Bilder" / f"Straße {k:02d}.png")
    save(folder)
    shown = run_vaa("prepare", "photos", "--dry-run", cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert "40 rows of 40 pictures" in shown.err and "nothing was written" in shown.err
    assert not (tmp_path / "prepared").exists()
    outcome = run_vaa("prepare", "photos", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "Größe" in outcome.err and "Notiz" in outcome.err  # named as left out
    data = read_prepared(tmp_path / "prepared")
    assert data.attributes == ("Hut", "Rucksack", "Alter=alt", "Alter=jung", "Alter=mittel")
    assert data.groups == {"Alter": ("Alter=alt", "Alter=jung", "Alter=mittel")}
    found = {}
    for split in SPLITS:
        table = data.splits[split]
        assert table.boxes is not None
        for row, name in enumerate(table.row_images):
            found[name.rsplit("/", 1)[-1]] = (table.labels[row].tolist(), table.box(row))
    for k in range(40):
        labels, box = found[f"Straße {k:02d}.png"]
        word = WORDS[k % 3]
        ages = [int(word == name) for name in ("alt", "jung", "mittel")]
        assert labels == [1 if k % 3 == 0 else -1, (1, 0, 1, -1)[k % 4], *ages]
        assert box == ((1.5, 2.0, 10.25, 12.0) if k % 2 else None)
