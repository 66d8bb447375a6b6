"""The `roboflow` format: Roboflow's multi-label export, a `_classes.csv` in each split's folder."""

from pathlib import Path

from vaa_cli.core.datasets.formats.annotations import AnnotatedRows, Value
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_header import SPLIT_NAMES, image_column
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.csv_reader import read_csv

TABLE = "_classes.csv"


def find(source: Path) -> Path | None:
    """The first table, if there is one."""
    return next(iter(_tables(source)), None)


def read(source: Path) -> LabelTable:
    """Read an export; each folder is a split.

    Raises:
        VAAError: a table is missing or broken, or two have other columns.
    """
    tables = _tables(source)
    if not tables:
        raise VAAError(f"{source} has no {TABLE} in a folder named train, valid or test")
    rows, columns = AnnotatedRows(source), None
    for path in tables:
        frame = read_csv(path)
        names = list(frame.columns)
        images = image_column(names)
        if images is None:
            raise VAAError(f"{path} has no column filename; export it again")
        names.remove(images)
        if columns is not None and names != columns:
            raise VAAError(f"{path} has other columns than {tables[0]}; export them together")
        columns = names
        split = SPLIT_NAMES[path.parent.name.lower()]
        for cells in frame.to_dict("records"):
            values: dict[str, Value] = {name: str(cells[name]) for name in names}
            rows.add(f"{path.parent.name}/{cells[images]}", values, split=split)
    return rows.finish(source)


def _tables(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    return sorted(
        path for path in source.glob(f"*/{TABLE}") if path.parent.name.lower() in SPLIT_NAMES
    )


FORMAT = DatasetFormat("roboflow", "a Roboflow export", f"train/{TABLE}", find, read)
