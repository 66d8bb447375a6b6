"""The pictures that words of a command line mean: files, folders, archives, globs, CSVs, stdin.

All of it is found as it is asked for: a folder of a million files has its first picture at once.
"""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.archives import archive_pictures, is_archive
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.label_csv import box_columns, image_column, parse_boxes
from vaa_cli.core.system.csv_files import read_csv

STDIN = "-"
# Folders with more entries are not sorted: that takes all their names in memory, and a while.
_SORTED = 10_000


@dataclass(frozen=True)
class Inputs:
    """The pictures to predict, found as they are asked for.

    Attributes:
        sources: the pictures, in the order given.
        has_boxes: whether any of them can have a box.
    """

    sources: Iterator[ImageSource]
    has_boxes: bool


def find_inputs(names: Sequence[str], stdin: TextIO) -> Inputs:
    """Find the pictures that the words of a command line mean.

    Args:
        names: each a picture, a folder (all pictures below it: its files, then its folders,
            sorted by name unless there are more than 10,000), a tar or zip archive, a glob, a CSV
            with an image column and perhaps boxes, or `-` for names on stdin, one a line.
        stdin: stream of names for `-`.

    Raises:
        VAAError: a name means nothing that exists, a folder has no pictures, or a CSV is wrong.
    """
    sources: list[Callable[[], Iterator[ImageSource]]] = []
    has_boxes = False
    for name in names:
        path = Path(name)
        if name == STDIN:
            sources.append(lambda: _lines(stdin))
        elif os.path.isdir(name):
            if next(_folder(name), None) is None:
                raise VAAError(
                    f"{name}: no pictures in this folder (by their names: .jpg, .png, …)"
                )
            sources.append(lambda name=name: _folder(name))  # type: ignore[misc]
        elif path.suffix.lower() == ".csv" and os.path.isfile(name):
            pictures, boxed = _table(path)
            has_boxes = has_boxes or boxed
            sources.append(lambda pictures=pictures: iter(pictures))  # type: ignore[misc]
        elif os.path.exists(name):
            sources.append(lambda name=name: _file(name))  # type: ignore[misc]
        elif glob.has_magic(name):
            files = sorted(f for f in glob.iglob(name, recursive=True) if not os.path.isdir(f))
            if not files:
                raise VAAError(f"{name}: no file fits this pattern")
            sources.extend(lambda file=file: _file(file) for file in files)  # type: ignore[misc]
        else:
            raise VAAError(f"{name}: no such file or folder")

    def in_order() -> Iterator[ImageSource]:
        for source in sources:
            yield from source()

    return Inputs(in_order(), has_boxes)


def _file(name: str) -> Iterator[ImageSource]:
    return archive_pictures(name) if is_archive(name) else iter([ImageSource(name)])


def _lines(stdin: TextIO) -> Iterator[ImageSource]:
    for line in stdin:
        name = line.rstrip("\r\n")
        if name:
            yield from _file(name)


def _folder(name: str) -> Iterator[ImageSource]:
    waiting = [name]
    while waiting:
        below: list[str] = []
        yield from _files_of(waiting.pop(), below)
        waiting += reversed(below)


def _files_of(folder: str, below: list[str]) -> Iterator[ImageSource]:
    """The pictures right in a folder; adds the folders in it to `below`, sorted if it is small."""
    try:
        with os.scandir(folder) as entries:
            first = list(islice(entries, _SORTED + 1))
            if len(first) <= _SORTED:
                first.sort(key=lambda entry: entry.name)
            for entry in chain(_taken(first), entries):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                elif is_picture(entry.name) and not entry.is_dir():  # a link may lead in circles
                    yield ImageSource(entry.path)
    except OSError as error:
        yield ImageSource(folder, problem=f"cannot be listed: {error.strerror or error}")


def _taken(entries: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Items of a list, which does not keep them."""
    entries.reverse()
    while entries:
        yield entries.pop()


def _table(path: Path) -> tuple[list[ImageSource], bool]:
    frame = read_csv(path)
    column = image_column(list(frame.columns))
    if column is None:
        raise VAAError(f"{path} has no image column, so it names no pictures")
    boxes_from = box_columns(list(frame.columns))
    if (frame[column] == "").any():
        row = frame.index[frame[column] == ""][0]
        raise VAAError(f"{path}: row {row}, column {column!r} names no picture")
    paths = [str(path.parent / image) for image in frame[column]]
    if not boxes_from:
        return [ImageSource(image) for image in paths], False
    boxes = parse_boxes(frame[boxes_from], path).tolist()
    return [
        ImageSource(image, None if box[0] != box[0] else Box(*box))  # NaN: the whole picture
        for image, box in zip(paths, boxes, strict=True)
    ], True
