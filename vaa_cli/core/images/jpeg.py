"""JPEG files decoded by libjpeg-turbo without Pillow in between, where the pixels are the same.

Pillow, which uses the same library, takes more than twice as long: it hands the file to the decoder
in small pieces, and copies rows. Whatever is not an ordinary, whole JPEG is left to it.
"""

import struct
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from vaa_cli.core.images.orientation import SIDEWAYS, exif_orientation, upright, upright_size

START = b"\xff\xd8\xff"
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_APP1, _SCAN = 0xE1, 0xDA
# Frames that every decoder reads: baseline, extended and progressive Huffman coding.
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
# How the decoder and Pillow call pixels of each kind. RGB with a byte of padding is how Pillow
# keeps it, so that nothing is moved about.
_MODES = {"YCbCr": ("RGBX", "RGB", "RGBX"), "Gray": ("GRAY", "L", "L")}
# The scales at which Pillow lets its decoder work, as divisors.
_SCALES = (8, 4, 2, 1)


class _Header(NamedTuple):
    """What is needed of a JPEG before it is decoded: its stored size, and its orientation."""

    width: int
    height: int
    orientation: int


class DecodedJPEG(NamedTuple):
    """A decoded JPEG.

    Attributes:
        picture: RGB or grey, upright.
        size: width and height of all of it, upright.
    """

    picture: Image.Image
    size: tuple[int, int]


def decode_jpeg(
    content: bytes, enough: tuple[int, int] | None, max_pixels: int
) -> DecodedJPEG | None:
    """Decode a JPEG file.

    Args:
        content: the file.
        enough: height and width beyond which detail is not needed, see `decode.decode_picture`.
        max_pixels: the most pixels that are decoded.

    Returns:
        The picture; None where anything about the file is not as in an ordinary, whole JPEG.
    """
    header = _header(content)
    if header is None or header.width * header.height > max_pixels:
        return None
    try:
        *_, colours, _ = simplejpeg.decode_jpeg_header(content)
        if colours not in _MODES:
            return None
        colourspace, mode, layout = _MODES[colours]
        least = _least_size(header, enough)
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            content, colourspace, min_height=least[0], min_width=least[1], strict=True
        )
    except (ValueError, MemoryError):  # also of what the decoder would only warn of
        return None
    height, width = pixels.shape[:2]
    picture = Image.frombytes(mode, (width, height), pixels.data, "raw", layout)
    size = upright_size((header.width, header.height), header.orientation)
    return DecodedJPEG(upright(picture, header.orientation), size)


def _least_size(header: _Header, enough: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width that the decoder is asked for: those of Pillow's `draft`."""
    if enough is None:
        return header.height, header.width
    height, width = reversed(enough) if header.orientation in SIDEWAYS else enough
    scale = min(header.width // width, header.height // height)
    divisor = next((divisor for divisor in _SCALES if scale >= divisor), 1)
    return -(-header.height // divisor), -(-header.width // divisor)


def _header(content: bytes) -> _Header | None:
    """The header of an ordinary JPEG; None where it is another one."""
    exif, size, position = b"", None, 2
    while position + 4 <= len(content):
        start, marker, length = struct.unpack_from(">BBH", content, position)
        if start != 0xFF or length < 2 or marker in _OTHER_FRAMES:
            return None
        body = position + 4
        if marker == _SCAN:
            break
        if marker in _FRAMES:
            if size is not None or body + 5 > len(content):
                return None
            precision, height, width = struct.unpack_from(">BHH", content, body)
            if precision != 8 or not height or not width:
                return None
            size = width, height
        elif marker == _APP1:
            if content.startswith(_XMP, body):
                return None  # an orientation may stand there, too
            if content.startswith(_EXIF, body):
                if exif:
                    return None
                exif = content[body : position + 2 + length]
        position += 2 + length
    if size is None:
        return None
    return _Header(*size, exif_orientation(exif) or 1)
