"""Pictures and label tables that several test files make."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaa_cli.core.labels.table import LabelTable

Pixels = NDArray[np.uint8]

RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)
# Top left, top right, bottom left, bottom right of `quarters`.
CORNERS = (RED, GREEN, BLUE, YELLOW)

# EXIF 2.3, tag 0x0112: the side of the upright picture where the stored row 0 and column 0 are.
ORIENTATIONS = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
ORIENTATION_TAG = 0x0112


def plain(colour: tuple[int, int, int] = RED, size: tuple[int, int] = (8, 8)) -> Image.Image:
    """A picture of one colour; the size is width and height."""
    return Image.new("RGB", size, colour)


def quarters(width: int, height: int) -> Pixels:
    """`[height x width x 3]`: a quarter of each of the colours in `CORNERS`."""
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left], pixels[:top, left:], pixels[top:, :left], pixels[top:, left:] = CORNERS
    return pixels


def corners(picture: Image.Image) -> tuple[tuple[int, ...], ...]:
    """The colours in the middle of the four quarters, each channel rounded to 0 or 255."""
    pixels = np.asarray(picture)
    height, width = pixels.shape[:2]
    middles = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return tuple(tuple(255 * int(v > 127) for v in pixels[y, x]) for y, x in middles)


def stored(upright: Pixels, orientation: int) -> Pixels:
    """What a camera stores for a picture that is upright once the orientation is applied."""
    first_row, first_column = ORIENTATIONS[orientation]
    if first_row in ("left", "right"):  # rows of the file are columns of the picture
        upright = upright.swapaxes(0, 1)
    if first_row in ("bottom", "right"):
        upright = upright[::-1]
    if first_column in ("bottom", "right"):
        upright = upright[:, ::-1]
    return np.ascontiguousarray(upright)


def save_oriented(upright: Pixels, orientation: int, path: Path) -> Path:
    """Save a picture as a camera does that was held in some way; JPEG, PNG or TIFF."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    # Only JPEG looks at its quality.
    picture = Image.fromarray(stored(upright, orientation))
    picture.save(path, exif=exif, quality=95, subsampling=0)
    return path


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Random pixels, which no codec makes small."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def truncated(path: Path) -> Path:
    """A JPEG of which the second half is missing."""
    whole = path.with_name(f"whole-{path.name}")
    noise(96, 96).save(whole)
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    whole.unlink()
    return path


def make_table(
    labels: Sequence[Sequence[int]],
    images: Sequence[str] | None = None,
    splits: Sequence[int] | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    attributes: Sequence[str] | None = None,
    root: Path = Path("root"),
) -> LabelTable:
    """A table of the labels given, with names made up for what is left out."""
    matrix = np.array(labels, dtype=np.int8)
    return LabelTable(
        root=root,
        row_images=list(images) if images is not None else [f"{i}.png" for i in range(len(matrix))],
        attributes=tuple(attributes or (f"attribute{c}" for c in range(matrix.shape[1]))),
        labels=matrix,
        splits=None if splits is None else np.array(splits, dtype=np.int8),
        boxes=None if boxes is None else np.array(boxes, dtype=np.float64),
    )


def write_rows(path: Path, header: Sequence[str], *rows: Sequence[object]) -> Path:
    """Write a CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path
