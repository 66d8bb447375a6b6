"""The `celeba` format: CelebA (Liu et al., ICCV 2015), its text files or the same as CSV."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat, first_there, picture_folder
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import (
    ABSENT,
    PRESENT,
    SPLITS,
    LabelTable,
    attribute_tuple,
    leaves_folder,
)
from vaa_cli.core.system.input_files import text_lines

ATTRIBUTES, PARTITION = "list_attr_celeba", "list_eval_partition"
PICTURES = ("img_align_celeba/img_align_celeba", "img_align_celeba")
_MEANING = {"1": PRESENT, "-1": ABSENT}
_PARTS = {"0": 0, "1": 1, "2": 2}  # train, val, test

# A line's number and what stands in it.
Line = tuple[int, list[str]]


def find(root: Path) -> Path | None:
    """The attribute file, if it is there."""
    return _file(root, ATTRIBUTES, "Anno")


def read(root: Path) -> LabelTable:
    """Read a CelebA folder.

    Raises:
        VAAError: a file is missing or broken; names file, line and picture.
    """
    path = find(root)
    if path is None:
        raise VAAError(f"{root} has neither {ATTRIBUTES}.txt nor .csv; looked in Anno too")
    partition = _file(root, PARTITION, "Eval")
    if partition is None:
        raise VAAError(f"{root} has neither {PARTITION}.txt nor .csv; looked in Eval too")
    attributes, lines = _header(path)
    part_of = _read_parts(partition)
    images: list[str] = []
    labels, splits = bytearray(), bytearray()
    seen: set[str] = set()
    for number, (name, *values) in lines:
        place = f"{path}: line {number}, {name}"
        if len(values) != len(attributes):
            raise VAAError(
                f"{place} has {len(values)} values for {len(attributes)} attributes; the file is "
                "damaged"
            )
        for attribute, value in zip(attributes, values, strict=True):
            if value not in _MEANING:
                raise VAAError(f"{place}, {attribute}: {value!r} is neither 1 nor -1")
            labels.append(_MEANING[value])
        if leaves_folder(name):
            raise VAAError(f"{place} leaves the dataset folder; use paths inside it")
        if name in seen:
            raise VAAError(f"{place} stands there a second time")
        if name not in part_of:
            raise VAAError(f"{partition}: {name} of {path.name} is in no part; the file is damaged")
        seen.add(name)
        images.append(name)
        splits.append(part_of[name])
    if not images:
        raise VAAError(f"{path} has no pictures")
    folder = picture_folder(root, PICTURES)
    return LabelTable(
        root,
        [f"{folder}/{name}" for name in images],
        attributes,
        np.frombuffer(labels, dtype=np.int8).reshape(len(images), len(attributes)),
        np.frombuffer(splits, dtype=np.int8),
    )


def _file(root: Path, name: str, folder: str) -> Path | None:
    return first_there(
        *(root / place / f"{name}{end}" for place in ("", folder) for end in (".txt", ".csv"))
    )


def _header(path: Path) -> tuple[tuple[str, ...], Iterator[Line]]:
    """The names of the attributes, and the lines below them."""
    lines = _lines(path)
    count = None
    if path.suffix == ".txt":
        number, first = next(lines, (1, []))
        if len(first) != 1 or not (first[0].isascii() and first[0].isdecimal()):
            raise VAAError(f"{path}: line {number} is not the number of pictures")
        count = int(first[0])
    _, names = next(lines, (0, []))
    attributes = attribute_tuple(names if path.suffix == ".txt" else names[1:], path)
    return attributes, lines if count is None else _counted(lines, count, path)


def _counted(lines: Iterator[Line], count: int, path: Path) -> Iterator[Line]:
    found = 0
    for found, line in enumerate(lines, start=1):  # noqa: B007 (asked for below)
        yield line
    if found != count:
        raise VAAError(
            f"{path}: line 1 announces {count} pictures and {found} follow; the file is damaged"
        )


def _read_parts(path: Path) -> dict[str, int]:
    lines = _lines(path)
    if path.suffix == ".csv":
        next(lines, None)
    parts: dict[str, int] = {}
    for number, cells in lines:
        if len(cells) != 2 or cells[1] not in _PARTS:
            raise VAAError(
                f"{path}: line {number} is not a picture and 0, 1 or 2 ({', '.join(SPLITS)}): "
                f"{' '.join(cells)!r}"
            )
        parts[cells[0]] = _PARTS[cells[1]]
    return parts


def _lines(path: Path) -> Iterator[Line]:
    """The number and the cells of each line that is not empty."""
    with _reading_errors(path):
        lines = text_lines(path)
        rows = csv.reader(lines) if path.suffix == ".csv" else (line.split() for line in lines)
        for number, cells in enumerate(rows, start=1):
            if cells:
                yield number, [cell.strip() for cell in cells]


@contextmanager
def _reading_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, csv.Error) as error:
        raise VAAError(f"{path} is no text in UTF-8: {error}") from error


FORMAT = DatasetFormat("celeba", "CelebA", f"{ATTRIBUTES}.txt or .csv", find, read)
