"""The `wider` format: WIDER-Attribute (Li et al., ECCV 2016)."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson
import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.labels.table import (
    ABSENT,
    PRESENT,
    SPLITS,
    UNSPECIFIED,
    LabelTable,
    leaves_folder,
)
from vaa_cli.core.system.input_files import opened_file

ATTRIBUTES = (
    "Male", "LongHair", "Sunglass", "Hat", "TShirt", "LongSleeve", "Formal", "Shorts", "Jeans",
    "LongPants", "Skirt", "FaceMask", "Logo", "Stripe",
)  # fmt: skip
FILES = ("wider_attribute_trainval.json", "wider_attribute_test.json")
FOLDERS = ("wider_attribute_annotation", "Anno", "")
PICTURES = "Image"
_MEANING = {1: PRESENT, -1: ABSENT, 0: UNSPECIFIED}
# The annotations nest six deep; a file that nests far deeper is none, and costs a parser dearly.
_DEEPEST = 50

Event = tuple[str, Any]
Person = tuple[str, list[int], list[float]]


@dataclass
class _Place:
    """The position in a file; pictures, and people in a picture, are counted from 1."""

    path: Path
    picture: int = 0
    name: Any = None
    person: int = 0

    def __str__(self) -> str:
        name = f" ({self.name!r})" if self.name else ""
        picture = f", picture {self.picture}{name}" if self.picture else ""
        return f"{self.path}{picture}{f', person {self.person}' if self.person else ''}"


def find(root: Path) -> Path | None:
    """The first annotation file, if there is one."""
    return next(iter(_files(root)), None)


def read(root: Path) -> LabelTable:
    """Read a WIDER-Attribute folder; a row a person, boxes as they stand in the file.

    Raises:
        VAAError: there is no annotation file, or one is broken; names picture and person.
    """
    files = _files(root)
    if not files:
        raise VAAError(f"{root} has neither {FILES[0]} nor {FILES[1]}; looked in {FOLDERS[:2]} too")
    prefix = f"{PICTURES}/" if (root / PICTURES).is_dir() else ""
    images: list[str] = []
    splits, labels, boxes = bytearray(), bytearray(), []
    for path in files:
        for name, attribute, bbox in _people(path):
            images.append(prefix + name)
            splits.append(SPLITS.index(name.split("/")[0]))
            labels += bytes(label & 0xFF for label in attribute)
            boxes.append(bbox)
    return LabelTable(
        root,
        images,
        ATTRIBUTES,
        np.frombuffer(labels, dtype=np.int8).reshape(len(images), len(ATTRIBUTES)),
        np.frombuffer(splits, dtype=np.int8),
        np.array(boxes, dtype=np.float64).reshape(len(images), 4),
    )


def _files(root: Path) -> list[Path]:
    for folder in FOLDERS:
        files = [path for name in FILES if (path := root / folder / name).exists()]
        if files:
            return files
    return []


def _people(path: Path) -> Iterator[Person]:
    place = _Place(path)
    with _reading_errors(place), opened_file(path) as file:
        events = ijson.parse(_shallow(ijson.basic_parse(file, use_float=True)))
        for picture in ijson.items(_follow(events, place), "images.item"):
            yield from _targets(picture, place)
    if not place.picture:
        raise VAAError(f"{path} has no list 'images' with pictures; is it WIDER-Attribute's?")


@contextmanager
def _reading_errors(place: _Place) -> Iterator[None]:
    try:
        yield
    # ijson raises JSONError, but UnicodeDecodeError, OverflowError or ValueError as well.
    except (ijson.JSONError, ArithmeticError, ValueError) as error:
        reason = one_line(error, 120)
        raise VAAError(f"{place}: broken JSON ({reason}); download it again") from error


def _shallow(events: Iterable[Event]) -> Iterator[Event]:
    depth = 0
    for event in events:
        depth += event[0].startswith("start_")
        depth -= event[0].startswith("end_")
        if depth > _DEEPEST:
            raise ijson.JSONError("nested too deep")
        yield event


def _follow(
    events: Iterable[tuple[str, str, Any]], place: _Place
) -> Iterator[tuple[str, str, Any]]:
    """The same events; `place` is moved along with them."""
    for prefix, event, value in events:
        if prefix == "images.item" and not event.startswith("end_") and event != "map_key":
            place.picture, place.name, place.person = place.picture + 1, None, 0
        elif prefix == "images.item.file_name":
            place.name = value
        elif prefix == "images.item.targets.item" and event == "start_map":
            place.person += 1
        yield prefix, event, value


def _targets(picture: Any, place: _Place) -> Iterator[Person]:
    place.person = 0
    name = picture.get("file_name") if isinstance(picture, dict) else None
    if not isinstance(name, str) or not name:
        raise VAAError(f"{place} has no file_name")
    if leaves_folder(name):
        raise VAAError(f"{place} leaves the dataset folder; use paths inside it")
    if name.split("/")[0] not in SPLITS or "/" not in name:
        raise VAAError(f"{place} is not in a folder named {', '.join(SPLITS)}, its split")
    targets = picture.get("targets")
    if not isinstance(targets, list):
        raise VAAError(f"{place} has no list of targets")
    for target in targets:
        place.person += 1
        if not isinstance(target, dict):
            raise VAAError(f"{place} is no object with attribute and bbox")
        yield name, _labels(target.get("attribute"), place), _box(target.get("bbox"), place)


def _labels(values: Any, place: _Place) -> list[int]:
    if not isinstance(values, list) or len(values) != len(ATTRIBUTES):
        raise VAAError(f"{place}: attribute is not a list of {len(ATTRIBUTES)} values")
    try:
        return [_MEANING[value] for value in values]
    except (KeyError, TypeError) as error:
        raise VAAError(f"{place}: an attribute is none of 1, -1 and 0: {values}") from error


def _box(values: Any, place: _Place) -> list[float]:
    if (
        not isinstance(values, list)
        or len(values) != 4
        or not all(isinstance(side, int | float) and math.isfinite(side) for side in values)
    ):
        raise VAAError(f"{place}: bbox is not a list of four numbers (left, top, width, height)")
    return [float(side) for side in values]


FORMAT = DatasetFormat("wider", "WIDER-Attribute", " or ".join(FILES), find, read)
