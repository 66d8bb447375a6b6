"""Tables of text that people keep labels in: CSV files and sheets of workbooks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.csv_reader import csv_chunks, dialect_of, read_header
from vaa_cli.core.system.spreadsheet import is_spreadsheet, sheet_chunks, sheet_header

ENDINGS = (".csv", ".tsv", ".xlsx")


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        header: the names of its columns.
        chunks: its rows, some thousands at a time; the index is the number that a spreadsheet
            shows.
        note: its form, if that is an unusual one.
    """

    header: list[str]
    chunks: Iterator[pd.DataFrame]
    note: str | None = None


def open_text_table(path: Path, sheet: str | None = None) -> TextTable:
    """Open a CSV or a workbook.

    Args:
        path: the file.
        sheet: name of the sheet of a workbook; None for the first.

    Raises:
        VAAError: it cannot be read, or has no such sheet.
    """
    if is_spreadsheet(path):
        chunks = sheet_chunks(path, sheet)  # opened once: a workbook takes long
        first = next(chunks)
        return TextTable(list(first.columns), chain([first], chunks))
    if sheet is not None:
        raise VAAError(f"`sheet` {sheet!r}: {path} is no workbook (.xlsx); leave it out")
    dialect = dialect_of(path)
    header, _ = read_header(path, dialect)
    note = None if dialect.is_usual else f"{path.name} is {dialect}"
    return TextTable(header, csv_chunks(path, dialect=dialect), note)


def header_of(path: Path, sheet: str | None = None) -> list[str]:
    """The names of the columns of a CSV or a workbook.

    Raises:
        VAAError: as `open_text_table`.
    """
    return sheet_header(path, sheet) if is_spreadsheet(path) else read_header(path)[0]
