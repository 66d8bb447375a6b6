"""Random crops and mirroring, as the authors train."""

from typing import NamedTuple

import numpy as np
from PIL import Image

# Random crops are taken from a picture this much larger than the crop: 256 for 224.
CROP_MARGIN = 256 / 224


class Crop(NamedTuple):
    """A random crop of the enlarged picture, perhaps mirrored."""

    top: int
    left: int
    mirrored: bool


def enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture that crops of `size` are taken from: 256 / 224 of it."""
    height, width = size
    return round(height * CROP_MARGIN), round(width * CROP_MARGIN)


def draw_crop(size: tuple[int, int], rng: np.random.Generator) -> Crop:
    """Draw where a crop of `size`, height and width, lies in the enlarged picture."""
    (height, width), (large_height, large_width) = size, enlarged(size)
    top = int(rng.integers(large_height - height + 1))
    left = int(rng.integers(large_width - width + 1))
    return Crop(top, left, mirrored=bool(rng.random() < 0.5))


def augment(picture: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Random crop and horizontal mirror, as the authors train.

    Args:
        picture: RGB, any size.
        size: height and width of the crop; the picture is first scaled to 256 / 224 of these.
        rng: random number generator.
    """
    (height, width), (large_height, large_width) = size, enlarged(size)
    top, left, mirrored = draw_crop(size, rng)
    # Scaling just the part that is kept is the same as scaling all and cropping, but quicker.
    across, down = picture.width / large_width, picture.height / large_height
    part = (left * across, top * down, (left + width) * across, (top + height) * down)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=part)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture
