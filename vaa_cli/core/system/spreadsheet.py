"""Sheets of Excel workbooks (.xlsx), read as text as a CSV is. Needs openpyxl, an extra."""

import datetime
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.input_files import require_file

ENDING = ".xlsx"
# Bytes of a workbook once it is unpacked: what is larger is a bomb, or better kept as a CSV.
_LARGEST = 1 << 30
_CHUNK = 50_000


def is_spreadsheet(path: Path) -> bool:
    """Whether a file is a workbook, by its name."""
    return path.suffix.lower() == ENDING


def sheet_header(path: Path, sheet: str | None = None) -> list[str]:
    """The column names of a sheet: its first row that is not empty.

    Args:
        path: the workbook.
        sheet: name of the sheet; None for the first.

    Raises:
        VAAError: it cannot be read, has no such sheet, or the sheet is empty.
    """
    with _opened_sheet(path, sheet) as rows:
        return _header(rows, path)


def sheet_chunks(path: Path, sheet: str | None = None) -> Iterator[pd.DataFrame]:
    """Read a sheet as `csv_reader.csv_chunks` reads a CSV.

    Args:
        path: the workbook.
        sheet: name of the sheet; None for the first.

    Raises:
        VAAError: as `sheet_header`, or a row has cells beyond the header's.
    """
    with _opened_sheet(path, sheet) as rows:
        header = _header(rows, path)
        yielded = False
        while chunk := list(islice(rows, _CHUNK)):
            numbers, cells = zip(*chunk, strict=True)
            for number, row in chunk:
                if len(row) > len(header):
                    raise VAAError(
                        f"{path}: row {number} has cells beyond the {len(header)} columns that the "
                        "header names; name them or delete these"
                    )
            padded = [[*row, *[""] * (len(header) - len(row))] for row in cells]
            yield pd.DataFrame(padded, index=pd.Index(numbers), columns=header, dtype=str)
            yielded = True
        if not yielded:
            yield pd.DataFrame(columns=header, dtype=str)


def _header(rows: Iterator[tuple[int, list[str]]], path: Path) -> list[str]:
    for _, cells in rows:
        return cells
    raise VAAError(f"{path} is empty; it needs a header row and a row a picture")


@contextmanager
def _opened_sheet(path: Path, sheet: str | None) -> Iterator[Iterator[tuple[int, list[str]]]]:
    """The rows of a sheet that are not empty, each with its number."""
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise VAAError(f"{path} needs openpyxl: pip install openpyxl, or save it as CSV") from error
    require_file(path)
    try:
        _require_small(path)
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            if sheet is not None and sheet not in book.sheetnames:
                raise VAAError(
                    f"{path} has no sheet {sheet!r}; it has {', '.join(book.sheetnames)}"
                )
            chosen = book.worksheets[0] if sheet is None else book[sheet]
            yield _rows(chosen.iter_rows(values_only=True))
        finally:
            book.close()
    except VAAError:
        raise
    # A broken workbook raises errors of zipfile, of the XML parser, and KeyError and the like.
    except Exception as error:
        raise VAAError(
            f"{path} is no workbook that can be read ({one_line(error, 120)}); save it as CSV"
        ) from error


def _require_small(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _LARGEST:
        raise VAAError(
            f"{path} unpacks to {size:,} bytes, more than the limit of {_LARGEST:,}; save the "
            "sheet as CSV"
        )


def _rows(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[int, list[str]]]:
    for number, row in enumerate(rows, start=1):
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _text(cell: Any) -> str:
    """A cell as a CSV of the sheet would have it."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime | datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell).strip()
