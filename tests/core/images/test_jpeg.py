"""JPEGs that libjpeg-turbo decodes directly: the same pixels and verdicts as through Pillow."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.core.images.test_metadata import exif_with
from tests.helpers.pictures import CORNERS, ORIENTATIONS, corners, quarters, stored
from vaa_cli.core.errors import PictureError
from vaa_cli.core.images import decode
from vaa_cli.core.images.decode import Decoded, decode_picture, open_picture
from vaa_cli.core.images.jpeg import decode_jpeg

PROPERTY = settings(max_examples=150, deadline=None, derandomize=True)


def by_pillow(content: bytes, enough: tuple[int, int] | None) -> Decoded | PictureError:
    """What Pillow alone makes of a file."""
    try:
        return decode._decode(content, enough)
    except PictureError as error:
        return error


def found(content: bytes, enough: tuple[int, int] | None) -> Decoded | PictureError:
    try:
        return decode_picture(content, enough)
    except PictureError as error:
        return error


def assert_the_same(content: bytes, enough: tuple[int, int] | None) -> None:
    ours, pillows = found(content, enough), by_pillow(content, enough)
    if isinstance(pillows, PictureError):
        # What is left out on a second look is metadata alone; see test_metadata.
        return
    assert isinstance(ours, Decoded)
    assert (ours.picture.size, ours.picture.mode) == (pillows.picture.size, pillows.picture.mode)
    assert (ours.size, ours.has_more_frames) == (pillows.size, pillows.has_more_frames)
    difference = np.abs(np.asarray(ours.picture).astype(int) - np.asarray(pillows.picture))
    assert (difference <= 1).mean() >= 0.999


def smooth(width: int, height: int, seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@PROPERTY
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    enough=st.none() | st.tuples(st.integers(1, 120), st.integers(1, 120)),
    quality=st.integers(1, 100),
    subsampling=st.sampled_from([0, 1, 2]),
    progressive=st.booleans(),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    orientation=st.sampled_from([0, *ORIENTATIONS]),
    seed=st.integers(0, 100),
)
def test_whole_pictures(
    size: tuple[int, int],
    enough: tuple[int, int] | None,
    quality: int,
    subsampling: int,
    progressive: bool,
    mode: str,
    orientation: int,
    seed: int,
) -> None:
    file = BytesIO()
    exif = b"Exif\0\0" + exif_with(orientation) if orientation else b""
    smooth(*size, seed).convert(mode).save(
        file, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive, exif=exif
    )
    content = file.getvalue()
    assert_the_same(content, enough)
    assert (decode_jpeg(content, enough, decode.MAX_PIXELS) is None) == (mode == "CMYK")


@PROPERTY
@given(data=st.data(), seed=st.integers(0, 100), progressive=st.booleans())
def test_broken_pictures(data: st.DataObject, seed: int, progressive: bool) -> None:
    file = BytesIO()
    smooth(120, 90, seed).save(file, "JPEG", quality=80, progressive=progressive)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(2, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(4, len(content)) | st.just(len(content)))
    broken = bytes(content[:cut])
    pillows = by_pillow(broken, None)
    fast = decode_jpeg(broken, None, decode.MAX_PIXELS)
    if isinstance(pillows, PictureError):
        assert fast is None, "Pillow refuses it"
    assert_the_same(broken, data.draw(st.none() | st.just((30, 40))))


@pytest.mark.parametrize("orientation", list(ORIENTATIONS))
def test_turned_pictures(orientation: int) -> None:
    file = BytesIO()
    exif = b"Exif\0\0" + exif_with(orientation)
    pixels = stored(quarters(480, 320), orientation)
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0, exif=exif)
    for enough, size in ((None, (480, 320)), ((80, 120), (120, 80)), ((81, 120), (240, 160))):
        decoded = decode_jpeg(file.getvalue(), enough, decode.MAX_PIXELS)
        assert decoded is not None and decoded.size == (480, 320)
        assert decoded.picture.size == size and corners(decoded.picture) == CORNERS


def test_what_is_left_to_pillow(tmp_path: Path) -> None:
    file = BytesIO()
    Image.fromarray(quarters(48, 32)).save(file, "JPEG", quality=95)
    content = file.getvalue()
    assert decode_jpeg(content, None, decode.MAX_PIXELS) is not None
    assert decode_jpeg(content, None, 48 * 32 - 1) is None  # too many pixels
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation='3'/>"
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    others = {
        "an orientation in XMP": content[:2] + segment + content[2:],
        "cut": content[:-20],
        "bytes between segments": content[:2] + b"\0\0" + content[2:],
        "no scan": content[:200],
        "another kind of frame": content.replace(b"\xff\xc0", b"\xff\xc9", 1),
        "twelve bits": content.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c", 1),
        "nothing": b"\xff\xd8\xff",
    }
    for name, other in others.items():
        assert other != content
        assert decode_jpeg(other, None, decode.MAX_PIXELS) is None, name


def test_bytes_behind_the_end_are_no_harm() -> None:
    file = BytesIO()
    Image.fromarray(quarters(48, 32)).save(file, "JPEG", quality=95, subsampling=0)
    assert corners(open_picture(file.getvalue() + b"trailer" * 100)) == CORNERS
