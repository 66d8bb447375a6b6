"""The `par` format: `dataset_all.pkl`, in which UPAR, MSP60K and zero-shot splits are published.

It is the form of Rethinking_of_PAR (Jia et al.): a dict of `image_name`, `label`, `attr_name`,
`partition` and `label_idx`. `PETA_zs` and `RAP_zs` come as `dataset_zs_run0.pkl` to `run4`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.formats.annotations import located
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.datasets.pickled_values import read_values
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.labels.table import (
    ABSENT,
    PRESENT,
    SPLITS,
    UNSPECIFIED,
    LabelTable,
    attribute_tuple,
    leaves_folder,
)

_RUN = re.compile(r"dataset_zs_run(\d+)\.pkl")
_NAME = "dataset_all.pkl"
_KEYS = ("image_name", "label", "attr_name")


def find(source: Path) -> Path | None:
    """The first file, if there is one."""
    return next(iter(_files(source)), None)


def read(source: Path, partition: int | None = None) -> LabelTable:
    """Read a dataset; nothing named in its pickle is imported or called.

    Args:
        source: the folder, or the file.
        partition: number of the partition, or of the zero-shot run; None for the first.

    Raises:
        VAAError: the file is missing or broken, holds other values, or has no such partition.
    """
    files = _files(source)
    if not files:
        raise VAAError(f"{source} has neither {_NAME} nor dataset_zs_run0.pkl")
    path, number = files[0], partition or 0
    if len(files) > 1:
        if number >= len(files):
            raise VAAError(f"`partition={number}`: {source} has {len(files)} runs, from 0")
        path, number = files[number], 0
    content = read_values(path)
    if not isinstance(content, dict) or any(key not in content for key in _KEYS):
        raise VAAError(f"{path} is no dict of {', '.join(_KEYS)}; is it a dataset of this form?")
    images = [str(name) for name in _list(content["image_name"], f"{path}: image_name")]
    for name in images:
        if leaves_folder(name.replace("\\", "/")):
            raise VAAError(f"{path}: {brief(name)} leaves the dataset folder")
    names = [str(name) for name in _list(content["attr_name"], f"{path}: attr_name")]
    attributes = attribute_tuple(names, path)
    labels = _labels(content["label"], len(images), len(attributes), path)
    splits, rows = _splits(content.get("partition"), number, len(images), path)
    root, images = located(path, images)
    table = LabelTable(
        root, images, attributes, labels, splits, benchmark=_benchmark(content, attributes)
    )
    return table if rows is None else table.select(rows)


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source] if source.suffix == ".pkl" else []
    runs = [path for path in source.glob("*.pkl") if _RUN.fullmatch(path.name)]
    runs.sort(key=lambda path: int(_RUN.fullmatch(path.name)[1]))  # type: ignore[index]
    return runs or [path for path in (source / _NAME,) if path.is_file()]


def _list(value: Any, place: str) -> list[Any]:
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist()
    if not isinstance(value, list | tuple):
        raise VAAError(f"{place} is no list")
    return list(value)


def _labels(value: Any, rows: int, columns: int, path: Path) -> NDArray[np.int8]:
    try:
        table = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise VAAError(f"{path}: label is no table of numbers") from error
    if table.shape != (rows, columns):
        raise VAAError(
            f"{path}: label has shape {table.shape} for {rows} pictures and {columns} attributes"
        )
    # A 2 means unknown in RAP's tables.
    wrong = ~np.isin(table, (0, 1, 2, -1))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise VAAError(
            f"{path}: label of picture {row}, attribute {column} is {table[row, column]:g}"
        )
    labels = np.full(table.shape, UNSPECIFIED, dtype=np.int8)
    labels[table == 1], labels[table == 0] = PRESENT, ABSENT
    return labels


def _splits(
    value: Any, number: int, rows: int, path: Path
) -> tuple[NDArray[np.int8] | None, NDArray[np.int64] | None]:
    """The split of each row, and the rows that are in one if some are not."""
    if not isinstance(value, Mapping):
        if value is not None:
            raise VAAError(f"{path}: partition is no dict of train, val and test")
        return None, None
    place = f"{path}: partition"
    parts = {name: _indices(value[name], number, rows, f"{place}, {name}") for name in value}
    if "train" not in parts and "trainval" in parts:
        parts["train"] = parts["trainval"]
    splits = np.full(rows, -1, dtype=np.int8)
    for position, name in enumerate(SPLITS):
        if name in parts:
            if (splits[parts[name]] >= 0).any():
                raise VAAError(f"{place}: a picture is in {name} and in another part")
            splits[parts[name]] = position
    chosen = np.flatnonzero(splits >= 0)
    if not len(chosen):
        raise VAAError(f"{place} has none of {', '.join(SPLITS)}")
    return splits, None if len(chosen) == rows else chosen


def _indices(value: Any, number: int, rows: int, place: str) -> NDArray[np.int64]:
    """The rows of a part; of several partitions, those of one."""
    several = isinstance(value, list | tuple) and bool(value)
    several = several and all(isinstance(one, np.ndarray | list | tuple) for one in value)
    if several:
        if number >= len(value):
            raise VAAError(f"`partition={number}`: {place} has {len(value)}, from 0")
        value = value[number]
    elif number:
        raise VAAError(f"`partition={number}`: {place} has one partition only")
    try:
        found = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise VAAError(f"{place} is no list of numbers of pictures") from error
    if ((found < 0) | (found >= rows) | (found % 1 != 0)).any():
        raise VAAError(f"{place} holds what is no number of one of {rows:,} pictures")
    return found.astype(np.int64)


def _benchmark(content: Mapping[str, Any], attributes: tuple[str, ...]) -> tuple[str, ...] | None:
    """The attributes that the benchmark scores: those of `label_idx.eval`."""
    chosen = content.get("label_idx")
    positions = chosen.get("eval") if isinstance(chosen, Mapping) else None
    if not isinstance(positions, list | np.ndarray):
        return None
    numbers = [int(one) for one in np.asarray(positions).ravel().tolist()]
    if any(not 0 <= one < len(attributes) for one in numbers):
        return None
    return tuple(attributes[one] for one in numbers)


FORMAT = DatasetFormat(
    "par", "a pickle of UPAR, MSP60K or of zero-shot splits", f"{_NAME} or dataset_zs_run0.pkl",
    find, read, options=frozenset({"partition"}), reads_files=True,
)  # fmt: skip
