"""Checking which pictures can be used, and their sizes, without decoding most of them."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from stat import S_ISREG

from PIL import Image

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.decode import MAX_PIXELS, decode_picture, part_of
from vaa_cli.core.images.metadata import PNG_SIGNATURE
from vaa_cli.core.images.orientation import orientation_of, upright_size
from vaa_cli.core.images.read_ahead import fetched_ahead
from vaa_cli.core.system.input_files import READ_FLAGS
from vaa_cli.core.system.processes import in_processes

# Width and height of a picture as it is seen, or what is wrong with it in a few words.
Checked = tuple[int, int] | str

# How whole files of these formats end.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
# Where Pillow finds an orientation without decoding, by its names.
_ORIENTATION_SOURCES = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_ANY_END = tuple(_ENDS.values())
_LONGEST_END = max(map(len, _ANY_END))
# Bytes that hold the header of most pictures; and of those with EXIF data and a preview.
_HEADS = (1 << 12, 1 << 17)


def check_picture(path: Path | str, decode: bool = True) -> Checked:
    """Width and height of a picture as it is seen, or what is wrong with it in a few words.

    Args:
        path: the file.
        decode: decode all of it. Else its header must be right and its data must end as its
            format ends; other formats, and files with data behind their end, are decoded
            all the same.
    """
    try:
        return (None if decode else _size_by_ends(path)) or _size_by_decoding(path)
    except PictureError as error:
        return str(error)


def check_pictures(
    paths: Iterable[Path | str], decode: bool = False, workers: int | None = None
) -> Iterator[Checked]:
    """`check_picture` for many, in their order, on all cores.

    Raises:
        VAAError: a checking process died.
    """
    paths = fetched_ahead(paths, lambda path: path)
    # A decoded picture takes as long as fifty looks: fewer at a time, so that all cores work.
    if decode:
        return in_processes(check_picture, paths, workers, few=16, batch=4)
    return in_processes(partial(check_picture, decode=False), paths, workers)


def _size_by_decoding(path: Path | str) -> tuple[int, int]:
    # As training decodes it, but a JPEG at an eighth of its size, for which all data is read, too.
    decoded = decode_picture(path, enough=(1, 1))
    part_of(decoded.picture)
    return decoded.size


def _size_by_ends(path: Path | str) -> tuple[int, int] | None:
    """The size in the header; None where the ends of the file are not those of a whole picture."""
    try:
        descriptor = os.open(path, READ_FLAGS)
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not S_ISREG(status.st_mode):
            return None
        end = _read_at(descriptor, max(0, status.st_size - _LONGEST_END), _LONGEST_END)
        if not end.endswith(_ANY_END):
            return None
        # Two reads from the file, the parser's many small ones from memory: faster than Pillow
        # alone reads the header.
        for count in _HEADS:
            head = _read_at(descriptor, 0, count)
            try:
                return _size_by_head(head, end, descriptor)
            except Exception:  # perhaps cut off; decoding finds whatever else is wrong
                if len(head) < count:
                    return None
        return None
    finally:
        os.close(descriptor)


def _size_by_head(head: bytes, end: bytes, descriptor: int) -> tuple[int, int] | None:
    picture = Image.open(BytesIO(head), formats=("JPEG", "PNG"))
    width, height = picture.size
    if width * height > MAX_PIXELS or not end.endswith(_ENDS[picture.format or ""]):
        return None
    if _ORIENTATION_SOURCES & picture.info.keys():
        return upright_size(picture.size, orientation_of(picture))
    late = picture.format == "PNG" and _tells_more_behind(descriptor)
    return None if late else picture.size


def _tells_more_behind(descriptor: int) -> bool:
    """Whether a PNG has EXIF data or texts, where an orientation may be, behind its pixels."""
    position, pixels = len(PNG_SIGNATURE), False
    while len(start := _read_at(descriptor, position, 8)) == 8:
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if pixels and kind in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"):
            return True
        pixels = pixels or kind == b"IDAT"
        position += 12 + length
    return False


def _read_at(descriptor: int, position: int, count: int) -> bytes:
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, count)
