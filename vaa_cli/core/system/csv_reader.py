"""CSV tables of people, read as text: each cell a string, rows counted as a spreadsheet does.

Spreadsheets write them with commas, semicolons or tabs, in UTF-8, UTF-16 or Windows-1252, by the
language of the machine; all of these are read.
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.input_files import opened_file, text_lines

_DELIMITERS = ",;\t"
_BYTES = 1 << 20  # decoded at a time
# Rows parsed at a time: a table as text takes many times the memory of its labels.
_CHUNK = 50_000


@dataclass(frozen=True)
class CSVDialect:
    """The form of a CSV.

    Attributes:
        encoding: its encoding, as Python names it.
        delimiter: what stands between cells.
    """

    encoding: str = "utf-8-sig"
    delimiter: str = ","

    @property
    def is_usual(self) -> bool:
        """Whether it is UTF-8 with commas."""
        return self == CSVDialect()

    def __str__(self) -> str:
        marks = {",": "commas", ";": "semicolons", "\t": "tabs"}
        encodings = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
        return f"{encodings[self.encoding]} with {marks[self.delimiter]}"


def dialect_of(path: Path) -> CSVDialect:
    """Detect the form of a CSV: by its bytes the encoding, by its header the delimiter.

    Raises:
        VAAError: it cannot be read, or is no text.
    """
    encoding = _encoding_of(path)
    with _reading_errors(path):
        for line in text_lines(path, encoding=encoding):
            if line.strip():
                # Names in quotes may hold any of them.
                bare = "".join(line.split('"')[::2])
                counts = {mark: bare.count(mark) for mark in _DELIMITERS}
                return CSVDialect(encoding, max(counts, key=lambda mark: counts[mark]))
    return CSVDialect(encoding)


def _encoding_of(path: Path) -> str:
    """UTF-16 by its mark, UTF-8 where all bytes are, else Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened_file(path) as file:
        content = file.read(_BYTES)
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while content:
                decoder.decode(content)
                content = file.read(_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def read_header(path: Path, dialect: CSVDialect | None = None) -> tuple[list[str], int]:
    """The column names of a CSV, and how many blank lines stand before them.

    Args:
        path: the CSV.
        dialect: its form; None to detect it.

    Raises:
        VAAError: it cannot be read, is no CSV, or has no header.
    """
    dialect = dialect or dialect_of(path)
    with _reading_errors(path):
        for blank, row in enumerate(_rows(path, dialect)):
            if row:
                return [name.strip() for name in row], blank
    raise VAAError(f"{path} is empty; it needs a header row and a row a picture")


def _rows(path: Path, dialect: CSVDialect, spaces: bool = True) -> Iterator[list[str]]:
    lines = text_lines(path, encoding=dialect.encoding)
    yield from csv.reader(lines, delimiter=dialect.delimiter, skipinitialspace=spaces)


def read_csv(path: Path, spaces: bool = True) -> pd.DataFrame:
    """Read a CSV as text: every cell a string, empty cells empty, blank rows left out.

    The index is the number of each row as a spreadsheet shows it: a header on top is row 1.

    Args:
        path: the CSV.
        spaces: see `csv_chunks`.

    Raises:
        VAAError: it cannot be read, is no CSV, names a column twice, or a row has more or fewer
            cells than the header.
    """
    return pd.concat(list(csv_chunks(path, spaces)))


def csv_chunks(
    path: Path, spaces: bool = True, dialect: CSVDialect | None = None
) -> Iterator[pd.DataFrame]:
    """Read a CSV as `read_csv` does, some thousands of rows at a time; one chunk at least.

    Args:
        path: the CSV.
        spaces: pass over spaces before a cell, as people write them behind commas; a quoted cell
            keeps those inside its quotes. False for tables that vaa wrote, where they are part of
            a name, and whose form is known.
        dialect: its form; None to detect it.

    Raises:
        VAAError: as `read_csv`.
    """
    dialect = dialect or (dialect_of(path) if spaces else CSVDialect())
    header, blank = read_header(path, dialect)
    require_distinct_columns(header, path)
    _require_equal_rows(path, len(header), spaces, dialect)
    with (
        _reading_errors(path),
        opened_file(path) as file,
        pd.read_csv(
            io.TextIOWrapper(file, encoding=dialect.encoding, newline=""),
            sep=dialect.delimiter,
            dtype=str,
            keep_default_na=False,
            header=blank,
            skip_blank_lines=False,
            skipinitialspace=spaces,
            chunksize=_CHUNK,
        ) as chunks,
    ):
        for frame in chunks:
            frame = frame.set_axis(header, axis="columns")
            frame.index += blank + 2
            yield frame[(frame != "").any(axis="columns")]


def _require_equal_rows(path: Path, columns: int, spaces: bool, dialect: CSVDialect) -> None:
    """Check that each row has as many cells as the header; pandas would complete short ones."""
    with _reading_errors(path):
        for number, row in enumerate(_rows(path, dialect, spaces), start=1):
            if row and len(row) != columns:
                much = "more" if len(row) > columns else "fewer"
                end = "; was the file cut off?" if len(row) < columns else ""
                raise VAAError(
                    f"{path}: row {number} has {much} cells ({len(row)}) than the header names "
                    f"columns ({columns}){end}"
                )


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        reason = one_line(error).removeprefix("Error tokenizing data. C error: ")
        raise VAAError(f"{path} is not a CSV: {reason}") from error


def require_distinct_columns(header: Sequence[str], path: Path) -> None:
    """Check that each column has a name of its own.

    Raises:
        VAAError: two have the same.
    """
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if twice:
        raise VAAError(f"{path}: column {twice[0]!r} stands there twice; name each column once")
