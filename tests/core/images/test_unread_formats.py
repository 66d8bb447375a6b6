"""Files that are not read as pictures are answered with what to do."""

import importlib.util
from io import BytesIO
from pathlib import Path

import pytest

from tests.helpers.pictures import CORNERS, corners, quarters
from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.decode import is_picture, open_picture


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "pip install pillow-heif"),
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video"),
        (b"\0\0\0\x14ftypqt  ", "a video"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\n <!DOCTYPE html><html>", "a web page"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns=''>", "an SVG drawing"),
        (b"plain text", "not a picture"),
        (b"", "an empty file"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, content: bytes, part: str) -> None:
    if b"heic" in content and importlib.util.find_spec("pillow_heif"):
        part = "a broken HEIC"
    (tmp_path / "a.jpg").write_bytes(content)
    for source in (tmp_path / "a.jpg", content):
        with pytest.raises(PictureError, match=part):
            open_picture(source)


def test_heic_pictures_are_read_with_the_extra() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    assert is_picture("IMG_1.HEIC")
    file = BytesIO()
    from PIL import Image

    pillow_heif.from_pillow(Image.fromarray(quarters(64, 48))).save(file, quality=100)
    picture = open_picture(file.getvalue())
    assert picture.size == (64, 48) and corners(picture) == CORNERS
