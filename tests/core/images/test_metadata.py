"""Metadata never costs the pixels: whatever stands in it, the picture is read."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.pictures import CORNERS, ORIENTATION_TAG, ORIENTATIONS, corners, quarters, stored
from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.decode import open_picture

PROPERTY = settings(max_examples=60, deadline=None, derandomize=True)
PIXELS = quarters(48, 32)
CHUNKS = [b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"cHRM", b"pHYs", b"gAMA", b"sBIT", b"bKGD", b"tIME"]
CHUNKS += [b"eXIf", b"sRGB", b"hIST", b"acTL", b"vpAg"]


def encoded(kind: str, pixels: np.ndarray = PIXELS) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=95, subsampling=0)
    return file.getvalue()


def chunk(kind: bytes, data: bytes, has_right_sum: bool = True) -> bytes:
    checksum = zlib.crc32(kind + data) ^ (not has_right_sum)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunk(png: bytes, extra: bytes, behind_pixels: bool) -> bytes:
    at = len(png) - 12 if behind_pixels else 33  # before IEND, or behind IHDR
    return png[:at] + extra + png[at:]


def assert_read(content: bytes, kind: str, corner_colours: object = CORNERS) -> None:
    """The picture is read as it is without metadata, and the check says the same."""
    picture = open_picture(content)
    assert corners(picture) == corner_colours
    assert np.abs(np.asarray(picture).astype(int) - PIXELS).max() < (30 if kind == "JPEG" else 1)


@PROPERTY
@given(
    st.sampled_from(CHUNKS), st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(1, 2)
)
@example(b"iCCP", b"ICC\0\0" + zlib.compress(b"no profile"), True, False, 1)
@example(b"cHRM", b"\0\0", True, False, 1)
@example(b"tEXt", b"Comment\0" + b"x" * 2_000_000, True, False, 1)
@example(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 50_000_000), True, False, 1)
@example(b"eXIf", b"II*\0\xff\xff\xff\xff", True, True, 1)
def test_png_chunks(
    kind: bytes, data: bytes, has_right_sum: bool, behind_pixels: bool, times: int
) -> None:
    extra = chunk(kind, data, has_right_sum) * times
    assert_read(with_chunk(encoded("PNG"), extra, behind_pixels), "PNG")


@PROPERTY
@given(
    st.sampled_from([*range(0xE0, 0xEE), 0xEF, 0xFE]),
    st.sampled_from([b"", b"Exif\0\0", b"ICC_PROFILE\0", b"JFIF\0", b"MPF\0", b"Photoshop 3.0\0"]),
    st.binary(max_size=40),
)
def test_jpeg_segments(marker: int, name: bytes, data: bytes) -> None:
    content = name + data
    if content.startswith(b"Exif\0\0") and ORIENTATION_TAG.to_bytes(2, "big") in content:
        return  # which may mean something
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
    jpeg = encoded("JPEG")
    assert_read(jpeg[:2] + segment + jpeg[2:], "JPEG")


def exif_with(orientation: int, *entries: bytes) -> bytes:
    """Little-endian EXIF data with an orientation among other entries, and bytes behind them."""
    tags = sorted(
        [struct.pack("<HHII", ORIENTATION_TAG, 3, 1, orientation), *entries],
        key=lambda tag: int(struct.unpack("<H", tag[:2])[0]),
    )
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + b"".join(tags) + b"\0" * 4
    return data + struct.pack("<Ii", 1, -1) + bytes(16)


def entries_of(where: int) -> dict[str, bytes]:
    """Entries whose values no reader expects; `where` is a place behind the entries."""
    return {
        "a date of floats": struct.pack("<HHIf", 0x0132, 11, 1, 1.5),
        "software as a number": struct.pack("<HHII", 0x0131, 3, 1, 7),
        "a resolution of -1 / 0": struct.pack("<HHII", 0x011A, 10, 1, where),
        "a maker behind the end": struct.pack("<HHII", 0x010F, 2, 1000, 0xFFFFFF),
        "a loop of directories": struct.pack("<HHII", 0x8769, 4, 1, 8),
    }


@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
@pytest.mark.parametrize("odd", list(entries_of(0)))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_turning_needs_the_orientation_alone(kind: str, odd: str, orientation: int) -> None:
    exif = exif_with(orientation, entries_of(8 + 2 + 24 + 4)[odd])
    content = encoded(kind, stored(PIXELS, orientation))
    if kind == "JPEG":
        segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
        content = content[:2] + segment + content[2:]
    elif kind == "PNG":
        content = with_chunk(content, chunk(b"eXIf", exif), behind_pixels=orientation % 2 == 0)
    else:
        file = BytesIO()
        picture = Image.fromarray(stored(PIXELS, orientation))
        picture.save(file, "WEBP", lossless=True, exif=b"Exif\0\0" + exif)
        content = file.getvalue()
    picture = open_picture(content)
    assert (picture.size, corners(picture)) == ((48, 32), CORNERS)


@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
def test_turning_holds_where_another_chunk_is_broken(tmp_path: Path, orientation: int) -> None:
    content = encoded("PNG", stored(PIXELS, orientation))
    content = with_chunk(content, chunk(b"eXIf", exif_with(orientation)), behind_pixels=False)
    content = with_chunk(content, chunk(b"cHRM", b"short"), behind_pixels=False)
    (tmp_path / "a.png").write_bytes(content)
    for decode in (True, False):
        assert check_picture(tmp_path / "a.png", decode) == (48, 32)
    assert corners(open_picture(content)) == CORNERS


@PROPERTY
@given(st.integers(0, 2**32), st.sampled_from(["PNG", "JPEG"]))
def test_broken_pixels_stay_broken(seed: int, kind: str) -> None:
    """What is left out is metadata; a file that ends amidst its pixels is not taken for whole."""
    content = encoded(kind, np.random.default_rng(seed).integers(0, 256, PIXELS.shape, np.uint8))
    with pytest.raises(PictureError):
        open_picture(content[: len(content) * 2 // 3])


def test_a_png_with_damaged_pixels_is_broken_for_who_decodes_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = bytearray(encoded("PNG", noise))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(PictureError):
        open_picture(bytes(content))
