"""Rows of annotation tools: each with its values, of which the attributes follow."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ijson
import numpy as np
import pandas as pd

from vaa_cli.core.datasets.formats.base import dataset_folder
from vaa_cli.core.errors import VAAError, brief, one_line
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.groups import named_groups
from vaa_cli.core.labels.label_columns import LabelColumns
from vaa_cli.core.labels.label_header import SPLIT_NAMES
from vaa_cli.core.labels.picture_root import find_pictures
from vaa_cli.core.labels.table import LabelTable, leaves_folder
from vaa_cli.core.system.input_files import LARGEST_TABLE, opened_file, parse_json, read_text

# Yes or no, a word, a number, or nothing.
Value = bool | str | float | None
# Bytes of a JSON file that its kind is known by.
_START = 1 << 16


@dataclass
class AnnotatedRows:
    """Collects rows, and makes a table of them once all attributes are known.

    Attributes:
        place: the annotation file, for messages.
        source: the dataset folder or file, where the pictures' names may start; else they do beside
            the annotation file.
        names: names of values that come first, in this order.
        notes: notes on what was left out.
    """

    place: Path
    source: Path | None = None
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _images: list[str] = field(default_factory=list)
    _rows: list[Mapping[str, Value]] = field(default_factory=list)
    _boxes: list[Box | None] = field(default_factory=list)
    _splits: list[int | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._images)

    def add(
        self,
        image: Any,
        values: Mapping[str, Value],
        box: Box | None = None,
        split: int | None = None,
    ) -> None:
        """Add a row.

        Args:
            image: path of the picture.
            values: what is known of it, by name.
            box: the box of the person; None for the whole picture.
            split: position of its split; None if it has none.

        Raises:
            VAAError: the picture's name is none, or leaves the folder.
        """
        if not isinstance(image, str) or not image.strip():
            raise VAAError(f"{self.place}: row {len(self) + 1} names no picture: {brief(image)}")
        if leaves_folder(image.replace("\\", "/")):
            raise VAAError(
                f"{self.place}: {brief(image)} leaves the dataset folder; use paths inside it"
            )
        self._images.append(image)
        self._rows.append(values)
        self._boxes.append(box)
        self._splits.append(split)

    def finish(self, root: Path | None = None) -> LabelTable:
        """The table of all rows.

        Args:
            root: the folder that the pictures' names start from; None to look for it beside the
                annotation file.

        Raises:
            VAAError: there are no rows or no attributes, or none of the pictures is there.
        """
        if not self._images:
            raise VAAError(
                f"{self.place} has no annotated pictures; annotate some and export again"
            )
        names = list(dict.fromkeys((*self.names, *(name for row in self._rows for name in row))))
        if not names:
            raise VAAError(f"{self.place} has no attributes; annotate some and export again")
        texts = {name: [_text(row.get(name)) for row in self._rows] for name in names}
        frame = pd.DataFrame(texts, index=range(1, len(self) + 1), dtype=str)
        columns = LabelColumns(tuple(names), self.place)
        columns.add(frame)
        parsed = columns.finish()
        if not parsed.attributes:
            raise VAAError(f"{self.place} has no attributes: {'; '.join(parsed.notes)}")
        above = [] if self.source is None else [dataset_folder(self.source)]
        root, images = (root, self._images) if root else located(self.place, self._images, above)
        has_boxes = any(box is not None for box in self._boxes)
        sides = [(np.nan,) * 4 if box is None else tuple(box) for box in self._boxes]
        return LabelTable(
            root,
            images,
            parsed.attributes,
            parsed.labels,
            splits=self._own_splits(),
            boxes=np.array(sides, dtype=np.float64) if has_boxes else None,
            groups={**named_groups(parsed.attributes), **parsed.groups},
            notes=(*self.notes, *parsed.notes),
            problems=parsed.problems,
        )

    def _own_splits(self) -> "np.ndarray[Any, np.dtype[np.int8]] | None":
        if all(split is None for split in self._splits):
            return None
        if None in self._splits:
            row = self._splits.index(None)
            raise VAAError(f"{self.place}: {self._images[row]!r} is in no split, as others are")
        return np.array(self._splits, dtype=np.int8)


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def listed(classes: Sequence[str], present: Sequence[str]) -> dict[str, Value]:
    """Values of a list of what is present, of which the rest is absent."""
    return {name: name in present for name in classes}


def located(
    place: Path, images: Sequence[str], folders: Sequence[Path] = ()
) -> tuple[Path, list[str]]:
    """The root of pictures, and their names below it.

    Args:
        place: the file that names them.
        images: the names in it.
        folders: where they may start, beside the folder of the file.

    Raises:
        VAAError: none of a sample is there.
    """
    for folder in (*folders, place.parent):
        found = find_pictures(folder / place.name, images)
        if found is not None:
            return found
    raise VAAError(
        f"{place}: none of its pictures is there, such as {images[0]!r}; put them beside it, or "
        "into a folder images there"
    )


def split_of_folder(image: str) -> int | None:
    """The split that the first folder in a picture's path is called after."""
    folder, mark, _ = image.replace("\\", "/").partition("/")
    return SPLIT_NAMES.get(folder.lower()) if mark else None


def split_named(name: str) -> int | None:
    """The split that a file or folder is called after: train, valid or instances_val2017, say."""
    words = re.split(r"[-_.\d]+", name.lower())
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def json_keys(path: Path) -> set[str]:
    """The keys near the beginning of a JSON file: `a` at the top, `a.item.b` in a list's objects.

    Of a list at the top, those of its objects are `item.a`.
    """
    keys: set[str] = set()
    try:
        with opened_file(path) as file:
            start = file.read(_START)
        for prefix, event, value in ijson.parse(start):
            if event == "map_key" and prefix.count(".") <= 1:
                keys.add(f"{prefix}.{value}" if prefix else value)
    except (VAAError, ijson.JSONError, ArithmeticError, ValueError):
        pass  # it is cut here, or no JSON
    return keys


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        VAAError: it cannot be read, or is no JSON.
    """
    with json_errors(path):
        return parse_json(read_text(path, LARGEST_TABLE))


@contextmanager
def json_errors(path: Path) -> Iterator[None]:
    """Errors of a JSON file in one line."""
    try:
        yield
    except ValueError as error:
        raise VAAError(
            f"{path} is broken JSON ({one_line(error, 120)}); export it again"
        ) from error


def expected(value: Any, kind: type | tuple[type, ...], place: object) -> Any:
    """A value that must be of a kind.

    Raises:
        VAAError: it is of another.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
        wanted = names.get(kinds[0], kinds[0].__name__)
        raise VAAError(f"{place}: {brief(value)} where {wanted} was expected")
    return value


def candidates(source: Path, *patterns: str) -> list[Path]:
    """The file itself, or those of a folder that fit patterns, sorted, without hidden ones."""
    if source.is_file():
        return [source] if any(source.match(pattern) for pattern in patterns) else []
    found = {path for pattern in patterns for path in source.glob(pattern) if path.is_file()}
    return sorted(path for path in found if not path.name.startswith("."))
