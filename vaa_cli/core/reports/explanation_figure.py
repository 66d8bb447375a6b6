"""The attention maps of pictures as a figure: a picture, then its maps, an attribute a column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vaa_cli.core.images.overlay import COLOURS, Pixels, overlay
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.attention import Explanation, Floats
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.reports.matplotlib_setup import drawing, png, require_matplotlib, short_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches. Pictures are of one height, so that a wide one does not shrink the others, but for
# those that are wider than twice as high.
_HEIGHT, _NARROWEST, _WIDEST, _GAP, _TITLE, _SCALE, _FOOT = 2.4, 1.2, 4.8, 0.12, 0.25, 0.12, 0.3
_DPI = 150
_LONGEST_TITLE = 100
_PRESENT, _ABSENT = "#1a7f37", "#666666"


@dataclass(frozen=True)
class ExplainedPicture:
    """A picture with its explanation.

    Attributes:
        picture: the part of the picture that the model saw, RGB, of any size.
        explanation: the explanation of that picture, which is not broken.
        attributes: positions of the attributes that have a column.
    """

    picture: Image.Image
    explanation: Explanation
    attributes: Sequence[int]


@dataclass(frozen=True)
class _Row:
    """A row of maps.

    Attributes:
        heats: the maps, in multiples of one that is even and sure.
        label: their stages and grids.
        has_cells: whether they are drawn as cells.
    """

    heats: Sequence[Floats]
    label: str
    has_cells: bool

    @property
    def top(self) -> float:
        """Value of the brightest colour."""
        return max((float(heat.max()) for heat in self.heats), default=1.0)


def explanation_figure(
    pictures: Sequence[ExplainedPicture], card: ModelCard, has_all_stages: bool = False
) -> bytes:
    """Draw pictures one below the other, each with the maps of some attributes beside it.

    A map is attention times confidence, in multiples of what a cell would have if attention were
    the same everywhere and sure; the scale beside a row is that row's. It is the mean of the
    stages that are fine enough. Where none is, the finest is drawn as the cells that it has.

    Args:
        pictures: one or more pictures.
        card: the model's.
        has_all_stages: whether each stage has a row, the coarse ones as cells.

    Returns:
        A PNG file.

    Raises:
        VAAError: matplotlib is not installed.
    """
    require_matplotlib()
    with drawing():
        return png(_draw(pictures, card, has_all_stages))


def _rows(explained: ExplainedPicture, has_all_stages: bool) -> list[_Row]:
    explanation = explained.explanation
    fine, stages = explanation.fine_stages, explanation.stages
    if has_all_stages:
        return [
            _Row(
                [maps.multiples(c) for c in explained.attributes],
                f"stage {stage} ({_grid(maps.grid)})",
                stage not in fine,
            )
            for stage, maps in stages.items()
        ]
    used = fine or (explanation.finest_stage,)
    label = f"stage {used[0]} ({_grid(stages[used[0]].grid)})"
    if len(used) > 1:
        label = f"mean of stages {', '.join(map(str, used))}"
    return [_Row([explanation.combined(c) for c in explained.attributes], label, not fine)]


def _grid(grid: tuple[int, int]) -> str:
    return f"{grid[0]} × {grid[1]} cells"


def _notes(explained: ExplainedPicture, has_all_stages: bool) -> str:
    """A line on the marks, and on the stages that are too coarse to show where an attribute is."""
    explanation = explained.explanation
    coarse = [stage for stage in explanation.stages if stage not in explanation.fine_stages]
    notes = ["✓ present, ✗ absent at the model's thresholds"]
    if coarse:
        names = ", ".join(
            f"stage {stage} ({_grid(explanation.stages[stage].grid)})" for stage in coarse
        )
        left_out = bool(explanation.fine_stages) and not has_all_stages
        action = "left out" if left_out else "drawn as cells"
        notes.append(f"too coarse to show where, {action}: {names}")
    return "; ".join(notes)


def _draw(pictures: Sequence[ExplainedPicture], card: ModelCard, has_all_stages: bool) -> "Figure":
    from matplotlib.figure import Figure

    blocks = [(explained, _rows(explained, has_all_stages)) for explained in pictures]
    sizes = [_BlockSize.of(explained, rows) for explained, rows in blocks]
    width = max(size.left_of_maps + size.maps for size in sizes) + _SCALE + _GAP
    height = sum(_TITLE + size.height + _GAP for size in sizes) + _FOOT
    figure = Figure(figsize=(width, height), dpi=_DPI)
    top = 0.0
    for (explained, rows), size in zip(blocks, sizes, strict=True):
        _draw_block(_Canvas(figure, width, height, top), explained, rows, card, size)
        top += _TITLE + size.height + _GAP
    notes = _notes(pictures[0], has_all_stages)
    figure.text(0, 0, notes, size=8, color=_ABSENT, va="bottom")
    return figure


@dataclass(frozen=True)
class _BlockSize:
    """Lengths of a picture and its maps, in inches.

    Attributes:
        picture: width of the picture, which is as high as all rows of maps.
        map: width of a map.
        maps: width of a row of maps with the gaps behind them.
        height: height of all rows with their titles.
    """

    picture: float
    map: float
    maps: float
    height: float

    @classmethod
    def of(cls, explained: ExplainedPicture, rows: Sequence[_Row]) -> "_BlockSize":
        across, down = explained.picture.size
        wide = min(max(_NARROWEST, _HEIGHT * across / down), _WIDEST)
        height = len(rows) * (_HEIGHT + _TITLE)
        picture = min(max(wide, (height - _TITLE) * across / down), _WIDEST)
        return cls(picture, wide, len(explained.attributes) * (wide + _GAP), height)

    @property
    def left_of_maps(self) -> float:
        return self.picture + _GAP


@dataclass(frozen=True)
class _Canvas:
    """The part of a figure below a line; lengths are inches, from the left and from that line."""

    figure: "Figure"
    width: float
    height: float
    top: float

    def axes(self, left: float, top: float, width: float, height: float) -> "Axes":
        """Axes without lines and numbers."""
        bottom = self.height - self.top - top - height
        axes = self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )
        axes.set_axis_off()
        return axes


def _draw_block(
    canvas: _Canvas,
    explained: ExplainedPicture,
    rows: Sequence[_Row],
    card: ModelCard,
    size: _BlockSize,
) -> None:
    """Draw a picture, as high as its rows, and the maps beside it."""
    prediction = explained.explanation.prediction
    probabilities = prediction.probabilities
    assert probabilities is not None
    decided = DecisionRule.of(card).decide(probabilities)
    pixels: Pixels = np.asarray(explained.picture)
    path, box = prediction.request.path, prediction.request.box
    title = short_label(path if box is None else f"{path}  {box}", _LONGEST_TITLE)
    first = canvas.axes(0, 2 * _TITLE, size.picture, size.height - _TITLE)
    first.set_anchor("N")
    first.imshow(pixels)
    heading = canvas.axes(0, 0, size.picture, _TITLE)
    heading.text(0, 0.3, title, weight="bold", va="bottom", transform=heading.transAxes)
    for number, row in enumerate(rows):
        top = 2 * _TITLE + number * (_HEIGHT + _TITLE)
        left = size.left_of_maps
        for c, heat in zip(explained.attributes, row.heats, strict=True):
            axes = canvas.axes(left, top, size.map, _HEIGHT)
            axes.imshow(overlay(pixels, heat, row.top, row.has_cells))
            is_present = bool(decided[c])
            axes.set_title(
                f"{'✓' if is_present else '✗'} {short_label(card.attributes[c], 22)} "
                f"{probabilities[c]:.0%}",
                loc="left",
                size=9,
                color=_PRESENT if is_present else _ABSENT,
                weight="bold" if is_present else "normal",
            )
            left += size.map + _GAP
        label = f"{row.label}\nattention × confidence (1: even and sure)"
        _draw_scale(canvas.axes(left, top, _SCALE, _HEIGHT), row.top, label)


def _draw_scale(axes: "Axes", top: float, label: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("attention", COLOURS / 255)
    axes.set_axis_on()
    bar = axes.figure.colorbar(ScalarMappable(Normalize(0, top), colours), cax=axes)
    bar.set_label(label, size=7)
    bar.ax.tick_params(labelsize=7)
