"""Does attention land where the attribute is? Scored without having been trained on regions.

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


@dataclass(frozen=True)
class Region:
    """Where an attribute is in what the model sees of a picture.

    Attributes:
        row: of the table.
        attribute: its position among the model's.
        inside: `[h x w]`, which pixels of the picture, or of the person's part, show it.
    """

    row: int
    attribute: int
    inside: Booleans


@dataclass(frozen=True)
class MapScores:
    """How maps score on the places of each attribute, `[c]`; NaN for one without regions.

    Attributes:
        hits: the share of the places that the map's maximum hits.
        mass: the share of the map that is inside, on average.
    """

    hits: Floats
    mass: Floats


@dataclass(frozen=True)
class PointingResult:
    """What the maps of a model score, and beside them maps that have not looked.

    Attributes:
        regions: `[c]`, how many places each attribute has.
        maps: for each kind of map that was asked for, its scores.
        uniform: of a map that is the same everywhere; as maxima, all points are as likely.
        centred: of a normal distribution around the centre, with a standard deviation of a
            quarter of the height and of the width.
    """

    regions: NDArray[np.int64]
    maps: dict[str, MapScores]
    uniform: MapScores
    centred: MapScores


def score_pointing(
    seen: Iterable[tuple[Region, Mapping[str, ArrayLike]]], attributes: int
) -> PointingResult:
    """Score maps against regions.

    Args:
        seen: each place with the maps of its picture and attribute, by the same kinds for all:
            `[mh x mw]`, 0 or more, covering what the model sees of the picture.
        attributes: how many the model has.
    """
    counts = np.zeros(attributes, dtype=np.int64)
    maps = defaultdict[str, _Sum](lambda: _Sum(attributes))
    uniform, centred = _Sum(attributes), _Sum(attributes)
    for place, kinds in seen:
        attribute, inside = place.attribute, place.inside
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
    """The points that count as hits: at most 15 pixels away, were the shorter side 224."""
    if not inside.any():
        return inside
    tolerance = _TOLERANCE * min(inside.shape)
    near: Booleans = distance_transform_edt(~inside) <= tolerance
    return near


def hits(heat: Floats, near: Booleans) -> float:
    """Whether a map's maximum hits, 1 or 0: the middle of its largest cell.

    Where several cells are the largest, the share of them that does.
    """
    rows, columns = np.nonzero(heat == heat.max())
    down = ((rows + 0.5) * near.shape[0] / heat.shape[0]).astype(np.int64)
    across = ((columns + 0.5) * near.shape[1] / heat.shape[1]).astype(np.int64)
    return float(near[down, across].mean())


def mass_inside(heat: Floats, inside: Booleans) -> float:
    """The share of a map inside a place, each cell spread evenly over the pixels that it covers."""
    total = float(heat.sum())
    if total <= 0:
        return 0.0
    down = _overlaps(heat.shape[0], inside.shape[0])
    across = _overlaps(heat.shape[1], inside.shape[1])
    return float((heat * (down @ inside @ across.T)).sum() / total)


def _overlaps(cells: int, pixels: int) -> Floats:
    """`[cells x pixels]`, which share of each cell each pixel is."""
    edges = np.arange(cells + 1) * (pixels / cells)
    starts = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    shares: Floats = np.clip(overlap, 0, None) * (cells / pixels)
    return shares


def _centred(height: int, width: int) -> Floats:
    down, across = (
        np.exp(-(((np.arange(n) + 0.5) / n - 0.5) ** 2) / (2 * _CENTRED_SPREAD**2))
        for n in (height, width)
    )
    return np.outer(down, across)


_KINDS = {"hits": "share of maxima on the place", "mass": "share of the map on the place"}


def pointing_records(pointing: PointingResult) -> list[Record]:
    """A record an attribute: its regions, then hits and mass of each map; None without regions."""
    columns: dict[str, Floats] = {}
    for kind in _KINDS:
        for name, scores in _all_maps(pointing).items():
            columns[f"{kind} {name}"] = getattr(scores, kind)
    return [
        {
            "places": int(count),
            **{name: float(values[c]) if count else None for name, values in columns.items()},
        }
        for c, count in enumerate(pointing.regions)
    ]


def _all_maps(pointing: PointingResult) -> dict[str, MapScores]:
    return {**pointing.maps, "uniform": pointing.uniform, "centred": pointing.centred}
