"""Random crops, mirroring, colours and erasing of pictures that are trained on."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from vaa_cli.core.images.names import AugmentName

# Random crops are taken from a picture this much larger than the crop: 256 for 224.
CROP_MARGIN = 256 / 224
# Of each side, that a picture is padded by on both ends; and the fewest pixels.
_PADDING, _LEAST_PADDING = 0.05, 4
# Of an erased rectangle: its part of the picture, and its height by its width.
_ERASED_AREA, _ERASED_FORM = (0.02, 0.4), (0.3, 3.3)


class Augmentation(NamedTuple):
    """A way to augment pictures.

    Attributes:
        kind: `pad-crop` moves a picture by up to 5 % (4 pixels at least) each way, repeating its
            edge, so that it has the scale that evaluation sees; `resize-crop` enlarges it by
            256 / 224 and crops it, as the authors do; `none` leaves it.
        mirror: whether half of the pictures are mirrored.
        jitter: brightness, contrast and saturation are multiplied by up to this much more or less
            than 1 each.
        erase: fraction of the pictures of which a rectangle is noise, see `vary`.
    """

    kind: AugmentName = "resize-crop"
    mirror: bool = True
    jitter: float = 0.0
    erase: float = 0.0

    @property
    def varies(self) -> bool:
        """Whether `vary` does anything."""
        return self.jitter > 0 or self.erase > 0


class Crop(NamedTuple):
    """A random crop of the enlarged or padded picture, perhaps mirrored."""

    top: int
    left: int
    mirrored: bool


def enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture that crops of `size` are taken from: 256 / 224 of it."""
    height, width = size
    return round(height * CROP_MARGIN), round(width * CROP_MARGIN)


def kept_size(size: tuple[int, int], augmentation: Augmentation) -> tuple[int, int]:
    """Height and width that a picture is scaled to before crops of `size` are drawn from it."""
    return enlarged(size) if augmentation.kind == "resize-crop" else size


def draw_crop(
    size: tuple[int, int],
    rng: np.random.Generator,
    augmentation: Augmentation = Augmentation(),  # noqa: B008, a constant
) -> Crop:
    """Draw where a crop of `size`, height and width, lies in the enlarged or padded picture."""
    if augmentation.kind == "none":
        top = left = 0
    else:
        room = (
            [large - side for large, side in zip(enlarged(size), size, strict=True)]
            if augmentation.kind == "resize-crop"
            else [2 * padding(side) for side in size]
        )
        top, left = (int(rng.integers(pixels + 1)) for pixels in room)
    return Crop(top, left, mirrored=augmentation.mirror and bool(rng.random() < 0.5))


def padding(side: int) -> int:
    """The pixels that a side is padded by on each end."""
    return max(_LEAST_PADDING, round(_PADDING * side))


def augment(
    picture: Image.Image,
    size: tuple[int, int],
    rng: np.random.Generator,
    augmentation: Augmentation = Augmentation(),  # noqa: B008, a constant
) -> Image.Image:
    """Random crop and horizontal mirror, then colours and erasing.

    Args:
        picture: RGB, any size.
        size: height and width of the result.
        rng: random number generator.
        augmentation: the way to augment it.
    """
    height, width = size
    crop = draw_crop(size, rng, augmentation)
    if augmentation.kind == "resize-crop":
        large_height, large_width = enlarged(size)
        # Scaling just the part that is kept is the same as scaling all and cropping, but quicker.
        across, down = picture.width / large_width, picture.height / large_height
        part = (
            crop.left * across,
            crop.top * down,
            (crop.left + width) * across,
            (crop.top + height) * down,
        )
        picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=part)
    else:
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        if augmentation.kind == "pad-crop":
            pixels = np.asarray(picture).transpose(2, 0, 1)
            moved = _moved(pixels, crop).transpose(1, 2, 0)
            picture = Image.fromarray(np.ascontiguousarray(moved))
    if crop.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return vary(picture, rng, augmentation)


def vary(picture: Image.Image, rng: np.random.Generator, augmentation: Augmentation) -> Image.Image:
    """Change the colours of a picture, and fill a rectangle of it with noise.

    Random erasing is Zhong et al.'s (AAAI 2020), with their shapes: 2 to 40 % of the picture, 0.3
    to 3.3 times as high as wide.
    """
    if augmentation.jitter:
        for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            factor = rng.uniform(max(0.0, 1 - augmentation.jitter), 1 + augmentation.jitter)
            picture = kind(picture).enhance(factor)
    if augmentation.erase and rng.random() < augmentation.erase:
        area = rng.uniform(*_ERASED_AREA) * picture.width * picture.height
        lowest, highest = map(math.log, _ERASED_FORM)
        form = math.exp(rng.uniform(lowest, highest))
        height = min(picture.height, max(1, round(math.sqrt(area * form))))
        width = min(picture.width, max(1, round(math.sqrt(area / form))))
        noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        left = int(rng.integers(picture.width - width + 1))
        top = int(rng.integers(picture.height - height + 1))
        picture = picture.copy()
        picture.paste(noise, (left, top))
    return picture


def cut(
    pixels: NDArray[np.uint8], size: tuple[int, int], crop: Crop, augmentation: Augmentation
) -> NDArray[np.uint8]:
    """The crop of a picture of `kept_size`, `[3 x H x W]` to `[3 x h x w]`."""
    height, width = size
    if augmentation.kind == "resize-crop":
        part = pixels[:, crop.top : crop.top + height, crop.left : crop.left + width]
    elif augmentation.kind == "pad-crop":
        part = _moved(pixels, crop)
    else:
        part = pixels
    return part[:, :, ::-1] if crop.mirrored else part


def _moved(pixels: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """A picture `[3 x h x w]`, padded with its edge and cropped to its size again."""
    height, width = pixels.shape[1:]
    # Positions beyond the edge are those of the edge.
    rows = (np.arange(height) + crop.top - padding(height)).clip(0, height - 1)
    columns = (np.arange(width) + crop.left - padding(width)).clip(0, width - 1)
    moved: NDArray[np.uint8] = pixels[:, rows[:, None], columns]
    return moved
