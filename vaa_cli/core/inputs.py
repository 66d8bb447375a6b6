"""What `vaa predict` is given - files, folders, globs, names on stdin, CSVs - as requests."""

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from vaa_cli.core.boxes import Box
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images import is_picture
from vaa_cli.core.label_csv import box_columns, image_column, parse_boxes, read_csv
from vaa_cli.core.requests import Request

STDIN = "-"


@dataclass(frozen=True)
class Inputs:
    """The pictures to predict, found as they are asked for.

    Attributes:
        requests: in the order given.
        has_boxes: whether any of them can have a box.
    """

    requests: Iterator[Request]
    has_boxes: bool


def find_inputs(names: Sequence[str], stdin: TextIO) -> Inputs:
    """Find the pictures that the words of a command line mean.

    Args:
        names: each a picture, a folder (all pictures below it, sorted folder by folder), a glob,
            a CSV with an image column and perhaps boxes, or `-` for names on stdin, one a line.
        stdin: where `-` reads.

    Raises:
        VAAError: a name means nothing that exists, or a CSV is wrong. A folder is not walked
            before its requests are asked for; one without pictures raises then.
    """
    sources: list[Callable[[], Iterator[Request]]] = []
    has_boxes = False
    for name in names:
        path = Path(name)
        if name == STDIN:
            sources.append(lambda: _lines(stdin))
        elif path.is_dir():
            sources.append(lambda name=name: _folder(name))  # type: ignore[misc]
        elif path.suffix.lower() == ".csv" and path.is_file():
            requests, boxed = _table(path)
            has_boxes = has_boxes or boxed
            sources.append(lambda requests=requests: iter(requests))  # type: ignore[misc]
        elif path.exists():
            sources.append(lambda name=name: iter([Request(name)]))  # type: ignore[misc]
        elif glob.has_magic(name):
            found = sorted(f for f in glob.glob(name, recursive=True) if not Path(f).is_dir())
            if not found:
                raise VAAError(f"{name}: no file fits this pattern")
            sources.append(lambda found=found: map(Request, found))  # type: ignore[misc]
        else:
            raise VAAError(f"{name}: no such file or folder")

    def requests_in_order() -> Iterator[Request]:
        for source in sources:
            yield from source()

    return Inputs(requests_in_order(), has_boxes)


def _lines(stdin: TextIO) -> Iterator[Request]:
    for line in stdin:
        name = line.rstrip("\r\n")
        if name:
            yield Request(name)


def _folder(name: str) -> Iterator[Request]:
    found = False
    for folder, folders, files in os.walk(name):
        folders[:] = sorted(below for below in folders if not below.startswith("."))
        for file in sorted(files):
            if is_picture(file) and not file.startswith("."):
                found = True
                yield Request(os.path.join(folder, file))
    if not found:
        raise VAAError(f"{name}: no pictures in this folder (by their names: .jpg, .png, …)")


def _table(path: Path) -> tuple[list[Request], bool]:
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
        return [Request(image) for image in paths], False
    boxes = parse_boxes(frame[boxes_from], path).tolist()
    return [
        Request(image, None if box[0] != box[0] else Box(*box))  # NaN: the whole picture
        for image, box in zip(paths, boxes, strict=True)
    ], True
