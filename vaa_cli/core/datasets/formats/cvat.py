"""The `cvat` format: CVAT's XML for images 1.1 and videos 1.1, attributes of tags or boxes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from vaa_cli.core.datasets.formats.annotations import (
    AnnotatedRows,
    Value,
    candidates,
    listed,
    split_named,
    split_of_folder,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat, chosen_label
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.input_files import opened_file

_PATTERNS = ("annotations.xml", "*/annotations.xml", "*.xml")
_START = 4096
# Kinds of attributes that are no labels.
_FREE = ("number", "text")


@dataclass
class _Export:
    """What an annotation file holds.

    Attributes:
        kinds: kind of each attribute, by label and name.
        images: names of the pictures, each with its subset.
        shapes: what is annotated in them.
    """

    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    images: list[tuple[str, str | None]] = field(default_factory=list)
    shapes: list["_Shape"] = field(default_factory=list)


@dataclass
class _Shape:
    """A box, or a tag, which has none."""

    image: str
    subset: str | None
    label: str
    box: Box | None
    values: dict[str, str]


def find(source: Path) -> Path | None:
    """The first annotation file, if there is one."""
    return next((path for path in candidates(source, *_PATTERNS) if _is_cvat(path)), None)


def read(source: Path, label: str | None = None) -> LabelTable:
    """Read an export: a row a box, or a picture where there are tags alone.

    Args:
        source: the folder, or the XML file.
        label: label of the boxes that are rows; None for `person`, or the only one.

    Raises:
        VAAError: there is no annotation file, or it is broken.
    """
    path = find(source)
    if path is None:
        raise VAAError(f"{source} has no annotations.xml of CVAT")
    export = _read_export(path)
    labels = {shape.label for shape in export.shapes if shape.box is not None}
    chosen = chosen_label(label, labels, path) if labels else None
    rows = AnnotatedRows(path, source)
    # Tags are of the whole picture, and hold for everyone in it.
    flags = sorted({shape.label for shape in export.shapes if _is_flag(shape, export)})
    tags: dict[str, dict[str, Value]] = {name: listed(flags, ()) for name, _ in export.images}
    for shape in export.shapes:
        if shape.box is None:
            flag: dict[str, Value] = {shape.label: True} if _is_flag(shape, export) else {}
            tags[shape.image] |= flag | _values(shape, export)
    for shape in export.shapes:
        if shape.box is not None and shape.label == chosen:
            values = {**tags.get(shape.image, {}), **_values(shape, export)}
            rows.add(shape.image, values, shape.box, _split(shape.image, shape.subset))
    for name, subset in export.images if chosen is None else ():
        if tags[name]:
            rows.add(name, tags[name], split=_split(name, subset))
    for (owner, name), kind in export.kinds.items():
        if kind in _FREE and owner == (chosen or owner):
            rows.notes.append(f"{name} is {kind} in CVAT, and no attribute")
    return rows.finish()


def _split(image: str, subset: str | None) -> int | None:
    return split_named(subset) if subset else split_of_folder(image)


def _is_flag(shape: _Shape, export: _Export) -> bool:
    """Whether a tag is an attribute by its label alone."""
    return (
        shape.box is None
        and not shape.values
        and all(owner != shape.label for owner, _ in export.kinds)
    )


def _values(shape: _Shape, export: _Export) -> dict[str, Value]:
    """The attributes of a shape that can be labels."""
    return {
        name: value
        for name, value in shape.values.items()
        if export.kinds.get((shape.label, name)) not in _FREE
    }


def _is_cvat(path: Path) -> bool:
    try:
        with opened_file(path) as file:
            start = file.read(_START)
    except VAAError:
        return False
    return b"<annotations" in start


def _read_export(path: Path) -> _Export:
    export = _Export()
    with _xml_errors(path), opened_file(path) as file:
        for _, element in iterparse(file, events=("end",), forbid_dtd=True):
            if element.tag == "label" and element.find("name") is not None:
                _read_label(element, export)
            elif element.tag == "image":
                _read_image(element, export, path)
                element.clear()
            elif element.tag == "track":
                _read_track(element, export, path)
                element.clear()
    return export


def _read_label(element: Element, export: _Export) -> None:
    """A label of `meta` with the kinds of its attributes."""
    owner = (element.findtext("name") or "").strip()
    for attribute in element.iterfind("attributes/attribute"):
        name = (attribute.findtext("name") or "").strip()
        export.kinds[owner, name] = (attribute.findtext("input_type") or "").strip().lower()


def _read_image(element: Element, export: _Export, path: Path) -> None:
    name = element.get("name")
    place = f"{path}, image {name!r}"
    if not name:
        raise VAAError(f"{path}: an image has no name; export it again")
    export.images.append((name, element.get("subset")))
    for child in element:
        if child.tag in ("box", "tag"):
            box = _box(child, place) if child.tag == "box" else None
            label = _required(child, "label", place)
            export.shapes.append(_Shape(name, element.get("subset"), label, box, _texts(child)))


def _read_track(element: Element, export: _Export, path: Path) -> None:
    """The boxes of a video's track, in frames that are exported as pictures."""
    label = _required(element, "label", f"{path}, track {element.get('id')}")
    fixed: dict[str, str] = _texts(element)
    for child in element.iterfind("box"):
        place = f"{path}, track {element.get('id')}, frame {child.get('frame')}"
        if child.get("outside") == "1":
            continue
        frame = _required(child, "frame", place)
        if not frame.isdecimal():
            raise VAAError(f"{place}: {frame!r} is no number of a frame")
        # CVAT writes the frames of a video as frame_000012.PNG or .jpg.
        name = f"frame_{int(frame):06d}"
        found = next(
            (
                picture
                for folder in ("images", "")
                for picture in sorted((path.parent / folder).glob(f"{name}.*"))
            ),
            None,
        )
        image = found.relative_to(path.parent).as_posix() if found else f"images/{name}.png"
        values = {**fixed, **_texts(child)}
        export.shapes.append(_Shape(image, None, label, _box(child, place), values))


def _texts(element: Element) -> dict[str, str]:
    """The attributes of a shape."""
    return {
        (attribute.get("name") or ""): (attribute.text or "").strip()
        for attribute in element.iterfind("attribute")
        if attribute.get("name")
    }


def _box(element: Element, place: str) -> Box:
    sides = []
    for name in ("xtl", "ytl", "xbr", "ybr"):
        text = _required(element, name, place)
        try:
            sides.append(float(text))
        except ValueError as error:
            raise VAAError(f"{place}: {name} {text!r} is no number of pixels") from error
    left, top, right, bottom = sides
    return Box(left, top, right - left, bottom - top)


def _required(element: Element, name: str, place: str) -> str:
    value = element.get(name)
    if not value:
        raise VAAError(f"{place}: a {element.tag} has no {name}; export it again")
    return value


@contextmanager
def _xml_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (ParseError, DefusedXmlException, UnicodeError, LookupError) as error:
        raise VAAError(f"{path} is broken XML ({_reason(error)}); export it again") from error


def _reason(error: Exception) -> str:
    if isinstance(error, DefusedXmlException):
        return "it defines entities, which no export of CVAT does"
    return one_line(error, 120)


FORMAT = DatasetFormat(
    "cvat",
    "a CVAT export",
    "annotations.xml",
    find,
    read,
    options=frozenset({"label"}),
    reads_files=True,
)
