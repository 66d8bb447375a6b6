"""Finding out which pictures can be used, and how large they are, without decoding most of them."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from PIL import ImageFile

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images import SIDEWAYS, opened_picture, orientation_of
from vaa_cli.core.parallel import in_processes

# Width and height of a picture as it is seen, or what is wrong with it in a few words.
Checked = tuple[int, int] | str

# How whole files of these formats end.
_ENDS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


def picture_size(path: Path | str, decode: bool = True) -> tuple[int, int]:
    """Width and height of a picture as it is seen.

    Args:
        path: the file.
        decode: decode all of it. Else its header must be right and its data must end as its
            format ends; what cannot be told in this way (other formats, data behind the end) is
            decoded all the same.

    Raises:
        PictureError: it is missing or broken.
    """
    with opened_picture(path) as picture:
        width, height = picture.size
        if not decode and _ends_well(picture):
            # Pillow decodes all of a PNG that has no EXIF at the front, to look behind the data.
            hidden = picture.format == "PNG" and "exif" not in picture.info
            orientation = 1 if hidden else orientation_of(picture)
        else:
            picture.draft("RGB", (1, 1))  # reads all of a JPEG's data at an eighth of its size
            picture.load()
            # Asked after loading: TIFF pictures are turned by then, and of their upright size.
            orientation = orientation_of(picture)
    return (height, width) if orientation in SIDEWAYS else (width, height)


def check_picture(path: Path | str, decode: bool = True) -> Checked:
    """`picture_size`, or what is wrong with the picture in a few words."""
    try:
        return picture_size(path, decode)
    except PictureError as error:
        return str(error)


def check_pictures(
    paths: Iterable[str], decode: bool = False, workers: int | None = None
) -> Iterator[Checked]:
    """`check_picture` for many, in their order, on all cores.

    Raises:
        VAAError: a checking process died.
    """
    return in_processes(partial(check_picture, decode=decode), paths, workers)


def _ends_well(picture: ImageFile.ImageFile) -> bool:
    end = _ENDS.get(picture.format or "")
    file = picture.fp
    if end is None or file is None:
        return False
    position = file.tell()
    file.seek(-len(end), os.SEEK_END)
    ends_well = file.read() == end
    file.seek(position)
    return ends_well
