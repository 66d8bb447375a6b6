"""The `fiftyone` format: FiftyOne's classification export, `data/` and `labels.json`."""

from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.formats.annotations import (
    AnnotatedRows,
    Value,
    candidates,
    expected,
    json_keys,
    listed,
    read_json,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.labels.table import LabelTable

PICTURES, GROUP = "data", "label"


def find(source: Path) -> Path | None:
    """The file of labels, if there is one."""
    keys = {"classes", "labels"}
    return next(
        (path for path in candidates(source, "labels.json") if keys & json_keys(path)), None
    )


def read(source: Path) -> LabelTable:
    """Read an export: lists of classes are several labels, single ones a group.

    Raises:
        VAAError: the labels are missing or broken, or a picture is not there.
    """
    path = find(source)
    if path is None:
        raise VAAError(f"{source} has no labels.json with classes and labels")
    content = expected(read_json(path), dict, path)
    labels = expected(content.get("labels"), dict, f"{path}: labels")
    classes = content.get("classes")
    if classes is not None:
        classes = [
            expected(name, str, f"{path}: classes")
            for name in expected(classes, list, f"{path}: classes")
        ]
    folder = path.parent / PICTURES
    if not folder.is_dir():
        raise VAAError(f"{path} has no folder {PICTURES} beside it, with the pictures")
    pictures = {file.stem: file.name for file in sorted(folder.iterdir()) if is_picture(file.name)}
    pictures |= {file: file for file in pictures.values()}
    rows = AnnotatedRows(path)
    for stem, label in labels.items():
        place = f"{path}: {brief(stem)}"
        if stem not in pictures:
            raise VAAError(f"{place} has no picture in {folder}")
        names = None if label is None else _names(label, classes, place)
        values: dict[str, Value] = {}
        if isinstance(label, list):
            values = listed(classes or names or (), names or ())
        elif names:
            values = {GROUP: names[0]}
        rows.add(pictures[stem], values)
    return rows.finish(folder)


def _names(label: Any, classes: list[str] | None, place: str) -> list[str]:
    """The classes of a label: a name, a position in the list of classes, or several of these."""
    if isinstance(label, dict):
        label = label.get("label")
    found = []
    for one in label if isinstance(label, list) else [label]:
        if isinstance(one, str):
            found.append(one)
        elif isinstance(one, int) and classes is not None and 0 <= one < len(classes):
            found.append(classes[one])
        else:
            raise VAAError(f"{place}: {brief(one)} is none of the classes")
    return found


FORMAT = DatasetFormat("fiftyone", "a FiftyOne export", "labels.json with classes", find, read)
