"""Label tables as files: a row a picture or a box in one, a column an attribute."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from posixpath import normpath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.boxes import BOX_COLUMNS, Box
from vaa_cli.core.labels.groups import named_groups, rows_with_several
from vaa_cli.core.labels.label_columns import (
    LabelColumns,
    ParsedColumns,
    label_of,
    resolve_minus_ones,
)
from vaa_cli.core.labels.label_header import (
    EXTENT_COLUMNS,
    IDENTITY_COLUMN,
    IMAGE_COLUMNS,
    PROBLEM_COLUMN,
    SPLIT_COLUMN,
    SPLIT_NAMES,
    LabelHeader,
    TableOptions,
    box_columns,
)
from vaa_cli.core.labels.table import (
    ABSENT,
    PRESENT,
    SPLITS,
    UNSPECIFIED,
    LabelTable,
    leaves_folder,
    repeated_rows,
)
from vaa_cli.core.labels.text_table import open_text_table
from vaa_cli.core.system.csv_reader import csv_chunks
from vaa_cli.core.system.csv_writer import number_text
from vaa_cli.core.system.location import Location

_CELLS = {PRESENT: "1", ABSENT: "0", UNSPECIFIED: ""}


def read_label_file(path: Path, options: TableOptions = TableOptions()) -> LabelTable:  # noqa: B008
    """Read a label CSV or sheet: images, perhaps splits, identities, boxes, the rest attributes.

    Columns of words become a group, an attribute a word; those of numbers or text are none, which
    notes name.

    Args:
        path: the file; its folder is the root that image paths start from.
        options: how it is read.

    Raises:
        VAAError: the file, a row or a cell is not of that form; names file, row and column. Rows
            are counted as a spreadsheet shows them: the header is row 1.
    """
    text = open_text_table(path, options.sheet)
    if set(EXTENT_COLUMNS) <= set(text.header):
        raise VAAError(
            f"{path} has its pictures in shards, from which nothing is prepared; name the dataset "
            "that it was made from"
        )
    header = LabelHeader.of(text.header, path, options)
    images_from, split_from, boxes_from = header.images, header.split, header.boxes
    images: list[str] = []
    names: dict[str, str] = {}  # one text for all rows of a picture, which saves much memory
    rows, splits, boxes, identities = [], [], [], []
    columns = LabelColumns(header.attributes, path, options.empty)
    for frame in text.chunks:
        rows.append(frame.index.to_numpy())
        images += [names.setdefault(name, name) for name in _parse_images(frame[images_from], path)]
        columns.add(frame)
        if header.problems is not None:
            _require_empty(frame[header.problems], path)
        if split_from is not None:
            splits.append(_parse_splits(frame[split_from], path))
        if header.identity is not None:
            identities.append(_parse_identities(frame[header.identity], path))
        if boxes_from:
            boxes.append(parse_boxes(frame[boxes_from], path))
    if not images:
        raise VAAError(f"{path} has a header but no rows")
    parsed = columns.finish()
    _require_attributes(parsed, path)
    table = LabelTable(
        root=path.parent,
        row_images=images,
        attributes=parsed.attributes,
        labels=parsed.labels,
        splits=np.concatenate(splits) if splits else None,
        boxes=np.concatenate(boxes) if boxes else None,
        identities=np.concatenate(identities) if identities else None,
        groups=named_groups(parsed.attributes) | parsed.groups,
        problems=parsed.problems,
        notes=(*((text.note,) if text.note else ()), *parsed.notes),
    )
    numbers = np.concatenate(rows)
    _require_no_contradictions(table, numbers, path)
    contradictions = _group_contradictions(table, numbers, path)
    return replace(table, problems={**contradictions, **table.problems})


def _require_attributes(parsed: ParsedColumns, path: Path) -> None:
    """Check that a table has attributes, and that no column of boxes was taken for numbers."""
    partial = [name for name in parsed.left_out if name.lower() in BOX_COLUMNS]
    if partial:
        raise VAAError(
            f"{path} has numbers in {' and '.join(map(repr, partial))}, but not in all columns of "
            f"boxes: {', '.join(BOX_COLUMNS)}; give all four, or `ignore` these"
        )
    if not parsed.attributes:
        raise VAAError(f"{path} has no attribute columns: {'; '.join(parsed.notes)}")


def read_prepared_csv(path: Path, root: Location, attributes: tuple[str, ...]) -> LabelTable:
    """Read a table that vaa wrote: image, perhaps more (see `table_cells`), then the attributes.

    The file is read once, and its columns are known. A column may thus have any name.

    Args:
        path: the CSV.
        root: folder that the image paths start from.
        attributes: names of the attributes, in their order.

    Raises:
        VAAError: the file cannot be read, or has other columns or cells.
    """
    images: list[str] = []
    names: dict[str, str] = {}
    labels = [np.empty((0, len(attributes)), dtype=np.int8)]
    extents, boxes, identities = [], [], []
    for frame in csv_chunks(path, spaces=False):
        columns, first = list(frame.columns), 1
        if columns[first : first + len(EXTENT_COLUMNS)] == list(EXTENT_COLUMNS):
            extents.append(parse_extents(frame.iloc[:, first : first + len(EXTENT_COLUMNS)], path))
            first += len(EXTENT_COLUMNS)
        if columns[first : first + len(BOX_COLUMNS)] == list(BOX_COLUMNS):
            boxes.append(parse_boxes(frame.iloc[:, first : first + len(BOX_COLUMNS)], path))
            first += len(BOX_COLUMNS)
        if columns[first : first + 1] == [IDENTITY_COLUMN]:
            identities.append(_parse_identities(frame[IDENTITY_COLUMN], path))
            first += 1
        if columns[0] != IMAGE_COLUMNS[0] or tuple(columns[first:]) != attributes:
            raise VAAError(f"{path} does not have the attributes of dataset.json; prepare again")
        images += [names.setdefault(name, name) for name in _parse_images(frame["image"], path)]
        labels.append(_parse_labels(frame.iloc[:, first:], path))
    return LabelTable(
        root,
        images,
        attributes,
        resolve_minus_ones(np.concatenate(labels)),
        boxes=np.concatenate(boxes) if boxes and images else None,
        extents=np.concatenate(extents) if extents else None,
        identities=np.concatenate(identities) if identities and images else None,
    )


def require_column_names(table: LabelTable) -> None:
    """Check that a table's attributes can be columns of a CSV beside the other columns.

    Raises:
        VAAError: one is named as a column that is none of an attribute.
    """
    require_attribute_names(table.attributes, table.boxes is not None)


def require_attribute_names(attributes: Sequence[str], has_boxes: bool = False) -> None:
    """Check that attributes can be columns of a CSV beside the other columns.

    Args:
        attributes: their names.
        has_boxes: whether the CSV has box columns.

    Raises:
        VAAError: one is named as a column that is none of an attribute.
    """
    taken = {IMAGE_COLUMNS[0], *EXTENT_COLUMNS} | (set(BOX_COLUMNS) if has_boxes else set())
    reserved = (SPLIT_COLUMN, PROBLEM_COLUMN, IDENTITY_COLUMN)
    wrong = [name for name in attributes if name in taken or name.lower() in reserved]
    if not has_boxes:
        wrong += box_columns(attributes)[:1]
    if wrong:
        raise VAAError(
            f"an attribute cannot be named {wrong[0]!r}, as a column of the tables is; give it "
            "another name with `attributes`"
        )


def table_cells(table: LabelTable) -> Iterator[list[str]]:
    """The CSV form of a table without its splits, header first.

    The columns are image, perhaps the extent in a shard, boxes and identity, and the attributes.
    """
    extents_from = EXTENT_COLUMNS if table.extents is not None else ()
    boxes_from = BOX_COLUMNS if table.boxes is not None else ()
    identity_from = [IDENTITY_COLUMN] if table.identities is not None else []
    yield ["image", *extents_from, *boxes_from, *identity_from, *table.attributes]
    for row, image in enumerate(table.row_images):
        box = () if table.boxes is None else map(number_text, table.boxes[row])
        person = [] if table.identities is None else [str(table.identities[row])]
        extent = () if table.extents is None else map(str, table.extents[row].tolist())
        yield [image, *extent, *box, *person, *map(_CELLS.__getitem__, table.labels[row].tolist())]


def parse_extents(columns: pd.DataFrame, path: Path) -> NDArray[np.int64]:
    """The columns of extents as `[n x 2]` numbers.

    Raises:
        VAAError: a cell is no number of bytes; names file, row and column.
    """
    for name in columns.columns:
        wrong = ~columns[name].str.fullmatch(r"[0-9]{1,18}").to_numpy(dtype=bool)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise _cell_error(path, columns[name], row, "is not a number of bytes")
    return columns.to_numpy(dtype=np.int64)


def parse_boxes(columns: pd.DataFrame, path: Path) -> NDArray[np.float64]:
    """Box columns as `[n x 4]` numbers; a row of four empty cells is the whole picture (NaN).

    Raises:
        VAAError: a cell is no number, or a box is given in part; names file, row and column.
    """
    boxes = np.empty((len(columns), len(BOX_COLUMNS)))
    for i, name in enumerate(columns.columns):
        # Spreadsheets of many languages write 12,5; no other comma is in a number of pixels.
        texts = columns[name].str.strip().str.replace(",", ".", n=1, regex=False)
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


def _parse_images(column: "pd.Series[str]", path: Path) -> list[str]:
    images = [name.replace("\\", "/") if os.name == "nt" else name for name in column]
    for row, name in enumerate(images):
        if not name:
            raise _cell_error(path, column, row, "names no picture")
        if leaves_folder(name):
            raise _cell_error(path, column, row, "leaves the dataset folder; use paths inside it")
    # ./a.jpg is a.jpg: else one picture would count as two, perhaps in two splits.
    return [normpath(name) if "//" in name or "./" in name else name for name in images]


def _require_empty(column: "pd.Series[str]", path: Path) -> None:
    """Check that the column of problems, which vaa predict writes, names none."""
    rows = np.flatnonzero(column.str.strip() != "")
    if len(rows):
        problem = (
            "is a problem of vaa predict or a label; delete the rows with a problem, or give an "
            "attribute another name"
        )
        raise _cell_error(path, column, int(rows[0]), problem)


def _parse_labels(frame: pd.DataFrame, path: Path) -> NDArray[np.int8]:
    """The labels of all columns of a table that vaa wrote."""
    labels = np.empty(frame.shape, dtype=np.int8)
    for i, name in enumerate(frame.columns):
        codes, texts = pd.factorize(frame[name])
        meaning = [label_of(text) for text in texts]
        if None in meaning:
            row = int(np.flatnonzero(codes == meaning.index(None))[0])
            raise _cell_error(path, frame[name], row, "is neither yes nor no")
        labels[:, i] = np.array(meaning, dtype=np.int8)[codes]
    return labels


def _parse_identities(column: "pd.Series[str]", path: Path) -> NDArray[np.object_]:
    """The person of each row; one text for all rows of a person, which saves much memory."""
    codes, people = pd.factorize(column)
    named = np.array([person.strip() for person in people], dtype=object)
    if "" in named:
        row = int(np.flatnonzero(named[codes] == "")[0])
        raise _cell_error(path, column, row, "names nobody; give each row an identity, or none")
    found: NDArray[np.object_] = named[codes]
    return found


def _parse_splits(column: "pd.Series[str]", path: Path) -> NDArray[np.int8]:
    codes, texts = pd.factorize(column)
    positions = []
    for k, text in enumerate(texts):
        position = SPLIT_NAMES.get(text.strip().lower())
        if position is None:
            row = int(np.flatnonzero(codes == k)[0])
            raise _cell_error(path, column, row, f"is not a split; use {', '.join(SPLITS)}")
        positions.append(position)
    return np.array(positions, dtype=np.int8)[codes]


def _require_no_contradictions(table: LabelTable, rows: NDArray[np.int64], path: Path) -> None:
    """Check that rows of the same picture and box have the same labels; one of them is kept.

    Raises:
        VAAError: two of them have not.
    """
    repeats = np.flatnonzero(repeated_rows(table)).tolist()
    first_rows: dict[tuple[str, Box | None], int] = {}
    for row in range(len(table)) if repeats else ():
        first_rows.setdefault((table.row_images[row], table.box(row)), row)
    for second in repeats:
        first = first_rows[table.row_images[second], table.box(second)]
        same_split = table.splits is None or table.splits[first] == table.splits[second]
        if same_split and (table.labels[first] == table.labels[second]).all():
            continue
        what = "and box " if table.boxes is not None else ""
        raise VAAError(
            f"{path}: rows {rows[first]} and {rows[second]} are the same picture {what}"
            f"{table.row_images[second]!r} with other labels or another split; keep the right one"
        )


def _group_contradictions(
    table: LabelTable, rows: NDArray[np.int64], path: Path
) -> dict[str, list[str]]:
    """The rows that have two attributes of a group, by the name of the second one."""
    problems: dict[str, list[str]] = {}
    for group, members in table.groups.items():
        for row in rows_with_several(table, members):
            labels = table.labels[row]
            there = [name for name in members if labels[table.attributes.index(name)] == PRESENT]
            problems.setdefault(there[1], []).append(
                f"{path}: row {rows[row]} has both {there[0]} and {there[1]}, which exclude each "
                f"other; correct it, or rename these columns if {group} is no group"
            )
    return problems


def _cell_error(path: Path, column: "pd.Series[str]", row: int, problem: str) -> VAAError:
    cell = f"row {column.index[row]}, column {column.name!r}"
    return VAAError(f"{path}: {cell}: {column.iloc[row]!r} {problem}")
