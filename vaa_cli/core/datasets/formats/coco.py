"""The `coco` format: COCO's JSON with `attributes` beside boxes, as Datumaro and CVAT write it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.formats.annotations import (
    AnnotatedRows,
    Value,
    candidates,
    expected,
    json_keys,
    read_json,
    split_named,
    split_of_folder,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat, chosen_label, dataset_folder
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.picture_root import PICTURE_FOLDERS
from vaa_cli.core.labels.table import LabelTable

_PATTERNS = ("annotations/*.json", "*.json", "*/_annotations.coco.json")
# What CVAT and Datumaro keep beside a person's attributes.
_TECHNICAL = frozenset({"occluded", "rotation", "track_id", "keyframe", "score", "id", "z_order"})


def find(source: Path) -> Path | None:
    """The first annotation file, if there is one."""
    return next(iter(_files(source)), None)


def read(source: Path, label: str | None = None) -> LabelTable:
    """Read annotations: a row a box of one category; polygons and masks are left aside.

    Args:
        source: the folder, or the JSON file.
        label: category of the boxes that are rows; None for `person`, or the only one.

    Raises:
        VAAError: there is no annotation file, or one is broken.
    """
    files = _files(source)
    if not files:
        raise VAAError(f"{source} has no JSON file with images, annotations and categories")
    contents = [_read_file(path) for path in files]
    used = {one.category for content in contents for one in content.annotations}
    if not used:
        raise VAAError(
            f"{files[0]} has no annotations of a category; annotate some and export again"
        )
    if not any(one.values for content in contents for one in content.annotations):
        raise VAAError(
            f"{files[0]} has boxes without attributes; export them in a format that has them"
        )
    chosen = chosen_label(label, used, files[0])
    root, rows = dataset_folder(source), AnnotatedRows(files[0], source)
    for content in contents:
        named = content.path.parent if content.is_in_pictures else content.path
        split = split_named(named.stem) if len(files) > 1 else None
        prefix = f"{named.name}/" if content.is_in_pictures else _subset(root, content)
        for one in content.annotations:
            if one.category == chosen:
                own = split if split is not None else split_of_folder(one.image)
                rows.add(prefix + one.image, one.values, one.box, own)
    return rows.finish()


@dataclass(frozen=True)
class _Annotation:
    image: str
    category: str
    box: Box
    values: dict[str, Value]


@dataclass(frozen=True)
class _File:
    """An annotation file; those of Roboflow are among the pictures of their split."""

    path: Path
    annotations: list[_Annotation]

    @property
    def is_in_pictures(self) -> bool:
        return self.path.name.startswith("_annotations")


def _read_file(path: Path) -> _File:
    """The annotations of a file, without crowds, which are no one's."""
    content = expected(read_json(path), dict, path)
    categories = _named(content, "categories", "name", path)
    images = _named(content, "images", "file_name", path)
    found = []
    for number, one in enumerate(_list(content, "annotations", path), start=1):
        place = f"{path}: annotation {number}"
        category, image = (_id(one.get(key), place) for key in ("category_id", "image_id"))
        if image not in images:
            raise VAAError(f"{place} is of image {brief(image)}, which is none")
        if category not in categories:
            raise VAAError(f"{place} is of category {brief(category)}, which is none")
        attributes = expected(one.get("attributes") or {}, dict, f"{place}, attributes")
        values = {
            key: _value(value, f"{place}, {key}")
            for key, value in attributes.items()
            if key not in _TECHNICAL
        }
        if not one.get("iscrowd"):
            box = _box(one.get("bbox"), place)
            found.append(_Annotation(images[image], categories[category], box, values))
    return _File(path, found)


def _subset(root: Path, content: _File) -> str:
    """The folder below the pictures' that a file's are in: Datumaro has one for each subset."""
    words = content.path.stem.split("_")
    for one in content.annotations[:1]:
        for folder, prefix in product(PICTURE_FOLDERS, ("", f"{words[-1]}/")):
            if (root / folder / prefix / one.image).is_file():
                return prefix
    return ""


def _files(source: Path) -> list[Path]:
    return [path for path in candidates(source, *_PATTERNS) if _is_coco(json_keys(path))]


def _is_coco(keys: set[str]) -> bool:
    """Whether keys near the beginning of a file are COCO's; WIDER's have people in pictures."""
    if "images.item.targets" in keys:
        return False
    named = "images.item.file_name" in keys and "images.item.id" in keys
    return named or ("categories.item.id" in keys and "categories.item.name" in keys)


def _named(content: Mapping[str, Any], key: str, name: str, path: Path) -> dict[int | str, str]:
    """The names of a list's objects by their numbers."""
    found = {}
    for number, one in enumerate(_list(content, key, path), start=1):
        place = f"{path}: {key} {number}"
        found[_id(one.get("id"), place)] = str(expected(one.get(name), str, f"{place}, {name}"))
    return found


def _id(value: Any, place: str) -> int | str:
    return expected(value, (int, str), f"{place}, id")  # type: ignore[no-any-return]


def _list(content: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    found = expected(content.get(key), list, f"{path}: {key}")
    for number, item in enumerate(found, start=1):
        expected(item, dict, f"{path}: {key} {number}")
    return list(found)


def _value(value: Any, place: str) -> Value:
    return expected(value, (str, bool, int, float, type(None)), place)  # type: ignore[no-any-return]


def _box(bbox: Any, place: str) -> Box:
    sides = expected(bbox, list, f"{place}, bbox")
    if len(sides) != 4 or not all(
        isinstance(side, int | float) and not isinstance(side, bool) for side in sides
    ):
        raise VAAError(f"{place}, bbox: {brief(bbox)} is not left, top, width, height in pixels")
    return Box(*map(float, sides))


FORMAT = DatasetFormat(
    "coco", "COCO JSON with attributes", "annotations/*.json of images and categories", find, read,
    options=frozenset({"label"}), reads_files=True,
)  # fmt: skip
