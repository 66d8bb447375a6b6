"""The `labelstudio` format: Label Studio's JSON export, choices of pictures or of regions."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from vaa_cli.core.datasets.formats.annotations import (
    AnnotatedRows,
    Value,
    candidates,
    expected,
    json_keys,
    listed,
    read_json,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat, chosen_label
from vaa_cli.core.errors import VAAError, brief
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.picture_root import PICTURE_FOLDERS
from vaa_cli.core.labels.table import LabelTable

_KEYS = ("image", "img", "picture", "photo")
# What an upload to Label Studio puts before a file's name.
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
_PERCENT = 100.0


@dataclass
class _Region:
    """What one person, or a whole picture, is annotated with.

    Attributes:
        box: the box; None for the whole picture.
        label: the label of the box.
        choices: what was chosen, by the name of the control.
    """

    box: Box | None = None
    label: str | None = None
    choices: dict[str, list[str]] = field(default_factory=dict)


def find(source: Path) -> Path | None:
    """The first export, if there is one."""
    return next(
        (
            path
            for path in candidates(source, "*.json")
            if {"item.data", "item.annotations"} & json_keys(path)
        ),
        None,
    )


def read(source: Path, label: str | None = None) -> LabelTable:
    """Read an export: a row a region that has choices, or a picture where no region has any.

    A control of which several choices were chosen at once anywhere is an attribute a choice; of
    another, the choices exclude each other.

    Args:
        source: the folder, or the JSON file.
        label: label of the boxes that are rows; None for `person`, or the only one.

    Raises:
        VAAError: there is no export, or it is broken.
    """
    path = find(source)
    if path is None:
        raise VAAError(f"{source} has no JSON export of Label Studio")
    tasks = [
        found
        for number, task in enumerate(expected(read_json(path), list, path), start=1)
        for found in _annotated(task, path, number)
    ]
    labels = {
        region.label for _, regions in tasks for region in regions if region.label is not None
    }
    chosen = chosen_label(label, labels, path) if labels else None
    controls = _controls(tasks)
    rows = AnnotatedRows(path)
    for image, regions in tasks:
        whole: dict[str, Value] = {}
        for region in regions:
            if region.box is None:
                whole |= _values(region, controls)
        if chosen is None:
            rows.add(image, _with_all(whole, controls))
            continue
        for region in regions:
            if region.box is not None and region.label == chosen:
                values = {**whole, **_values(region, controls)}
                rows.add(image, _with_all(values, controls), region.box)
    return rows.finish(path.parent)


def _controls(tasks: list[tuple[str, list[_Region]]]) -> dict[str, tuple[list[str], bool]]:
    """The choices of each control, and whether several can be chosen."""
    words: dict[str, list[str]] = {}
    multiple: set[str] = set()
    for _, regions in tasks:
        for region in regions:
            for name, choices in region.choices.items():
                words[name] = list(dict.fromkeys((*words.get(name, ()), *choices)))
                if len(choices) > 1:
                    multiple.add(name)
    return {name: (choices, name in multiple) for name, choices in words.items()}


def _values(region: _Region, controls: Mapping[str, tuple[list[str], bool]]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, choices in region.choices.items():
        words, is_multiple = controls[name]
        chosen = choices[0] if choices else None
        values |= listed(words, choices) if is_multiple else {name: chosen}
    return values


def _with_all(
    values: dict[str, Value], controls: Mapping[str, tuple[list[str], bool]]
) -> dict[str, Value]:
    """Values in which nothing chosen of several is that none is present."""
    found = dict(values)
    for words, is_multiple in controls.values():
        if is_multiple and not any(word in found for word in words):
            found |= listed(words, ())
    return found


def _annotated(task: Any, path: Path, number: int) -> Iterator[tuple[str, list[_Region]]]:
    """The picture of a task and what it is annotated with, if it is."""
    place = f"{path}: task {number}"
    expected(task, dict, place)
    annotations = [
        expected(one, dict, f"{place}, annotation")
        for one in expected(task.get("annotations") or [], list, f"{place}, annotations")
        if not (isinstance(one, dict) and one.get("was_cancelled"))
    ]
    if not annotations:
        return
    image = _image(expected(task.get("data"), dict, f"{place}, data"), path, place)
    # The last annotation of a task is the one that was corrected last.
    results = expected(annotations[-1].get("result") or [], list, f"{place}, result")
    regions: dict[str, _Region] = {}
    for result in results:
        expected(result, dict, f"{place}, result")
        kind, value = result.get("type"), result.get("value")
        if kind not in ("choices", "rectanglelabels", "rectangle"):
            continue
        expected(value, dict, f"{place}, value")
        is_of_region = kind != "choices" or {"x", "width"} <= set(value)
        # Choices of a region have its id; those of the whole picture have one of their own.
        key = str(result.get("id"))
        region = regions.setdefault(key, _Region())
        # A rectangle has the size of its picture, which choices may lack.
        if is_of_region and (kind != "choices" or region.box is None):
            region.box = _box(result, value, path.parent / image, place)
        if kind == "rectanglelabels":
            names = expected(value.get("rectanglelabels"), list, f"{place}, rectanglelabels")
            region.label = str(names[0]) if names else None
        if kind == "choices":
            chosen = expected(value.get("choices"), list, f"{place}, choices")
            name = expected(result.get("from_name"), str, f"{place}, from_name")
            region.choices[name] = [expected(one, str, f"{place}, choices") for one in chosen]
    yield image, list(regions.values())


def _box(result: Mapping[str, Any], value: Mapping[str, Any], picture: Path, place: str) -> Box:
    """A box in pixels; in the export its sides are percents of the picture's."""
    if result.get("image_rotation"):
        raise VAAError(f"{place}: its picture was rotated in Label Studio; rotate the file instead")
    size: list[Any] = [result.get("original_width"), result.get("original_height")]
    if not all(map(_is_number, size)):
        found = check_picture(picture, decode=False)
        if isinstance(found, str):
            raise VAAError(f"{place}: its boxes are percents, and {picture}: {found}")
        size = [*found]
    sides: list[Any] = [value.get(name) for name in ("x", "y", "width", "height")]
    if not all(map(_is_number, sides)):
        raise VAAError(f"{place}: {brief(sides)} are no percents of a picture")
    left, top, across, down = (
        side / _PERCENT * full for side, full in zip(sides, size * 2, strict=True)
    )
    degrees: Any = value.get("rotation")
    return _upright(left, top, across, down, float(degrees) if _is_number(degrees) else 0.0)


def _upright(left: float, top: float, width: float, height: float, degrees: float) -> Box:
    """The box around one that is rotated clockwise about its left top corner."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(0.0, 0.0), (width, 0.0), (0.0, height), (width, height)]
    xs = [left + x * cos - y * sin for x, y in corners]
    ys = [top + x * sin + y * cos for x, y in corners]
    return Box(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _image(data: Mapping[str, Any], path: Path, place: str) -> str:
    """The picture of a task, below the folder of the export."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    key = next((key for key in _KEYS if key in texts), None)
    named = texts[key] if key else next((t for t in texts.values() if is_picture(t)), None)
    if named is None:
        raise VAAError(f"{place} has no picture in data: {brief(dict(data))}")
    parts = urlsplit(named)
    local = parse_qs(parts.query).get("d")
    name = unquote(local[0] if local else parts.path).replace("\\", "/").lstrip("/")
    last = name.rsplit("/", 1)[-1]
    for spelt in (name, last, _UPLOADED.sub("", last)):
        for folder in PICTURE_FOLDERS:
            if (path.parent / folder / spelt).is_file():
                return f"{folder}/{spelt}".lstrip("/")
    return name


FORMAT = DatasetFormat(
    "labelstudio", "a Label Studio export", "a JSON list of data and annotations", find, read,
    options=frozenset({"label"}), reads_files=True,
)  # fmt: skip
