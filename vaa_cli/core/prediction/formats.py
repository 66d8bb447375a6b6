"""Predictions as CSV, JSON lines, Parquet or annotations, written as they come."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol

from rich.console import Console
from rich.text import Text

from vaa_cli.core.errors import VAAError, printable
from vaa_cli.core.labels.boxes import BOX_COLUMNS
from vaa_cli.core.prediction.annotation_rows import CVATRows, LabelStudioRows
from vaa_cli.core.prediction.columns import Columns, Value
from vaa_cli.core.prediction.decisions import by_margin
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.system.csv_writer import CSVFormatter, number_text

FORMATS = ("csv", "jsonl", "parquet", "cvat", "labelstudio")
# Of which the rows cannot be gone on with.
WHOLE_FORMATS = ("parquet", "cvat", "labelstudio")
# Which hold decisions, for people to correct.
ANNOTATIONS = ("cvat", "labelstudio")
_ENDINGS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_DIGITS = 6
# With what a cell begins that spreadsheets run.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Rows that are written at a time; fewer make larger files that are slower to read.
_ROW_GROUP = 4096


def format_for(path: Path | str | None, asked: str | None) -> str:
    """The format of the predictions: the one that is asked for, else by the file's name.

    Raises:
        VAAError: there is no such format, or it needs a file.
    """
    suffix = PurePosixPath(path).suffix.lower() if path else ""
    if asked is None and suffix and suffix not in _ENDINGS:
        raise VAAError(
            f"{path}: predictions are not written as {suffix}; end the name in "
            f"{', '.join(_ENDINGS)}, or choose with `format`"
        )
    chosen = asked or _ENDINGS.get(suffix, "csv")
    if chosen not in FORMATS:
        raise VAAError(f"unknown format {chosen!r}; use {', '.join(FORMATS)}")
    if chosen == "parquet" and path is None:
        raise VAAError("Parquet is written to a file; add `out=FILE`")
    return chosen


def has_format(format: str, start: bytes) -> bool:
    """Whether a file that begins with some bytes has predictions of a format, or has begun to."""
    if format == "parquet":
        return start.startswith(b"PAR1")
    if format == "cvat":
        return b"<annotations>" in start[:200]
    line = start.split(b"\n")[0]
    if format == "labelstudio":
        return line.startswith(b'[{"data": {"image": ') or line == b"[]"
    if format == "jsonl":
        return line.startswith(b'{"image": ') and b'"attributes": ' in line
    return line.startswith(b"image,") and line.endswith(b",error")


class Rows(Protocol):
    """Writes predictions as rows."""

    def write(self, prediction: Prediction) -> None:
        """Write a row, the first time after what comes before all rows."""
        ...

    def flush(self) -> None:
        """Let what is written reach the file, as far as the format allows."""
        ...

    def finish(self) -> None:
        """Write what comes behind all rows; before them, if there were none."""
        ...


class CSVRows:
    """`image`, box columns if there are boxes, the attributes, `error`.

    Args:
        file: the file to write to.
        columns: the columns of a row.
        begun: whether the header is in the file already.
    """

    def __init__(self, file: BinaryIO, columns: Columns, begun: bool = False) -> None:
        self._file, self._columns, self._begun = file, columns, begun
        self._formatter = CSVFormatter()
        self._form = "{:d}" if columns.decisions else f"{{:.{_DIGITS}f}}"

    @staticmethod
    def header_of(columns: Columns) -> bytes:
        """The first line of the file."""
        boxes = BOX_COLUMNS if columns.boxes else ()
        names = map(_unexecuted, columns.names) if columns.safe else columns.names
        return _bytes(CSVFormatter().line(["image", *boxes, *names, "error"]))

    def write(self, prediction: Prediction) -> None:
        """Write a row, the first time after the header."""
        self._begin()
        request = prediction.request
        sides: list[str] = []
        if self._columns.boxes:
            sides = [number_text(side) for side in request.box] if request.box else [""] * 4
        cells = list(map(self._cell, self._columns.values(prediction)))
        name, problem = request.path, prediction.problem
        if self._columns.safe:
            name, problem = _unexecuted(name), _unexecuted(problem or "")
        row = [name, *sides, *cells, problem]
        self._file.write(_bytes(self._formatter.line(row)))

    def _cell(self, value: Value) -> str:
        if isinstance(value, str):
            return _unexecuted(value) if self._columns.safe else value
        return "" if value is None else self._form.format(value)

    def flush(self) -> None:
        """Let all rows reach the file."""
        self._file.flush()

    def finish(self) -> None:
        """Write the header if there were no rows."""
        self._begin()

    def _begin(self) -> None:
        if not self._begun:
            self._file.write(self.header_of(self._columns))
            self._begun = True


def _unexecuted(text: str) -> str:
    """A cell that no spreadsheet runs as a formula, as OWASP advises for CSV files."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _bytes(line: str) -> bytes:
    # Names that are no UTF-8 are written with the bytes that they have.
    return line.encode("utf-8", errors="surrogateescape")


class JSONRows:
    """An object a line: `image`, `box` if there are boxes, `attributes` by name, `error`.

    Attributes that are left out are not among them; those of a broken picture are null.

    Args:
        file: the file to write to.
        columns: the columns of a row.
    """

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        self._file, self._columns = file, columns

    def write(self, prediction: Prediction) -> None:
        """Write a line."""
        request, columns = prediction.request, self._columns
        row: dict[str, Any] = {"image": request.path}
        if columns.boxes:
            row["box"] = list(request.box) if request.box else None
        named = zip(columns.names, columns.values(prediction), strict=True)
        values = {
            name: value if isinstance(value, str) else round(value, _DIGITS)
            for name, value in named
            if value is not None
        }
        row["attributes"] = None if prediction.probabilities is None else values
        row["error"] = prediction.problem
        try:
            line = json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # a name that is no UTF-8: \udc.. stands for its bytes
            line = json.dumps(row).encode()
        self._file.write(line + b"\n")

    def flush(self) -> None:
        """Let all rows reach the file."""
        self._file.flush()

    def finish(self) -> None:
        """Nothing comes behind the rows."""


class ParquetRows:
    """The columns of the CSV with types; empty cells are null.

    Args:
        file: the file to write to.
        columns: the columns of a row.

    Raises:
        VAAError: pyarrow is not installed.
    """

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise VAAError("Parquet needs pyarrow: pip install pyarrow") from error
        self._columns = columns
        kind = pa.int8() if columns.decisions else pa.float32()
        self._table, self._array = pa.table, pa.array
        self._schema = pa.schema(
            [
                ("image", pa.string()),
                *((side, pa.float64()) for side in (BOX_COLUMNS if columns.boxes else ())),
                *(
                    (column.name, kind if column.words is None else pa.string())
                    for column in columns.columns
                ),
                ("error", pa.string()),
            ]
        )
        self._writer: Any = pq.ParquetWriter(file, self._schema)
        self._rows: list[list[Any]] = []

    def write(self, prediction: Prediction) -> None:
        """Take a row; many are written together."""
        request = prediction.request
        sides = [*request.box] if request.box else [None] * 4
        # Strings are UTF-8 here; \udc.. stands for the bytes of names that are not.
        name = request.path.encode("utf-8", "backslashreplace").decode()
        self._rows.append(
            [
                name,
                *(sides if self._columns.boxes else ()),
                *self._columns.values(prediction),
                prediction.problem,
            ]
        )
        if len(self._rows) >= _ROW_GROUP:
            self._write_group()

    def flush(self) -> None:
        """Rows wait for their group."""

    def finish(self) -> None:
        """Write the last rows, and where all of them are."""
        if self._rows:
            self._write_group()
        self._writer.close()

    def abandon(self) -> None:
        """Let the file go, unfinished; else pyarrow would finish it when that is closed."""
        with contextlib.suppress(Exception):
            self._writer.close()

    def _write_group(self) -> None:
        cells = zip(*self._rows, strict=True)
        arrays = [
            self._array(list(column), type=field.type)
            for column, field in zip(cells, self._schema, strict=True)
        ]
        self._writer.write_table(self._table(arrays, schema=self._schema))
        self._rows.clear()


def open_rows(format: str, file: BinaryIO, columns: Columns, begun: bool = False) -> Rows:
    """A writer of a format; `begun` if rows of it are in the file already."""
    if format == "csv":
        return CSVRows(file, columns, begun)
    writers: dict[str, Callable[[BinaryIO, Columns], Rows]] = {
        "jsonl": JSONRows, "parquet": ParquetRows, "cvat": CVATRows, "labelstudio": LabelStudioRows,
    }  # fmt: skip
    return writers[format](file, columns)


class PrettyRows:
    """Lines of text for people.

    Args:
        console: the console to print on.
        columns: the attributes; those that are decided to be absent stand in parentheses.
        top: number of attributes in a line.
    """

    def __init__(self, console: Console, columns: Columns, top: int) -> None:
        self._console, self._columns, self._top = console, columns, top

    def write(self, prediction: Prediction) -> None:
        """Print a line."""
        self._console.print(prediction_line(prediction, self._columns, self._top))

    def flush(self) -> None:
        """Flush the console's file."""
        self._console.file.flush()

    def finish(self) -> None:
        """Nothing follows the lines."""


def prediction_line(prediction: Prediction, columns: Columns, top: int) -> Text:
    """The surest attributes of a picture: `photo.jpg  hat 98%  bag 74%  (long hair 12%)`.

    Args:
        prediction: the prediction of one picture.
        columns: the columns; attributes that are decided to be absent stand in parentheses.
        top: number of attributes.
    """
    request = prediction.request
    line = Text(printable(request.path), style="bold")
    line.append(f" {request.box}" if request.box else "", style="dim")
    found = prediction.probabilities
    if found is None:
        return line.append(f"  {printable(prediction.problem or '')}", style="red")
    decided, thresholds = columns.rule.decide(found), columns.rule.thresholds
    shown = [column for column in columns.columns if column.words is None]
    positions = [column.positions[0] for column in shown]
    values = columns.values(prediction)
    margins = by_margin(found[positions], [thresholds[position] for position in positions])
    for column in [shown[number] for number in margins[:top]]:
        if values[columns.columns.index(column)] is None:  # not sure enough
            continue
        (position,) = column.positions
        text = f"{printable(column.name)} {100 * found[position]:.0f}%"
        is_present = decided[position]
        line.append("  ", style="not bold")
        line.append(text if is_present else f"({text})", style="green" if is_present else "dim")
    return line
