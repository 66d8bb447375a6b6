"""Pictures from files: whatever a camera or the web gives, as upright 8-bit RGB."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms, ImageFile, UnidentifiedImageError

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.jpeg import START as JPEG_START
from vaa_cli.core.images.jpeg import decode_jpeg
from vaa_cli.core.images.metadata import without_metadata
from vaa_cli.core.images.orientation import (
    SIDEWAYS,
    forget_exif,
    orientation_of,
    upright,
    upright_size,
)
from vaa_cli.core.images.requests import Request, named_content
from vaa_cli.core.images.unread_formats import advice_for
from vaa_cli.core.labels.boxes import Box, crop_region
from vaa_cli.core.system.input_files import READ_FLAGS
from vaa_cli.core.system.named_content import NamedContent

# Pillow's own limit against decompression bombs; past it a small file fills the memory.
MAX_PIXELS = 89_478_485
# EPS is a program that an interpreter runs; the others Pillow knows by name but cannot decode.
_REFUSED_FORMATS = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}
# Modes whose colours are multiplied with their opacity, and those that they are turned to first.
_UNMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
# Formats in which Pillow seeks the next frame to see if there is one, and so loses the first.
_SOUGHT = {"GIF", "TIFF"}
# The TIFF tag of what 0 means, and its value for white.
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
# Bytes by which other kinds of files are known.
_LONGEST_START = 1024
# A larger file is not read into memory whole: Pillow reads it from the disk.
_LARGEST_CONTENT = 256 << 20

# Pillow warns of odd EXIF data, which does no harm, and of large pictures, which are refused
# below. Filtered once, since filters are the whole process's and pictures are read in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


@cache
def picture_formats() -> tuple[str, ...]:
    """The formats that are read, by Pillow's names, usual ones first."""
    Image.init()
    if find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in Image.OPEN if name not in _REFUSED_FORMATS)


@cache
def picture_endings() -> tuple[str, ...]:
    """The suffixes of files in these formats: .jpg, .png, …"""
    formats = set(picture_formats())
    return tuple(end for end, name in Image.registered_extensions().items() if name in formats)


def is_picture(name: str) -> bool:
    """Whether a file's name is one of a picture."""
    return name.lower().endswith(picture_endings())


# A picture's file: its path, or its bytes.
Source = Path | str | bytes


class TooLargeError(PictureError):
    """A picture with more pixels than are decoded."""


class Decoded(NamedTuple):
    """The first frame of a picture, upright, in the mode that its file has.

    Attributes:
        picture: the picture, for `part_of`.
        has_more_frames: the file holds more of them, as animations and documents do.
        size: width and height of all of it; the picture may have been decoded at less.
    """

    picture: Image.Image
    has_more_frames: bool
    size: tuple[int, int]


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Turn any error into a few words on what is wrong with a picture.

    Raises:
        PictureError: whatever is done with it in the block failed.
    """
    try:
        yield
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError("no such file") from error
    except UnidentifiedImageError as error:
        raise PictureError(_what_it_is(source)) from error
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"more pixels than the limit of {MAX_PIXELS:,}") from error
    except Exception as error:
        # Decoders of broken files raise nearly anything: OSError, ValueError, SyntaxError,
        # struct.error, IndexError, MemoryError …; all of them mean that this picture is broken.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PictureError(f"broken picture: {' '.join(reason.split())}") from error


def _what_it_is(source: Source) -> str:
    """A few words on a file that is no picture."""
    start = source
    if not isinstance(start, bytes):
        with open(start, "rb") as file:
            start = file.read(_LONGEST_START)
    return (advice_for(start) or "not a picture") if start else "an empty file"


@contextmanager
def opened_picture(source: Source) -> Iterator[ImageFile.ImageFile]:
    """Open a picture; errors are turned into a few words on what is wrong with it.

    Raises:
        PictureError: opening it, or anything done with it in the block, failed.
    """
    with _explained(source):
        if isinstance(source, bytes):
            file: BytesIO | Path | str = BytesIO(source)
        elif S_ISREG(os.stat(source).st_mode):
            file = source
        else:
            raise PictureError("not a file")  # opening a pipe waits for ever
        with Image.open(file, formats=picture_formats()) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise TooLargeError(
                    f"{width} x {height} pixels, more than the limit of {MAX_PIXELS:,}"
                )
            yield picture


def decode_picture(source: Source, enough: tuple[int, int] | None = None) -> Decoded:
    """Decode the first frame of a picture, upright by its EXIF orientation.

    Args:
        source: the file.
        enough: height and width beyond which detail is not needed: a JPEG may then be decoded
            at a half, a quarter or an eighth of its size, never below these.

    Raises:
        PictureError: it is missing or broken.
    """
    if isinstance(source, NamedContent):
        source = named_content(source)
    content = _content_of(source, JPEG_START)
    if content is not None:
        decoded = decode_jpeg(content, enough, MAX_PIXELS)
        if decoded is not None:
            return Decoded(decoded.picture, False, decoded.size)
        source = content
    try:
        return _decode(source, enough)
    except TooLargeError:
        raise
    except PictureError:
        # Pillow gives up a picture for a broken colour profile or text, too.
        tried = _content_of(source) or b""
        for content in without_metadata(tried):
            if content != tried:
                with contextlib.suppress(PictureError):
                    return _decode(content, enough)
            tried = content
        raise


def _content_of(source: Source, start: bytes = b"") -> bytes | None:
    """The content of a file; None if it does not begin so, is too large, or cannot be read."""
    if isinstance(source, bytes):
        return source if source.startswith(start) else None
    try:
        with open(os.open(source, READ_FLAGS), "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if not S_ISREG(status.st_mode) or status.st_size > _LARGEST_CONTENT:
                return None
            return start + file.readall() if file.read(len(start)) == start else None
    except (OSError, ValueError):
        return None


def _decode(source: Source, enough: tuple[int, int] | None) -> Decoded:
    with opened_picture(source) as picture:
        if picture.format == "PNG":
            picture.load()  # an orientation may stand behind the pixels
        orientation = orientation_of(picture)
        size = _size_as_seen(picture, orientation)
        if enough is not None:
            height, width = enough
            sideways = orientation in SIDEWAYS
            picture.draft("RGB", (height, width) if sideways else (width, height))
        forget_exif(picture)
        picture.load()
        # The copy has the size of the pixels, which that of a TIFF on its side is not.
        loaded = picture.copy() if picture.format in _SOUGHT else picture
        if _has_white_for_zero(picture):
            loaded = Image.fromarray(65535 - np.asarray(loaded, dtype=np.uint16))
        return Decoded(upright(loaded, orientation), _has_more_frames(picture), size)


def _size_as_seen(picture: ImageFile.ImageFile, orientation: int) -> tuple[int, int]:
    # Pillow gives the size of a TIFF upright, and of the others as it lies in the file.
    return picture.size if picture.format == "TIFF" else upright_size(picture.size, orientation)


def _has_white_for_zero(picture: ImageFile.ImageFile) -> bool:
    """Whether 0 is white in the 16-bit grey of a TIFF; Pillow turns that of 8 bits only."""
    tags = getattr(picture, "tag_v2", {})
    return picture.mode.startswith("I;16") and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def part_of(picture: Image.Image, box: Box | None = None, margin: float = 0.0) -> Image.Image:
    """A part of a decoded picture, or all of it, as RGB of 8 bits a channel.

    16-bit and float pictures are scaled to 8 bits, and transparency is laid on white.

    Args:
        picture: upright.
        box: the part to cut out, clipped to the picture.
        margin: context around the box, see `crop_region`.

    Raises:
        PictureError: the box lies outside the picture, or memory does not suffice.
    """
    with _explained(b""):
        if box is not None:
            picture = picture.crop(crop_region(box, *picture.size, margin))
        return _to_rgb(picture)


def open_picture(
    source: Source,
    box: Box | None = None,
    enough: tuple[int, int] | None = None,
    margin: float = 0.0,
) -> Image.Image:
    """Decode a picture, or a part of it, as upright RGB: `decode_picture`, then `part_of`.

    Args:
        source: the file.
        box: the part to cut out; `enough` is not used then.
        enough: see `decode_picture`.
        margin: context around the box.

    Raises:
        PictureError: it is missing or broken, or the box lies outside it.
    """
    decoded = decode_picture(source, enough if box is None else None)
    return part_of(decoded.picture, box, margin)


def _has_more_frames(picture: ImageFile.ImageFile) -> bool:
    # A camera's MPO holds the same scene once more, which is no second frame.
    if picture.format == "MPO":
        return False
    try:
        return bool(getattr(picture, "is_animated", False))
    except Exception:  # the second frame may be broken, but it is not needed
        return False


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
    if picture.mode in _UNMULTIPLIED:
        picture = picture.convert(_UNMULTIPLIED[picture.mode])
    if picture.mode == "LAB":
        return ImageCms.applyTransform(picture, _lab_to_rgb()) or picture
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("RGB")
    return picture.convert("RGB")


@cache
def _lab_to_rgb() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")


def _from_numbers(numbers: np.ndarray, white: float) -> Image.Image:
    scaled = (numbers * (255.0 / white)).clip(0, 255).round().astype(np.uint8)
    return Image.fromarray(scaled).convert("RGB")


# Twice the size in the decoder leaves the resampling enough to work with.
_ENOUGH = 2


class Decoder:
    """Decodes pictures to one size.

    Boxes of one picture often follow each other: it is decoded once for all of them.

    Args:
        size: height and width.
        box_margin: context around boxes, see `boxes.crop_region`.
    """

    def __init__(self, size: tuple[int, int], box_margin: float = 0.0) -> None:
        self.size, self.box_margin = size, box_margin
        self._last: tuple[str, Decoded] | None = None

    def decode(
        self, request: Request, scale: Callable[[Image.Image], Image.Image] | None = None
    ) -> Decoded:
        """The part of a picture that is meant, RGB, scaled.

        Args:
            request: the picture.
            scale: scales it another way than to the whole size.

        Raises:
            PictureError: it is missing or broken, or its box lies outside it.
        """
        if request.problem is not None:
            raise PictureError(request.problem)
        decoded = self._whole(request)
        picture = part_of(decoded.picture, request.box, self.box_margin)
        height, width = self.size
        if scale is not None:
            picture = scale(picture)
        else:
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        return decoded._replace(picture=picture)

    def _whole(self, request: Request) -> Decoded:
        source = request.path if request.content is None else request.content
        if request.box is None:
            height, width = self.size
            return decode_picture(source, enough=(_ENOUGH * height, _ENOUGH * width))
        if self._last is not None and self._last[0] == request.path and source is request.path:
            return self._last[1]
        self._last = None  # its memory is free before the next one takes as much
        decoded = decode_picture(source)
        self._last = (request.path, decoded)
        return decoded
