"""The pictures that words of a command line mean: files, folders, archives, globs, CSVs, stdin.

Each of these but stdin may be at a URL, too.

All of it is found as it is asked for: a folder of a million files has its first picture at once.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TextIO

from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.archives import archive_pictures, is_archive
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.images.table_inputs import table_pictures
from vaa_cli.core.images.url_inputs import NamedPictures, ending_of, url_file, url_input
from vaa_cli.core.system.storage import is_url, shown_url

STDIN = "-"
# Folders with more entries are not sorted: that takes all their names in memory, and a while.
_SORTED = 10_000
_ENDINGS_NAMED = 5


@dataclass(frozen=True)
class Inputs:
    """The pictures to predict, found as they are asked for.

    Attributes:
        sources: the pictures, in the order given.
        has_boxes: whether any of them can have a box.
        passed_over: counts the files in folders that are no pictures by their names, by their
            endings; whole when all sources are taken.
        count: number of pictures; None where it is not known before they are found.
    """

    sources: Iterator[ImageSource]
    has_boxes: bool
    passed_over: Counter[str]
    count: int | None


def find_inputs(names: Sequence[str], stdin: TextIO) -> Inputs:
    """Find the pictures that the words of a command line mean.

    A name that means nothing is a picture with a problem, unless it is the only one.

    Args:
        names: each a picture, a folder (all pictures below it: its files, then its folders,
            sorted by name unless there are more than 10,000), a tar or zip archive, a glob, a CSV
            with an image column and perhaps boxes, a URL of any of these, or `-` for names on
            stdin, one a line.
        stdin: stream of names for `-`.

    Raises:
        VAAError: nothing that is named exists, a folder has no pictures, or a CSV is wrong.
    """
    passed_over, found, missing = Counter[str](), list[NamedPictures](), 0
    for name in names:
        try:
            found.append(_pictures_of(name, stdin, passed_over))
        except PictureError as error:
            missing += 1
            if missing == len(names):
                raise VAAError(f"{shown_url(name)}: {error}") from error
            source = ImageSource(name, problem=str(error))
            found.append(NamedPictures(lambda source=source: iter([source]), 1))  # type: ignore[misc]

    def in_order() -> Iterator[ImageSource]:
        for one in found:
            yield from one.find()

    counts = [one.count for one in found]
    return Inputs(
        in_order(),
        any(one.has_boxes for one in found),
        passed_over,
        None if None in counts else sum(count or 0 for count in counts),
    )


def _pictures_of(name: str, stdin: TextIO, passed_over: Counter[str]) -> NamedPictures:
    """The pictures of one name.

    Raises:
        PictureError: there is no such thing.
        VAAError: there is, and it has no pictures.
    """
    if name == STDIN:
        return NamedPictures(lambda: _lines(stdin), None)
    if is_url(name) and shown_url(name).lower().endswith(".csv"):
        return table_pictures(name)
    if is_url(name):
        return url_input(name, passed_over)
    if os.path.isdir(name):
        _require_pictures(name)
        return NamedPictures(lambda: _folder(name, passed_over), None)
    if name.lower().endswith(".csv") and os.path.isfile(name):
        return table_pictures(name)
    if os.path.exists(name):
        return NamedPictures(lambda: _file(name), None if is_archive(name) else 1)
    if not glob.has_magic(name):
        raise PictureError("no such file or folder")
    files = sorted(f for f in glob.iglob(name, recursive=True) if not os.path.isdir(f))
    if not files:
        raise VAAError(f"{name}: no file fits this pattern")
    count = None if any(map(is_archive, files)) else len(files)
    return NamedPictures(lambda: chain.from_iterable(map(_file, files)), count)


def _require_pictures(folder: str) -> None:
    """Check that there is a picture in a folder.

    Raises:
        VAAError: there is none; names the endings of what is there.
    """
    passed_over = Counter[str]()
    if next(_folder(folder, passed_over), None) is None:
        found = f"; there are {endings_text(passed_over)}" if passed_over else ""
        raise VAAError(
            f"{folder}: no pictures in this folder (by their names: .jpg, .png, …{found})"
        )


def endings_text(counts: Counter[str]) -> str:
    """The most frequent endings of files in words: `3 .heic, 1 without ending`."""
    most = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:_ENDINGS_NAMED]
    words = [f"{count:,} {ending or 'without ending'}" for ending, count in most]
    others = counts.total() - sum(count for _, count in most)
    return ", ".join([*words, *([f"{others:,} others"] if others else [])])


def _file(name: str) -> Iterator[ImageSource]:
    if is_url(name):
        return url_file(name)
    return archive_pictures(name) if is_archive(name) else iter([ImageSource(name)])


def _lines(stdin: TextIO) -> Iterator[ImageSource]:
    for number, line in enumerate(stdin):
        name = line.rstrip("\r\n")
        if number == 0:
            name = name.removeprefix("\ufeff")  # Windows writes lists with a byte-order mark
        if name:
            yield from _file(name)


def _folder(name: str, passed_over: Counter[str]) -> Iterator[ImageSource]:
    waiting = [name]
    while waiting:
        below: list[str] = []
        yield from _files_of(waiting.pop(), below, passed_over)
        waiting += reversed(below)


def _files_of(folder: str, below: list[str], passed_over: Counter[str]) -> Iterator[ImageSource]:
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
                elif is_picture(entry.name):
                    if not entry.is_dir():  # a link may lead in circles
                        yield ImageSource(entry.path)
                elif entry.is_file():
                    passed_over[ending_of(entry.name)] += 1
    except OSError as error:
        yield ImageSource(folder, problem=f"cannot be listed: {error.strerror or error}")


def _taken(entries: list[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    """Items of a list, which does not keep them."""
    entries.reverse()
    while entries:
        yield entries.pop()
