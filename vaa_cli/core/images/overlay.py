"""Attention maps laid over pictures."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# Dark to bright through blue, violet and orange, so that brightness alone shows the order.
COLOURS = np.array([(0, 0, 30), (70, 20, 130), (190, 50, 110), (250, 140, 50), (255, 245, 160)])
# The strongest colour still shows what is below it.
_STRONGEST = 0.75
_GAP = 2  # pixels


def overlay(
    pixels: ArrayLike, heat: ArrayLike, top: float | None = None, has_cells: bool = False
) -> Pixels:
    """Lay an attention map over a picture.

    Args:
        pixels: `[h x w x 3]` uint8.
        heat: `[mh x mw]`, 0 or more.
        top: value of the brightest colour; None for the maximum of the map.
        has_cells: whether the cells of the map keep their edges, which shows how coarse it is.

    Returns:
        `[h x w x 3]` uint8.
    """
    picture, values = np.asarray(pixels, dtype=np.float32), np.asarray(heat, dtype=np.float32)
    top = float(values.max()) if top is None else top
    values = (values / top).clip(max=1) if top > 0 else np.zeros_like(values)
    size = (picture.shape[1], picture.shape[0])
    method = Image.Resampling.NEAREST if has_cells else Image.Resampling.BILINEAR
    smooth = np.asarray(Image.fromarray(values).resize(size, method))
    stops = np.linspace(0, 1, len(COLOURS))
    colour = np.stack([np.interp(smooth, stops, COLOURS[:, i]) for i in range(3)], axis=-1)
    alpha = _STRONGEST * smooth[:, :, None]
    return np.clip(picture * (1 - alpha) + colour * alpha, 0, 255).round().astype(np.uint8)


def attention_grid(pixels: ArrayLike, maps: ArrayLike, chosen: Sequence[int]) -> Pixels:
    """A sheet with a row a picture: the picture, then the maps of some attributes.

    Args:
        pixels: `[n x 3 x h x w]` uint8.
        maps: `[n x c x mh x mw]`, 0 or more.
        chosen: positions of the attributes.

    Returns:
        `[H x W x 3]` uint8.
    """
    pictures = np.asarray(pixels).transpose(0, 2, 3, 1)
    heats = np.asarray(maps, dtype=np.float32)
    rows = [
        side_by_side([picture, *(overlay(picture, heat[c]) for c in chosen)], axis=1)
        for picture, heat in zip(pictures, heats, strict=True)
    ]
    return side_by_side(rows, axis=0)


def side_by_side(pictures: Sequence[Pixels], axis: int) -> Pixels:
    """One picture of several `[h x w x 3]`, with a white gap between them, along an axis."""
    shape = list(pictures[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    return np.concatenate(parts, axis=axis)
