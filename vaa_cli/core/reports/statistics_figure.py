"""Label statistics as a picture: priors as bars beside co-occurrence, coloured by phi."""

import math
from typing import TYPE_CHECKING

import numpy as np

from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.reports.matplotlib_setup import drawing, png, require_matplotlib, short_label
from vaa_cli.core.reports.statistics_tables import percent, ratio_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In inches; cells are of one size, so that text is legible however many attributes there are.
_CELL, _BARS, _GAP, _SCALE = 0.3, 2.5, 0.9, 2.5
# Dots an inch, but no more pixels a side than memory holds with ease.
_DPI, _LONGEST_SIDE = 150, 8_000
# In the cells of more attributes, figures would take long to draw.
_FIGURES = 60
# Of names where there are few attributes and where there are many, in points: a picture of many is
# looked at scaled down.
_FEW_SIZE, _MANY_SIZE, _MANY = 9, 12, 30
# The colours of phi end here at least, so that noise does not look strong; cells of which little
# is known are paler.
_LEAST_PHI, _PALE, _DIAGONAL, _UNKNOWN = 0.3, 0.35, "#555555", "#dddddd"


def statistics_figure(statistics: LabelStatistics, name: str) -> bytes:
    """Draw priors, imbalance ratios and co-occurrence, from the rarest to the most common.

    Cells are coloured by phi, and hold P(column | row).

    Args:
        statistics: statistics of the training split.
        name: name of the dataset.

    Returns:
        A PNG file; the more attributes there are, the larger.

    Raises:
        VAAError: matplotlib is not installed.
    """
    require_matplotlib()
    with drawing():
        return _draw(statistics, short_label(name))


def _draw(statistics: LabelStatistics, title: str) -> bytes:
    from matplotlib.figure import Figure

    # The axes fill the figure; names and scale are outside, and `tight` makes room for them.
    side = _CELL * len(statistics.attributes)
    left = _BARS + _GAP
    width = left + side
    figure = Figure(figsize=(width, side), dpi=min(_DPI, _LONGEST_SIDE / width))
    bars = figure.add_axes((0, 0, _BARS / width, 1))
    heat = figure.add_axes((left / width, 0, side / width, 1))
    scale = figure.add_axes((left / width, -_CELL / side, _SCALE / width, _CELL / 2 / side))
    names = [short_label(statistics.attributes[i]) for i in statistics.order]
    _draw_bars(bars, statistics, names)
    _draw_heat(heat, scale, statistics, names)
    bars.set_title(title, loc="left")
    return png(figure)


def _draw_bars(axes: "Axes", statistics: LabelStatistics, names: list[str]) -> None:
    priors, order, count = statistics.priors, statistics.order, len(names)
    bars = axes.barh(range(count), np.nan_to_num(priors.prior[order]), color="#225ea8")
    ratios = [ratio_text(int(priors.positives[i]), int(priors.negatives[i])) for i in order]
    axes.bar_label(bars, ratios, padding=3)
    axes.set(xlim=(0, 1), ylim=(count - 0.5, -0.5))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_yticks(range(count), names, size=_name_size(count))
    axes.set_xlabel("Prior in percent, and positives : negatives", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_heat(axes: "Axes", scale: "Axes", statistics: LabelStatistics, names: list[str]) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize, to_rgb

    count = len(names)
    both = np.ix_(statistics.order, statistics.order)
    phi, reliable = statistics.phi[both].copy(), statistics.is_reliable[both]
    np.fill_diagonal(phi, np.nan)
    bound = max(_LEAST_PHI, float(np.nanmax(np.abs(phi[reliable]), initial=0.0)))
    mappable = ScalarMappable(Normalize(-bound, bound, clip=True), colormaps["RdBu_r"])
    colours = mappable.to_rgba(np.nan_to_num(phi))[:, :, :3]
    colours = np.where(reliable[:, :, None], colours, _PALE * colours + 1 - _PALE)
    colours[np.isnan(phi)] = to_rgb(_UNKNOWN)
    colours[np.eye(count, dtype=bool)] = to_rgb(_DIAGONAL)
    axes.imshow(colours, aspect="auto", interpolation="nearest")
    axes.xaxis.tick_top()
    axes.yaxis.tick_right()
    size = _name_size(count)
    axes.set_xticks(range(count), names, rotation="vertical", size=size)
    axes.set_yticks(range(count), names, size=size)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(statistics.conditional[both]):
        if count <= _FIGURES and row != column and not math.isnan(value):
            text = axes.text(column, row, percent(value), ha="center", va="center", size=7)
            is_dark = reliable[row, column] and abs(phi[row, column]) > 0.6 * bound
            text.set_color("white" if is_dark else "black")
            text.set_in_layout(False)  # it is inside anyway, and measuring takes long
    axes.figure.colorbar(mappable, cax=scale, orientation="horizontal")
    scale.set_xlabel(
        "Colour: phi, the correlation of two attributes; pale: too few pictures to rely on;\n"
        "grey: not known. Figures: percent of the pictures with the row's attribute that have\n"
        "the column's too.",
        loc="left",
    )


def _name_size(count: int) -> int:
    return _MANY_SIZE if count > _MANY else _FEW_SIZE
