"""The `csv` format: a table with an image column and a column an attribute, or one a split."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_file import read_label_file
from vaa_cli.core.labels.label_header import (
    IMAGE_COLUMNS,
    SPLIT_NAMES,
    TableOptions,
    image_column,
)
from vaa_cli.core.labels.picture_root import PICTURE_FOLDERS, find_pictures
from vaa_cli.core.labels.table import LabelTable, joined_boxes, leaves_folder
from vaa_cli.core.labels.text_table import ENDINGS, header_of

LABELS_NAME = "labels.csv"


def find(source: Path) -> Path | None:
    """The first CSV with an image column, if there is one."""
    return next(iter(_fitting(source)), None)


def read(source: Path, options: TableOptions = TableOptions()) -> LabelTable:  # noqa: B008
    """Read a dataset folder that holds a label CSV, or one for each split, or the CSV itself.

    Args:
        source: the folder, or the CSV.
        options: how tables are read.

    Raises:
        VAAError: there is no such folder, no label CSV in it or several that are not its splits,
            a CSV is wrong, or none of its pictures is found.
    """
    tables = find_tables(source, options)
    if len(tables) == 1:
        return _read_table(tables[0], options)
    return _joined({path: _read_table(path, options) for path in tables})


def _read_table(path: Path, options: TableOptions) -> LabelTable:
    table = read_label_file(path, options)
    found = find_pictures(path, table.row_images)
    if found is None:
        first = path.parent / table.row_images[0]
        raise VAAError(
            f"{path}: none of its pictures is there; looked for {first} "
            f"and under {', '.join(PICTURE_FOLDERS[1:])}"
        )
    root, images = found
    for name in images:
        if leaves_folder(name):
            raise VAAError(f"{path}: {name!r} leaves the dataset folder; use paths inside it")
    return replace(table, row_images=images, root=root)


def find_tables(source: Path, options: TableOptions = TableOptions()) -> list[Path]:  # noqa: B008
    """The label CSVs of a dataset: the file itself, `labels.csv`, the only one, or the splits'.

    Raises:
        VAAError: nothing is there, or several CSVs have an image column and are not called as
            splits are.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise VAAError(f"{source}: no such folder; name the folder that holds the label CSV")
    fitting = _fitting(source, options.image_column)
    if not fitting:
        tables = len(tables_in(source))
        found = f"{tables} without an image column" if tables else "none"
        raise VAAError(
            f"{source} has no labels: looked for a CSV or .xlsx with a column named "
            f"{', '.join(IMAGE_COLUMNS[:-1])} or {IMAGE_COLUMNS[-1]} and found {found}"
        )
    splits = [SPLIT_NAMES.get(path.stem.lower()) for path in fitting]
    if len(fitting) > 1 and (None in splits or len(set(splits)) < len(splits)):
        names = ", ".join(path.name for path in fitting)
        raise VAAError(
            f"{source} has several label tables ({names}); name the file to read, or join them in "
            "one with a column split"
        )
    return fitting


def _joined(tables: dict[Path, LabelTable]) -> LabelTable:
    """One table of those of the splits, each called as its split is.

    Raises:
        VAAError: they have other attributes or other columns, or a column split of their own.
    """
    (first_path, first), *others = tables.items()
    for path, table in tables.items():
        if table.splits is not None:
            raise VAAError(f"{path} has a column split; name this file alone, or delete the column")
    for path, table in others:
        if table.attributes != first.attributes or (table.boxes is None) != (first.boxes is None):
            raise VAAError(f"{path} has other columns than {first_path}; give both the same ones")
        if table.root != first.root:
            raise VAAError(
                f"the pictures of {path} start at {table.root}, and those of {first_path} at "
                f"{first.root}; let both start at {first_path.parent}"
            )
    parts = list(tables.values())
    splits = [SPLIT_NAMES[path.stem.lower()] for path in tables]
    return LabelTable(
        first.root,
        [name for part in parts for name in part.row_images],
        first.attributes,
        np.concatenate([part.labels for part in parts]),
        np.repeat(np.array(splits, dtype=np.int8), [len(part) for part in parts]),
        joined_boxes(parts),
        groups=first.groups,
        problems={name: texts for part in parts for name, texts in part.problems.items()},
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )


def _fitting(source: Path, image_column: str | None = None) -> list[Path]:
    if (source / LABELS_NAME).exists():
        return [source / LABELS_NAME]
    # A metadata.csv is Hugging Face's, which has its own reader.
    tables = [path for path in tables_in(source) if path.name != "metadata.csv"]
    return [path for path in tables if _names_pictures(path, image_column)]


def tables_in(source: Path) -> list[Path]:
    """The CSV files and workbooks of a folder, whatever is in them."""
    # A spreadsheet program keeps a ~$NAME.xlsx beside a workbook that it has open.
    return sorted(
        path
        for path in source.iterdir()
        if path.suffix.lower() in ENDINGS and not path.name.startswith((".", "~$"))
    )


def _names_pictures(path: Path, wanted: str | None) -> bool:
    try:
        header = header_of(path)
        return image_column(header) is not None if wanted is None else wanted in header
    except VAAError:
        return False  # some other file that happens to end in .csv


FORMAT = DatasetFormat(
    "csv", "a label table", f"a CSV or .xlsx with a column {', '.join(IMAGE_COLUMNS)}", find, read
)
