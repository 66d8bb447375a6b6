"""The attention maps of a picture as a figure: a row a stage, a column an attribute."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vaa_cli.core.images.overlay import COLOURS, overlay
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.attention import Explanation
from vaa_cli.core.reports.matplotlib_setup import drawing, png, require_matplotlib, short_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# In inches. Pictures are of one height, so that a wide one does not shrink the others, but for
# those that are wider than twice as high.
_HEIGHT, _NARROWEST, _WIDEST, _GAP, _TEXT, _SCALE = 2.4, 1.2, 4.8, 0.12, 0.5, 0.12
_DPI = 150
# The likeliest attributes beside the picture.
_LISTED = 10
_LONGEST_TITLE = 100


def explanation_figure(
    picture: Image.Image, explanation: Explanation, card: ModelCard, chosen: Sequence[int]
) -> bytes:
    """Draw the prediction of a picture and the maps of each stage for some attributes.

    A map is attention times confidence, in multiples of what a cell would have if attention were
    the same everywhere and sure; the scale beside a row is that row's.

    Args:
        picture: the part of the picture that the model saw, RGB, of any size.
        explanation: the explanation of that picture, which is not broken.
        card: the model's.
        chosen: positions of the attributes that have a column.

    Returns:
        A PNG file.

    Raises:
        VAAError: matplotlib is not installed.
    """
    require_matplotlib()
    with drawing():
        return png(_draw(np.asarray(picture), explanation, card, chosen))


def _draw(
    pixels: np.ndarray, explanation: Explanation, card: ModelCard, chosen: Sequence[int]
) -> "Figure":
    from matplotlib.figure import Figure

    rows, columns = max(len(explanation.stages), 1), 1 + len(chosen)
    wide = min(max(_NARROWEST, _HEIGHT * pixels.shape[1] / pixels.shape[0]), _WIDEST)
    width = columns * (wide + _GAP) + _GAP + _SCALE
    height = rows * (_HEIGHT + _TEXT)
    figure = Figure(figsize=(width, height), dpi=_DPI)

    def cell(row: int, column: int, across: float = wide) -> "Axes":
        left, bottom = column * (wide + _GAP), (rows - 1 - row) * (_HEIGHT + _TEXT)
        axes = figure.add_axes((left / width, bottom / height, across / width, _HEIGHT / height))
        axes.set_axis_off()
        return axes

    probabilities = explanation.prediction.probabilities
    assert probabilities is not None
    path, box = explanation.prediction.request.path, explanation.prediction.request.box
    title = short_label(path if box is None else f"{path}  {box}", _LONGEST_TITLE)
    figure.text(0, 1 - (_TEXT - 0.3) / height, title, weight="bold", va="bottom")
    first = cell(0, 0)
    first.imshow(pixels)
    first.set_title("picture", loc="left", size=9)
    order = np.argsort(-probabilities, kind="stable")[:_LISTED]
    lines = [f"{probabilities[c]:4.0%}  {short_label(card.attributes[c], 20)}" for c in order]
    # Below the picture, where the other stages leave room.
    first.text(0, -0.1, "\n".join(lines), va="top", size=7, transform=first.transAxes)
    for row, (stage, maps) in enumerate(explanation.stages.items()):
        cells = maps.attention.shape[1] * maps.attention.shape[2]
        heats = [maps.weighted[c] * cells for c in chosen]
        top = max((float(heat.max()) for heat in heats), default=1.0)
        for column, (c, heat) in enumerate(zip(chosen, heats, strict=True), start=1):
            axes = cell(row, column)
            axes.imshow(overlay(pixels, heat, top))
            attribute = short_label(card.attributes[c], 24)
            title = f"{attribute} {probabilities[c]:.0%}" if row == 0 else attribute
            axes.set_title(title, loc="left", size=9)
        size = f"{maps.attention.shape[1]} x {maps.attention.shape[2]}"
        label = f"stage {stage} ({size}): attention × confidence\n(1: even and sure)"
        _draw_scale(cell(row, columns, _SCALE), top, label)
    return figure


def _draw_scale(axes: "Axes", top: float, label: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("attention", COLOURS / 255)
    axes.set_axis_on()
    bar = axes.figure.colorbar(ScalarMappable(Normalize(0, top), colours), cax=axes)
    bar.set_label(label, size=7)
    bar.ax.tick_params(labelsize=7)
