"""Labels of pictures: the table that all readers give, its CSV form, and the priors."""

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.csv_text import number
from vaa_cli.core.errors import VAAError

PRESENT, ABSENT, UNSPECIFIED = 1, 0, -1

SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2,
    "testing": 2,
}  # fmt: skip
IMAGE_COLUMNS = ("image", "file", "filename", "path")
SPLIT_COLUMN = "split"
BOX_COLUMNS = ("left", "top", "width", "height")

_CELLS = {PRESENT: "1", ABSENT: "0", UNSPECIFIED: ""}
_YES = {"1", "true", "yes", "1.0"}
_NO = {"0", "false", "no", "0.0"}
_MISSING = {"", "na"}
_MINUS_ONE = {"-1", "-1.0"}


class Box(NamedTuple):
    """A person's place in a picture as it is seen (after EXIF rotation), in pixels."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True)
class LabelTable:
    """Pictures with their labels, one row a picture or a box in one.

    Attributes:
        root: the folder that the image paths start from.
        images: `n` paths relative to `root`, with forward slashes.
        attributes: the `c` attribute names, in the order of the label columns.
        labels: `[n x c]` int8: 1 present, 0 absent, -1 unspecified.
        splits: `[n]` int8 positions in `SPLITS`, or None where the dataset has no split.
        boxes: `[n x 4]` left, top, width, height in pixels, NaN for the whole picture; or None.
    """

    root: Path
    images: list[str]
    attributes: tuple[str, ...]
    labels: NDArray[np.int8]
    splits: NDArray[np.int8] | None = None
    boxes: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def path(self, row: int) -> Path:
        """Where the picture of a row is."""
        return self.root / self.images[row]

    def box(self, row: int) -> Box | None:
        """The box of a row, None for the whole picture."""
        if self.boxes is None or np.isnan(self.boxes[row, 0]):
            return None
        return Box(*self.boxes[row].tolist())

    def select(self, positions: Sequence[int] | NDArray[np.int64]) -> "LabelTable":
        """The table of some rows, given by their positions."""
        positions = np.asarray(positions, dtype=np.int64)
        return replace(
            self,
            images=[self.images[row] for row in positions],
            labels=self.labels[positions],
            splits=None if self.splits is None else self.splits[positions],
            boxes=None if self.boxes is None else self.boxes[positions],
        )

    def labels_for(
        self, attributes: Sequence[str]
    ) -> tuple[NDArray[np.int8], list[str], list[str]]:
        """The labels in another order of attributes.

        Args:
            attributes: `k` names; those that the table does not have are unspecified.

        Returns:
            `[n x k]` labels, the asked names that the table lacks, and its names not asked for.

        Raises:
            VAAError: none of the names is the table's.
        """
        own = {name: position for position, name in enumerate(self.attributes)}
        missing = [name for name in attributes if name not in own]
        extra = [name for name in self.attributes if name not in attributes]
        if len(missing) == len(attributes):
            raise VAAError(
                f"none of the model's attributes ({', '.join(attributes[:3])}, …) is among the "
                f"dataset's ({', '.join(self.attributes[:3])}, …)"
            )
        labels = np.full((len(self), len(attributes)), UNSPECIFIED, dtype=np.int8)
        for position, name in enumerate(attributes):
            if name in own:
                labels[:, position] = self.labels[:, own[name]]
        return labels, missing, extra

    def split(self, name: str) -> "LabelTable":
        """The rows of one split; all tables have splits once they are prepared."""
        if self.splits is None:
            raise ValueError("the table has no splits yet")
        return self.select(np.flatnonzero(self.splits == SPLITS.index(name)))


@dataclass(frozen=True)
class Priors:
    """How often each attribute is present in the training split; arrays `[c]`."""

    attributes: tuple[str, ...]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    unspecified: NDArray[np.int64]

    @classmethod
    def of(cls, table: LabelTable) -> "Priors":
        """Count the labels of a table (the training split's)."""
        return cls(
            table.attributes,
            positives=(table.labels == PRESENT).sum(axis=0),
            negatives=(table.labels == ABSENT).sum(axis=0),
            unspecified=(table.labels == UNSPECIFIED).sum(axis=0),
        )

    @property
    def prior(self) -> NDArray[np.float64]:
        """a_c, the share of positives among the specified labels; NaN where there are none."""
        specified = self.positives + self.negatives
        unknown = np.full(len(specified), np.nan)
        prior: NDArray[np.float64] = np.divide(
            self.positives, specified, out=unknown, where=specified > 0
        )
        return prior

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which attributes never vary in training, so that nothing about them can be learnt."""
        constant: NDArray[np.bool_] = (self.positives == 0) | (self.negatives == 0)
        return constant

    @property
    def weight(self) -> NDArray[np.float64]:
        """w_c = exp(−a_c) of eq. 4; 1 for a constant attribute, as the loss has it."""
        return np.where(self.constant, 1.0, np.exp(-self.prior))

    def to_frame(self) -> pd.DataFrame:
        """The table that priors.csv holds."""
        return pd.DataFrame(
            {
                "attribute": self.attributes,
                "positives": self.positives,
                "negatives": self.negatives,
                "unspecified": self.unspecified,
                "prior": self.prior,
                "weight": self.weight,
            }
        )


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

    The index tells each row's number as a spreadsheet shows it: a header on top is row 1.

    Raises:
        VAAError: it cannot be read, is no CSV, or names a column twice.
    """
    header, blank = read_header(path)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise VAAError(f"{path}: column {twice[0]!r} stands there twice; name each column once")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise VAAError(f"{path}: columns must be separated by commas, not by ';' or tabs")
    with _reading_errors(path):
        frame = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            header=blank,
            skip_blank_lines=False,
        )
    if not isinstance(frame.index, pd.RangeIndex):
        raise VAAError(f"{path}: rows have more cells than the header names columns")
    # pandas pads short rows with NaN even for text.
    frame = frame.fillna("").set_axis(header, axis="columns")
    frame.index += blank + 2
    return frame[(frame != "").any(axis="columns")]


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except (UnicodeDecodeError, csv.Error, pd.errors.ParserError) as error:
        reason = str(error).splitlines()[0]
        raise VAAError(f"{path} is not a CSV in UTF-8: {reason}") from error


def image_column(columns: Sequence[str]) -> str | None:
    """The name of the column that holds the pictures' paths, if there is one."""
    lowered = {name.lower(): name for name in reversed(columns)}
    return next((lowered[name] for name in IMAGE_COLUMNS if name in lowered), None)


def box_columns(columns: Sequence[str]) -> list[str]:
    """The names of the four box columns, or none: a lone `top` is a piece of clothing."""
    lowered = {name.lower(): name for name in columns}
    found = [lowered[name] for name in BOX_COLUMNS if name in lowered]
    return found if len(found) == len(BOX_COLUMNS) else []


def table_from_csv(path: Path) -> LabelTable:
    """Read a label CSV: an image column, optional split and box columns, the rest attributes.

    Args:
        path: the CSV; its folder is the root that image paths start from.

    Raises:
        VAAError: the file, a row or a cell is not of that form; names file, row and column. Rows
            are counted as a spreadsheet shows them: the header is row 1.
    """
    frame = read_csv(path)
    images_from = image_column(list(frame.columns))
    if images_from is None:
        raise VAAError(f"{path} has no image column; name one of {', '.join(IMAGE_COLUMNS)}")
    lowered = {name.lower(): name for name in frame.columns}
    split_from = lowered.get(SPLIT_COLUMN)
    boxes_from = box_columns(list(frame.columns))
    special = {images_from, split_from, *boxes_from}
    attributes = tuple(name for name in frame.columns if name not in special)
    if not attributes:
        raise VAAError(f"{path} has no attribute columns beside {images_from!r}")
    if "" in attributes:
        position = list(frame.columns).index("") + 1
        raise VAAError(f"{path}: column {position} has no name; name it or delete it")
    if frame.empty:
        raise VAAError(f"{path} has a header but no rows")
    table = LabelTable(
        root=path.parent,
        images=_parse_images(frame[images_from], path),
        attributes=attributes,
        labels=_parse_labels(frame[list(attributes)], path),
        splits=None if split_from is None else _parse_splits(frame[split_from], path),
        boxes=parse_boxes(frame[boxes_from], path) if boxes_from else None,
    )
    _require_no_repeats(table, frame.index, path)
    return table


def table_cells(table: LabelTable) -> Iterator[list[str]]:
    """The CSV form of a table, without its splits, header first: image, boxes, attributes."""
    boxes_from = BOX_COLUMNS if table.boxes is not None else ()
    yield ["image", *boxes_from, *table.attributes]
    for row, image in enumerate(table.images):
        box = () if table.boxes is None else map(number, table.boxes[row])
        yield [image, *box, *map(_CELLS.__getitem__, table.labels[row].tolist())]


def parse_boxes(columns: pd.DataFrame, path: Path) -> NDArray[np.float64]:
    """Box columns as `[n x 4]` numbers; a row of four empty cells is the whole picture (NaN).

    Raises:
        VAAError: a cell is no number, or a box is given in part; names file, row and column.
    """
    boxes = np.empty((len(columns), len(BOX_COLUMNS)))
    for i, name in enumerate(columns.columns):
        texts = columns[name].str.strip()
        boxes[:, i] = pd.to_numeric(texts, errors="coerce")
        wrong = (texts != "") & ~np.isfinite(boxes[:, i])
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise _cell_error(path, columns[name], row, "is not a number of pixels")
    partial = np.isnan(boxes).any(axis=1) & ~np.isnan(boxes).all(axis=1)
    if partial.any():
        row = int(np.flatnonzero(partial)[0])
        raise VAAError(f"{path}: row {columns.index[row]} has a box in part; give all four or none")
    return boxes


def _parse_images(column: pd.Series, path: Path) -> list[str]:
    images = [name.replace("\\", "/") if os.name == "nt" else name for name in column]
    for row, name in enumerate(images):
        pure = PurePosixPath(name)
        if not name:
            raise _cell_error(path, column, row, "names no picture")
        if pure.is_absolute() or ".." in pure.parts:
            raise _cell_error(path, column, row, "leaves the dataset folder; use paths inside it")
    return images


def _parse_labels(frame: pd.DataFrame, path: Path) -> NDArray[np.int8]:
    labels = np.full(frame.shape, UNSPECIFIED, dtype=np.int8)
    minus_ones = np.zeros(frame.shape, dtype=bool)
    for i, name in enumerate(frame.columns):
        codes, texts = pd.factorize(frame[name])
        cells = [text.strip().lower() for text in texts]
        known = _YES | _NO | _MISSING | _MINUS_ONE
        wrong = [k for k, cell in enumerate(cells) if cell not in known]
        if wrong:
            row = int(np.flatnonzero(np.isin(codes, wrong))[0])
            problem = "is neither yes nor no; use 1/0, true/false, yes/no, or leave it empty"
            raise _cell_error(path, frame[name], row, problem)
        meaning = [PRESENT if cell in _YES else ABSENT if cell in _NO else UNSPECIFIED
                   for cell in cells]  # fmt: skip
        labels[:, i] = np.array(meaning, dtype=np.int8)[codes]
        minus_ones[:, i] = np.array([cell in _MINUS_ONE for cell in cells])[codes]
    # CelebA writes absent as -1 and has no 0; WIDER has both, and -1 then tells nothing for sure.
    if minus_ones.any() and not (labels == ABSENT).any():
        labels[minus_ones] = ABSENT
    return labels


def _parse_splits(column: pd.Series, path: Path) -> NDArray[np.int8]:
    codes, texts = pd.factorize(column)
    positions = []
    for k, text in enumerate(texts):
        position = SPLIT_NAMES.get(text.strip().lower())
        if position is None:
            row = int(np.flatnonzero(codes == k)[0])
            raise _cell_error(path, column, row, f"is not a split; use {', '.join(SPLITS)}")
        positions.append(position)
    return np.array(positions, dtype=np.int8)[codes]


def _require_no_repeats(table: LabelTable, rows: pd.Index, path: Path) -> None:
    keys = pd.DataFrame({"image": table.images})
    if table.boxes is not None:
        keys = pd.concat([keys, pd.DataFrame(table.boxes)], axis="columns")
    repeats = keys.duplicated()
    if repeats.any():
        second = int(np.flatnonzero(repeats)[0])
        # NaN, the whole picture, is a place like any other here.
        alike = keys.fillna(-1.0).eq(keys.fillna(-1.0).iloc[second]).all(axis="columns")
        first = int(np.flatnonzero(alike)[0])
        what = "and box " if table.boxes is not None else ""
        raise VAAError(
            f"{path}: rows {rows[first]} and {rows[second]} are the same picture {what}"
            f"{table.images[second]!r} ({int(repeats.sum())} such rows); keep one of each"
        )


def _cell_error(path: Path, column: pd.Series, row: int, problem: str) -> VAAError:
    cell = f"row {column.index[row]}, column {column.name!r}"
    return VAAError(f"{path}: {cell}: {column.iloc[row]!r} {problem}")
