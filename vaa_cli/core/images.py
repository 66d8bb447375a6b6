"""Pictures from files: whatever a camera or the web gives, as upright 8-bit RGB."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from stat import S_ISREG

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from vaa_cli.core.boxes import Box, crop_region
from vaa_cli.core.errors import PictureError

# Pillow's own limit against decompression bombs; past it a small file fills the memory.
MAX_PIXELS = 89_478_485
# EPS is a program that an interpreter runs; the others Pillow knows by name but cannot decode.
_REFUSED_FORMATS = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# EXIF orientations that swap width and height.
SIDEWAYS = {5, 6, 7, 8}
_ORIENTATION_TAG = 0x0112

# Pillow warns of odd EXIF data, which does no harm, and of large pictures, which are refused
# below. Filtered once, since filters are the whole process's and pictures are read in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


@cache
def picture_formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names, usual ones first."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in _REFUSED_FORMATS)


@cache
def picture_endings() -> tuple[str, ...]:
    """How the names of files in these formats end: .jpg, .png, …"""
    formats = set(picture_formats())
    return tuple(end for end, name in Image.registered_extensions().items() if name in formats)


def is_picture(name: str) -> bool:
    """Whether a file's name is one of a picture."""
    return name.lower().endswith(picture_endings())


@contextmanager
def opened_picture(path: Path | str) -> Iterator[ImageFile.ImageFile]:
    """Open a picture, telling in few words what is wrong with it.

    Raises:
        PictureError: opening it, or anything done with it in the block, failed.
    """
    try:
        if not S_ISREG(os.stat(path).st_mode):
            raise PictureError("not a file")  # opening a pipe waits for ever
        with Image.open(path, formats=picture_formats()) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise PictureError(
                    f"{width} x {height} pixels, more than the limit of {MAX_PIXELS:,}"
                )
            yield picture
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError("no such file") from error
    except UnidentifiedImageError as error:
        empty = Path(path).stat().st_size == 0
        raise PictureError("an empty file" if empty else "not a picture") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"more pixels than the limit of {MAX_PIXELS:,}") from error
    except Exception as error:
        # Decoders of broken files raise nearly anything: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, MemoryError …; all of them mean that this picture is broken.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"broken picture: {' '.join(reason.split())}") from error


def open_picture(
    path: Path | str,
    box: Box | None = None,
    enough: tuple[int, int] | None = None,
    margin: float = 0.0,
) -> Image.Image:
    """Decode a picture: upright by its EXIF orientation, RGB, 8 bits a channel.

    16-bit and float pictures are scaled to 8 bits, transparency is laid on white, and of several
    frames the first is taken.

    Args:
        path: the file.
        box: the part to cut out, clipped to the picture.
        enough: height and width beyond which detail is not needed: a JPEG may then be decoded
            at a half, a quarter or an eighth of its size, never below these. Not with a box.
        margin: context around the box, see `crop_region`.

    Raises:
        PictureError: it is missing or broken, or the box lies outside it.
    """
    with opened_picture(path) as picture:
        orientation = orientation_of(picture)
        if enough is not None and box is None:
            height, width = enough
            sideways = orientation in SIDEWAYS
            picture.draft("RGB", (height, width) if sideways else (width, height))
        picture.load()
        upright: Image.Image = picture if orientation == 1 else ImageOps.exif_transpose(picture)
        if box is not None:
            upright = upright.crop(crop_region(box, *upright.size, margin))
        return _to_rgb(upright)


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 where it is not said."""
    try:
        return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # the parser of broken EXIF data raises anything; the picture may be fine
        return 1


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and not picture.has_transparency_data:
        return picture
    if picture.mode.startswith("I;16"):
        return _from_numbers(np.asarray(picture, dtype=np.float32), 65535.0)
    if picture.mode in ("I", "F"):
        numbers = np.asarray(picture, dtype=np.float32)
        numbers = np.nan_to_num(numbers, nan=0, posinf=0, neginf=0)
        # These modes do not say their range: the smallest usual one that holds the values.
        peak = float(numbers.max())
        ranges = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
        return _from_numbers(numbers, next((top for top in ranges if peak <= top), peak))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


def _from_numbers(numbers: np.ndarray, white: float) -> Image.Image:
    scaled = (numbers * (255.0 / white)).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")
