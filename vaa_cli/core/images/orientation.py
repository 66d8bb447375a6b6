"""The orientation of a picture: its EXIF tag, read whatever else the EXIF data holds."""

import struct

from PIL import Image

# Orientations that swap width and height.
SIDEWAYS = {5, 6, 7, 8}
_TAG = 0x0112
# The types of numbers that writers use for it, by their codes in TIFF, as `struct` spells them.
_TYPES = {1: "B", 3: "H", 4: "I"}
_EXIF_HEADER = b"Exif\x00\x00"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation of an opened picture, 1 (upright) to 8; 1 where there is none.

    That of a PNG may stand behind the pixels: then it is found once the picture is loaded.
    """
    exif = picture.info.get("exif")
    found = exif_orientation(exif) if isinstance(exif, bytes) else None
    if found is None:
        try:
            # In XMP data, and in a TIFF's own tags. That of PNG pictures would decode them first.
            found = Image.Image.getexif(picture).get(_TAG)
        except Exception:  # the parser of broken EXIF data raises anything; the picture may be fine
            return 1
    return found if found in _TURNS else 1


def forget_exif(picture: Image.Image) -> None:
    """Empty the EXIF data of an opened picture, so that Pillow does not turn it by itself.

    It does so with TIFF pictures, and fails if any of the data is odd.
    """
    try:
        exif = Image.Image.getexif(picture)
    except Exception:  # likewise
        return
    for tag in list(exif):
        del exif[tag]


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """A decoded picture turned by its orientation; the same object if it is upright."""
    return picture if orientation == 1 else picture.transpose(_TURNS[orientation])


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of a picture as it is seen."""
    return (size[1], size[0]) if orientation in SIDEWAYS else size


def exif_orientation(data: bytes) -> int | None:
    """The orientation in EXIF data; None where it has none, or cannot be followed to it.

    Only this tag is read. Pillow's parser reads all of them, and can fail at any other.
    """
    while data.startswith(_EXIF_HEADER):
        data = data[len(_EXIF_HEADER) :]
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return None
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for position in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", data, position)
            if tag == _TAG:
                value = struct.unpack_from(f"{order}{_TYPES[kind]}", data, position + 8)[0]
                return int(value) if value in _TURNS else 1
    except (struct.error, KeyError):
        return None
    return None
