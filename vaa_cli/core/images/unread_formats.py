"""Files that are not read as pictures, and what to do with each kind."""

import re
from importlib.util import find_spec

# Pictures in formats that Pillow reads only with another package, or not at all.
_UNREAD_PICTURES = (".heic", ".heif", ".hif", ".jxl")
_HEIF_ADVICE = "a HEIC picture, which needs another package: pip install pillow-heif"
_JXL_ADVICE = "a JPEG XL picture, which is not read; convert it, to PNG or JPEG for example"
_VIDEO_ADVICE = "a video; take pictures from it first: ffmpeg -i VIDEO -vf fps=1 pictures/%06d.jpg"
_PDF_ADVICE = "a PDF; take the pictures from it first: pdfimages -all FILE pictures/"
_PAGE_ADVICE = "a web page, not a picture; download the picture itself"
_SVG_ADVICE = "an SVG drawing, which has no pixels; export it as PNG first"

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"}
_JXL_STARTS = (b"\x00\x00\x00\x0cJXL ", b"\xff\x0a")
# Matroska and WebM, AVI, MPEG program and transport streams' first bytes.
_VIDEO_STARTS = (b"\x1a\x45\xdf\xa3", b"\x00\x00\x01\xba")
_PAGE = re.compile(rb"\s*<(!doctype html|html|head|body)", re.IGNORECASE)
_SVG = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<svg\b", re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 1024


def is_unread_picture(name: str) -> bool:
    """Whether a file's name is one of a picture in a format that is perhaps not read."""
    return name.lower().endswith(_UNREAD_PICTURES)


def picture_advice(start: bytes) -> str | None:
    """What to do with a picture in a format that is not read; None for anything else.

    Args:
        start: the first bytes of the file.
    """
    if start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS:
        # With the package, what it cannot open ends here.
        return "a broken HEIC picture" if find_spec("pillow_heif") else _HEIF_ADVICE
    if start.startswith(_JXL_STARTS):
        return _JXL_ADVICE
    return None


def advice_for(start: bytes) -> str | None:
    """What to do with a file that is no picture which can be read; None where nobody knows.

    Args:
        start: the first bytes of the file.
    """
    start = start[:_LOOKED_AT]
    found = picture_advice(start)
    if found is not None:
        return found
    is_avi = start[:4] == b"RIFF" and start[8:12] == b"AVI "
    if start[4:8] == b"ftyp" or is_avi or start.startswith(_VIDEO_STARTS):
        return _VIDEO_ADVICE
    if start.startswith(b"%PDF-"):
        return _PDF_ADVICE
    if _PAGE.match(start):
        return _PAGE_ADVICE
    return _SVG_ADVICE if _SVG.match(start) else None
