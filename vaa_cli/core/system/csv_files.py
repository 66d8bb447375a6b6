"""CSV as this project writes it: lines end in a line feed, cells are quoted where needed."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import reading_errors, whole_file

Cell = str | int | float | None


class CSVFormatter:
    """Formats rows.

    Python's writer quotes a bare carriage return only where lines end in one, and a file's name
    can have one. So lines are made with that end, and then get the other.
    """

    def __init__(self) -> None:
        self._buffer = io.StringIO(newline="")
        self._writer = csv.writer(self._buffer)  # ends lines in \r\n

    def line(self, cells: Sequence[Cell]) -> str:
        """A row's text; None is an empty cell."""
        self._buffer.seek(0)
        self._buffer.truncate()
        self._writer.writerow(cells)
        return self._buffer.getvalue()[:-2] + "\n"


def csv_text(rows: Iterable[Sequence[Cell]]) -> str:
    """The text of a whole table, header first."""
    return "".join(map(CSVFormatter().line, rows))


def write_csv(path: Path, rows: Iterable[Sequence[Cell]]) -> None:
    """Write a table, header first, whole or not at all; rows are not kept in memory.

    Raises:
        VAAError: it cannot be written.
    """
    with whole_file(path) as file:
        for line in map(CSVFormatter().line, rows):
            file.write(line.encode("utf-8", errors="surrogateescape"))


def number_text(value: float) -> str:
    """A number as short as it can be without losing anything; empty for NaN."""
    return "" if value != value else repr(float(value)).removesuffix(".0")


# Rows parsed at a time: a table as text takes many times the memory of its labels.
_CHUNK = 50_000


def read_header(path: Path) -> tuple[list[str], int]:
    """The column names of a CSV, and how many blank lines stand before them.

    Raises:
        VAAError: it cannot be read, is no CSV, or has no header.
    """
    with _reading_errors(path), path.open(encoding="utf-8-sig", newline="") as file:
        for blank, row in enumerate(csv.reader(file)):
            if row:
                return [name.strip() for name in row], blank
    raise VAAError(f"{path} is empty; it needs a header row and a row a picture")


def read_csv(path: Path) -> pd.DataFrame:
    """Read a CSV as text: every cell a string, empty cells empty, blank rows left out.

    The index is the number of each row as a spreadsheet shows it: a header on top is row 1.

    Raises:
        VAAError: it cannot be read, is no CSV, or names a column twice.
    """
    return pd.concat(list(csv_chunks(path)))


def csv_chunks(path: Path) -> Iterator[pd.DataFrame]:
    """Read a CSV as `read_csv` does, some thousands of rows at a time; one chunk at least.

    Raises:
        VAAError: as `read_csv`.
    """
    header, blank = read_header(path)
    require_distinct_columns(header, path)
    with (
        _reading_errors(path),
        pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            header=blank,
            skip_blank_lines=False,
            chunksize=_CHUNK,
        ) as chunks,
    ):
        for frame in chunks:
            if not isinstance(frame.index, pd.RangeIndex):
                raise VAAError(f"{path}: rows have more cells than the header names columns")
            # pandas pads short rows with NaN even for text.
            frame = frame.fillna("").set_axis(header, axis="columns")
            frame.index += blank + 2
            yield frame[(frame != "").any(axis="columns")]


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    try:
        with reading_errors(path):
            yield
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise VAAError(f"{path} is not a CSV in UTF-8: {reason}") from error


def require_distinct_columns(header: Sequence[str], path: Path) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise VAAError(f"{path}: column {twice[0]!r} stands there twice; name each column once")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise VAAError(f"{path}: columns must be separated by commas, not by ';' or tabs")
