"""The `mmpretrain` format: OpenMMLab's, `metainfo` with classes and a `data_list`."""

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
    split_named,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.labels.table import LabelTable

GROUP = "label"


def find(source: Path) -> Path | None:
    """The first annotation file, if there is one."""
    return next(iter(_files(source)), None)


def read(source: Path) -> LabelTable:
    """Read annotations: lists of classes are several labels, single ones a group.

    Raises:
        VAAError: there is no annotation file, or one is broken.
    """
    files = _files(source)
    if not files:
        raise VAAError(f"{source} has no JSON file with metainfo and data_list")
    rows, several = AnnotatedRows(files[0], source), len(files) > 1
    for path in files:
        content = expected(read_json(path), dict, path)
        info = expected(content.get("metainfo"), dict, f"{path}: metainfo")
        classes = expected(info.get("classes"), list, f"{path}: metainfo, classes")
        for name in classes:
            expected(name, str, f"{path}: metainfo, classes")
        split = split_named(path.stem) if several else None
        entries = expected(content.get("data_list"), list, f"{path}: data_list")
        for number, entry in enumerate(entries, start=1):
            place = f"{path}: entry {number}"
            expected(entry, dict, place)
            label = entry.get("gt_label")
            values: dict[str, Value]
            if isinstance(label, list):
                values = listed(classes, [_name(one, classes, place) for one in label])
            else:
                values = {GROUP: _name(label, classes, place)}
            rows.add(entry.get("img_path"), values, split=split)
    return rows.finish()


def _files(source: Path) -> list[Path]:
    return [
        path
        for path in candidates(source, "*.json", "annotations/*.json", "meta/*.json")
        if {"data_list", "metainfo.classes"} & json_keys(path)
    ]


def _name(label: Any, classes: list[Any], place: str) -> str:
    is_position = isinstance(label, int) and not isinstance(label, bool)
    if not is_position or not 0 <= label < len(classes):
        raise VAAError(f"{place}: gt_label {brief(label)} is none of the {len(classes)} classes")
    return str(classes[label])


FORMAT = DatasetFormat(
    "mmpretrain", "MMPretrain JSON", "a JSON of metainfo, data_list", find, read, reads_files=True
)
