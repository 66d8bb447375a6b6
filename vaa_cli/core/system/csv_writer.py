"""CSV as this project writes it: lines end in a line feed, cells are quoted where needed."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from vaa_cli.core.system.files import whole_file

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
