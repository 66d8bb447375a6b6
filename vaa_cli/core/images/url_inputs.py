"""Pictures at URLs: files, the folders that storages have, archives, and patterns."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.archives import archive_pictures, is_archive
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.images.requests import ImageSource, picture_errors, picture_source
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.system.named_content import NamedContent
from vaa_cli.core.system.storage import (
    StorageError,
    StoredFile,
    is_folder_url,
    is_url,
    read_url,
    shown_url,
)
from vaa_cli.core.system.storage_listing import list_url, match_url

_LONGEST_ENDING = 12
_MAGIC = re.compile(r"[*\[]")


@dataclass(frozen=True)
class NamedPictures:
    """The pictures that a name means.

    Attributes:
        find: finds them.
        count: their number; None where it is not known before they are found.
        has_boxes: whether any of them can have a box.
    """

    find: Callable[[], Iterator[ImageSource]]
    count: int | None
    has_boxes: bool = False


def url_picture(url: str, size: int | None = None, box: Box | None = None) -> ImageSource:
    """A picture at a URL, which is read when it is asked for.

    Args:
        url: the URL.
        size: its number of bytes, if a listing has said it.
        box: the part of it that is meant.
    """
    return ImageSource(url, box, partial(_read, url, size), is_remote=True)


def named_picture(name: str, box: Box | None = None) -> ImageSource:
    """The picture that a path, a URL or a `NamedContent` names; an archive is none."""
    if is_url(name) and not isinstance(name, NamedContent):
        return url_picture(name, box=box)
    return picture_source(name, box)


def _read(url: str, size: int | None) -> bytes:
    with picture_errors():
        return read_url(url, size)


def url_file(url: str, size: int | None = None) -> Iterator[ImageSource]:
    """The picture at a URL, or those in the archive there."""
    if is_archive(shown_url(url)):
        return archive_pictures(url)
    return iter([url_picture(url, size)])


def url_input(url: str, passed_over: Counter[str]) -> NamedPictures:
    """The pictures that a URL means.

    Args:
        url: a picture, an archive, a folder (all pictures below it), or a pattern with `*`.
        passed_over: counts the files in a folder that are no pictures by their names.

    Raises:
        PictureError: nothing is there, or it may not be read.
        VAAError: a folder has no pictures, or no file fits a pattern.
    """
    with picture_errors():
        return _url_input(url, passed_over)


def _url_input(url: str, passed_over: Counter[str]) -> NamedPictures:
    is_web = url.lower().startswith(("http:", "https:"))
    if _MAGIC.search(url) and not is_web:
        files = match_url(url)
        if not files:
            raise VAAError(f"{url}: no file fits this pattern")
        return NamedPictures(partial(_files, files), _count(files))
    if not is_folder_url(url):
        return NamedPictures(partial(url_file, url), None if is_archive(shown_url(url)) else 1)
    pictures = _folder(url, passed_over)
    first = next(pictures, None)
    if first is None:
        raise VAAError(f"{url}: no pictures in this folder (by their names: .jpg, .png, …)")
    return NamedPictures(lambda: chain([first], pictures), None)


def ending_of(name: str) -> str:
    """The ending of a file's name, by which files that are passed over are counted."""
    return os.path.splitext(name)[1].lower()[:_LONGEST_ENDING]


def _files(files: Iterable[StoredFile]) -> Iterator[ImageSource]:
    for file in files:
        yield from url_file(file.url, file.size)


def _count(files: list[StoredFile]) -> int | None:
    return None if any(is_archive(file.url) for file in files) else len(files)


def _folder(url: str, passed_over: Counter[str]) -> Iterator[ImageSource]:
    found = False
    try:
        for file in list_url(url):
            found = True
            name = shown_url(file.url)
            if is_picture(name):
                yield url_picture(file.url, file.size)
            else:
                passed_over[ending_of(name)] += 1
    except StorageError as error:
        if not found:
            raise
        # What follows cannot be found, as in a folder of this machine that cannot be listed.
        yield ImageSource(url, problem=f"cannot be listed further: {error.problem}")
