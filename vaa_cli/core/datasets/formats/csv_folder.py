"""The `csv` format: one table with an image column and a column an attribute."""

from dataclasses import replace
from os.path import isfile
from pathlib import Path
from posixpath import normpath

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_csv import IMAGE_COLUMNS, image_column, table_from_csv
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.csv_files import read_header

LABELS_NAME = "labels.csv"
# Where tables keep their pictures when paths do not start at the table's own folder.
PICTURE_FOLDERS = ("", "images", "image", "imgs", "img", "pictures", "photos", "data")
_PROBES = 50


def find(source: Path) -> Path | None:
    """The first CSV with an image column, if there is one."""
    return next(iter(_fitting(source)), None)


def read(source: Path) -> LabelTable:
    """Read a dataset folder that holds a label CSV, or the CSV itself.

    Raises:
        VAAError: there is no such folder, no label CSV or more than one in it, the CSV is wrong,
            or none of its pictures is found.
    """
    path = find_labels(source)
    table = table_from_csv(path)
    # ./a.jpg is a.jpg: else one picture would count as two, perhaps in two splits.
    images = [normpath(name) if "//" in name or "./" in name else name for name in table.row_images]
    return replace(table, row_images=images, root=_picture_root(table, path))


def find_labels(source: Path) -> Path:
    """The label CSV of a dataset: the file itself, `labels.csv`, or the only one that fits.

    Raises:
        VAAError: nothing is there, or more than one CSV has an image column.
    """
    if source.is_file():
        return source
    if not source.is_dir():
        raise VAAError(f"{source}: no such folder; name the folder that holds the label CSV")
    fitting = _fitting(source)
    if not fitting:
        tables = len(list(source.glob("*.csv")))
        found = f"{tables} without an image column" if tables else "none"
        raise VAAError(
            f"{source} has no labels: looked for a CSV with a column named "
            f"{', '.join(IMAGE_COLUMNS[:-1])} or {IMAGE_COLUMNS[-1]} and found {found}"
        )
    if len(fitting) > 1:
        names = ", ".join(path.name for path in fitting)
        raise VAAError(f"{source} has several label tables ({names}); name the file to read")
    return fitting[0]


def _fitting(source: Path) -> list[Path]:
    if (source / LABELS_NAME).is_file():
        return [source / LABELS_NAME]
    return [path for path in sorted(source.glob("*.csv")) if _names_pictures(path)]


def _names_pictures(path: Path) -> bool:
    try:
        return image_column(read_header(path)[0]) is not None
    except VAAError:
        return False  # some other file that happens to end in .csv


def _picture_root(table: LabelTable, path: Path) -> Path:
    """The folder under which most of a sample of the pictures are."""
    step = max(1, len(table) // _PROBES)
    probes = table.row_images[::step]
    found = {
        folder: sum(isfile(path.parent / folder / name) for name in probes)
        for folder in PICTURE_FOLDERS
    }
    best = max(found, key=lambda folder: found[folder])
    if not found[best]:
        raise VAAError(
            f"{path}: none of its pictures is there; looked for {path.parent / probes[0]} "
            f"and under {', '.join(PICTURE_FOLDERS[1:])}"
        )
    return path.parent / best


FORMAT = DatasetFormat(
    "csv", "a label CSV", f"a CSV with a column {', '.join(IMAGE_COLUMNS)}", find, read
)
