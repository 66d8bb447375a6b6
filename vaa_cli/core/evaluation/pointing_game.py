"""The pointing game: whether attention lands on the region of an attribute.

The pointing game is Zhang et al.'s (Top-down Neural Attention by Excitation Backprop, ECCV 2016):
a map scores where its maximum lies within a small tolerance of the object.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt

from vaa_cli.core.evaluation.records import Record

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

# Of a picture of 224 x 224, as usual.
_TOLERANCE = 15 / 224
# Spread of the map that only knows that people stand in the middle, in heights and widths.
_CENTRED_SPREAD = 0.25
# The figures of `MapScores`, and what they are.
FIGURES = {"hits": "maxima in the region", "mass": "fraction of the map in the region"}


@dataclass(frozen=True)
class Region:
    """The region of an attribute in the part of a picture that the model sees.

    Attributes:
        row: row of the table.
        attribute: position of the attribute in the model.
        inside: `[h x w]`, which pixels of the picture, or of the person's part, show it.
    """

    row: int
    attribute: int
    inside: Booleans


@dataclass(frozen=True)
class MapScores:
    """The scores of maps on the regions of each attribute, `[c]`; NaN for one without regions.

    Attributes:
        hits: fraction of the regions that the maximum of the map hits.
        mass: mean fraction of the map that is inside the region.
    """

    hits: Floats
    mass: Floats


@dataclass(frozen=True)
class PointingResult:
    """The scores of a model's maps, and of two maps that know nothing of the picture.

    Attributes:
        regions: `[c]`, number of regions of each attribute.
        maps: scores of each kind of map.
        uniform: scores of a map that is the same everywhere; all its points count as maxima.
        centred: scores of a normal distribution around the centre, with a standard deviation of a
            quarter of the height and of the width.
    """

    regions: NDArray[np.int64]
    maps: dict[str, MapScores]
    uniform: MapScores
    centred: MapScores

    @property
    def all_maps(self) -> dict[str, MapScores]:
        """The scores of the model's maps, then those of the two others, by name."""
        return {**self.maps, "uniform": self.uniform, "centred": self.centred}


def score_pointing(
    maps_of_regions: Iterable[tuple[Region, Mapping[str, ArrayLike]]], attributes: int
) -> PointingResult:
    """Score maps against regions.

    Args:
        maps_of_regions: each region with the maps of its picture and attribute, by the same kinds
            for all: `[mh x mw]`, 0 or more, covering the part that the model sees.
        attributes: number of attributes of the model.
    """
    counts = np.zeros(attributes, dtype=np.int64)
    maps = defaultdict[str, _Sum](lambda: _Sum(attributes))
    uniform, centred = _Sum(attributes), _Sum(attributes)
    for region, kinds in maps_of_regions:
        attribute, inside = region.attribute, region.inside
        near = is_near(inside)
        height, width = inside.shape
        counts[attribute] += 1
        for kind, values in kinds.items():
            heat = np.asarray(values, dtype=np.float64)
            maps[kind].add(attribute, hits(heat, near), mass_inside(heat, inside))
        uniform.add(attribute, float(near.mean()), float(inside.mean()))
        middle = float(near[height // 2, width // 2])
        centred.add(attribute, middle, mass_inside(_centred(height, width), inside))
    return PointingResult(
        counts,
        {kind: total.over(counts) for kind, total in maps.items()},
        uniform.over(counts),
        centred.over(counts),
    )


class _Sum:
    """Hits and mass, added up by attribute."""

    def __init__(self, attributes: int) -> None:
        self._hits, self._mass = np.zeros(attributes), np.zeros(attributes)

    def add(self, attribute: int, hit: float, mass: float) -> None:
        self._hits[attribute] += hit
        self._mass[attribute] += mass

    def over(self, counts: NDArray[np.int64]) -> MapScores:
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN that is meant
            return MapScores(self._hits / counts, self._mass / counts)


def is_near(inside: Booleans) -> Booleans:
    """The points that count as hits: 15 pixels or less away if the shorter side were 224."""
    if not inside.any():
        return inside
    tolerance = _TOLERANCE * min(inside.shape)
    near: Booleans = distance_transform_edt(~inside) <= tolerance
    return near


def hits(heat: Floats, near: Booleans) -> float:
    """Whether the maximum of a map hits, 1 or 0: the middle of its largest cell.

    Where several cells are the largest, the fraction of them that does.
    """
    rows, columns = np.nonzero(heat == heat.max())
    down = ((rows + 0.5) * near.shape[0] / heat.shape[0]).astype(np.int64)
    across = ((columns + 0.5) * near.shape[1] / heat.shape[1]).astype(np.int64)
    return float(near[down, across].mean())


def mass_inside(heat: Floats, inside: Booleans) -> float:
    """The fraction of a map inside a region; each cell is spread over the pixels that it covers."""
    total = float(heat.sum())
    if total <= 0:
        return 0.0
    down = _overlaps(heat.shape[0], inside.shape[0])
    across = _overlaps(heat.shape[1], inside.shape[1])
    return float((heat * (down @ inside @ across.T)).sum() / total)


def _overlaps(cells: int, pixels: int) -> Floats:
    """`[cells x pixels]`, the fraction of each cell that each pixel is."""
    edges = np.arange(cells + 1) * (pixels / cells)
    starts = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    fractions: Floats = np.clip(overlap, 0, None) * (cells / pixels)
    return fractions


def _centred(height: int, width: int) -> Floats:
    down, across = (
        np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * _CENTRED_SPREAD**2))
        for n in (height, width)
    )
    return np.outer(down, across)


def pointing_records(pointing: PointingResult) -> list[Record]:
    """A record an attribute: its regions, then hits and mass of each map; None without regions."""
    columns: dict[str, Floats] = {}
    for kind in FIGURES:
        for name, scores in pointing.all_maps.items():
            columns[f"{kind} {name}"] = getattr(scores, kind)
    return [
        {
            "regions": int(count),
            **{name: float(values[c]) if count else None for name, values in columns.items()},
        }
        for c, count in enumerate(pointing.regions)
    ]
