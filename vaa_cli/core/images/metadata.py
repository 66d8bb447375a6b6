"""Pictures without the metadata at which decoders stumble; their pixels need none of it."""

import struct
import zlib
from collections.abc import Iterator

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks that pixels are made of, and those that may have the orientation.
_PNG_PIXELS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_PNG_ORIENTATION = {b"eXIf", b"tEXt", b"zTXt", b"iTXt"}
_ORIENTATION_KEYS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_LARGEST_TEXT = 1 << 16
# JPEG markers without a length, those of application data and comments, and the first of the scan.
_JPEG_LONE = {0x01, *range(0xD0, 0xD9)}
_JPEG_METADATA = {*range(0xE0, 0xF0), 0xFE}
_JPEG_EXIF, _JPEG_ADOBE, _JPEG_SCAN = 0xE1, 0xEE, 0xDA


def without_metadata(content: bytes) -> Iterator[bytes]:
    """The file of a PNG or JPEG picture with less and less metadata; none for other formats.

    First all but the pixels and the orientation is left out, then the orientation, too.

    Args:
        content: the bytes of the file.
    """
    if content.startswith(PNG_SIGNATURE):
        yield _png(content, with_orientation=True)
        yield _png(content, with_orientation=False)
    elif content.startswith(b"\xff\xd8"):
        yield _jpeg(content, with_orientation=True)
        yield _jpeg(content, with_orientation=False)


def _png(content: bytes, with_orientation: bool) -> bytes:
    kept, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        end = position + 12 + length
        if kind in _PNG_PIXELS or (
            with_orientation and _has_png_orientation(kind, content[position:end])
        ):
            # What is wrong with the pixels themselves stays wrong.
            kept.append(content[position:end])
        position = end
    return b"".join(kept)


def _has_png_orientation(kind: bytes, chunk: bytes) -> bool:
    if kind not in _PNG_ORIENTATION or len(chunk) > _LARGEST_TEXT:
        return False
    if kind != b"eXIf" and not chunk[8:].startswith(_ORIENTATION_KEYS):
        return False
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _jpeg(content: bytes, with_orientation: bool) -> bytes:
    kept, position = [content[:2]], 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _JPEG_LONE:
            end = position + 2
        elif marker == _JPEG_SCAN:
            break
        else:
            end = position + 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        segment = content[position:end]
        # Adobe's has the colours of the pixels.
        is_orientation = marker == _JPEG_EXIF and segment[4:].startswith(b"Exif\0\0")
        if (
            marker not in _JPEG_METADATA
            or marker == _JPEG_ADOBE
            or (with_orientation and is_orientation)
        ):
            kept.append(segment)
        position = end
    return b"".join(kept) + content[position:]
