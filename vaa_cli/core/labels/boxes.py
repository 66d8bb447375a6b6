"""Boxes of people in pictures: clipping them, and the pixels to cut out for one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import PictureError


class Box(NamedTuple):
    """The box of a person in a picture as it is seen (after EXIF rotation), in pixels."""

    left: float
    top: float
    width: float
    height: float

    def __str__(self) -> str:
        return f"({', '.join(f'{side:g}' for side in self)})"


# The columns of a table that boxes stand in.
BOX_COLUMNS = Box._fields


def crop_region(
    box: Box, width: int, height: int, margin: float = 0.0
) -> tuple[int, int, int, int]:
    """The whole pixels to cut out for a box: left, top, right, bottom.

    Args:
        box: the box, which is clipped to the picture.
        width: width of the picture in pixels.
        height: height of the picture in pixels.
        margin: context on each side, as a fraction of the clipped box's width and height; it ends
            where the picture does.

    Raises:
        PictureError: no whole pixel of the box is inside the picture.
    """
    left, top = max(0.0, box.left), max(0.0, box.top)
    right, bottom = min(width, box.left + box.width), min(height, box.top + box.height)
    if round(right) <= round(left) or round(bottom) <= round(top):
        raise PictureError(no_area(box, width, height))
    across, down = margin * (right - left), margin * (bottom - top)
    return (
        max(0, round(left - across)),
        max(0, round(top - down)),
        min(width, round(right + across)),
        min(height, round(bottom + down)),
    )


def clip_boxes(
    boxes: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Clip boxes to their pictures.

    Args:
        boxes: `[n x 4]` left, top, width, height in pixels; NaN for the whole picture.
        sizes: `[n x 2]` width and height of each row's picture; infinite where they are unknown.

    Returns:
        The boxes `[n x 4]` inside the pictures, and `[n]` which of them have a whole pixel there,
        as `crop_region` counts. The whole picture stays NaN and has area.
    """
    start = np.maximum(boxes[:, :2], 0.0)
    end = np.minimum(boxes[:, :2] + boxes[:, 2:], sizes)
    extent = np.maximum(end - start, 0.0)
    whole = np.isnan(boxes).any(axis=1)
    has_area = whole | (np.round(start + extent) > np.round(start)).all(axis=1)
    return np.hstack([start, extent]), has_area


def no_area(box: Box, width: float, height: float) -> str:
    """A message on a box that holds no whole pixel of its picture.

    Args:
        box: the box as it was given.
        width: width of the picture in pixels; infinite where it is unknown.
        height: height of the picture.
    """
    where = f" inside the {width:g} x {height:g} picture" if np.isfinite(width) else ""
    return f"the box {box} has no area{where}"
