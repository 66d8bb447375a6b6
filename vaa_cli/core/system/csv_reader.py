"""CSV tables of people, read as text: each cell a string, rows counted as a spreadsheet does."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.input_files import opened_file, text_lines

# Rows parsed at a time: a table as text takes many times the memory of its labels.
_CHUNK = 50_000


def read_header(path: Path) -> tuple[list[str], int]:
    """The column names of a CSV, and how many blank lines stand before them.

    Raises:
        VAAError: it cannot be read, is no CSV, or has no header.
    """
    with _reading_errors(path):
        for blank, row in enumerate(csv.reader(text_lines(path), skipinitialspace=True)):
            if row:
                return [name.strip() for name in row], blank
    raise VAAError(f"{path} is empty; it needs a header row and a row a picture")


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


def csv_chunks(path: Path, spaces: bool = True) -> Iterator[pd.DataFrame]:
    """Read a CSV as `read_csv` does, some thousands of rows at a time; one chunk at least.

    Args:
        path: the CSV.
        spaces: pass over spaces before a cell, as people write them behind commas; a quoted cell
            keeps those inside its quotes. False for tables that vaa wrote, where they are part of
            a name.

    Raises:
        VAAError: as `read_csv`.
    """
    header, blank = read_header(path)
    require_distinct_columns(header, path)
    _require_equal_rows(path, len(header), spaces)
    with (
        _reading_errors(path),
        opened_file(path) as file,
        pd.read_csv(
            io.TextIOWrapper(file, encoding="utf-8-sig", newline=""),
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


def _require_equal_rows(path: Path, columns: int, spaces: bool) -> None:
    """Check that each row has as many cells as the header; pandas would complete short ones."""
    with _reading_errors(path):
        rows = csv.reader(text_lines(path), skipinitialspace=spaces)
        for number, row in enumerate(rows, start=1):
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
        raise VAAError(f"{path} is not a CSV in UTF-8: {reason}") from error


def require_distinct_columns(header: Sequence[str], path: Path) -> None:
    """Check that each column has a name of its own, and that commas separate them.

    Raises:
        VAAError: they do not.
    """
    twice = sorted(name for name, count in Counter(header).items() if count > 1)
    if twice:
        raise VAAError(f"{path}: column {twice[0]!r} stands there twice; name each column once")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise VAAError(f"{path}: columns must be separated by commas, not by ';' or tabs")
