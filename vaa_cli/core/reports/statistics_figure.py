"""Label statistics as a picture: priors as bars beside a heat map of co-occurrence."""

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
_FIGURES = 40


def statistics_figure(statistics: LabelStatistics, name: str) -> bytes:
    """Draw priors, imbalance ratios and P(column | row), from the rarest to the most common.

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
    axes.set_yticks(range(count), names)
    axes.set_xlabel("Prior in percent, and positives : negatives", loc="left")
    axes.spines[["top", "right"]].set_visible(False)


def _draw_heat(axes: "Axes", scale: "Axes", statistics: LabelStatistics, names: list[str]) -> None:
    from matplotlib.colors import PowerNorm

    count = len(names)
    conditional = statistics.conditional[np.ix_(statistics.order, statistics.order)]
    edges = np.arange(count + 1) - 0.5
    # Shares of rare attributes are small: the root sets them apart. NaN lets the grey through.
    mesh = axes.pcolormesh(edges, edges, conditional, cmap="YlGnBu", norm=PowerNorm(0.5, 0, 1))
    axes.set_facecolor("#dddddd")
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.yaxis.tick_right()
    axes.set_xticks(range(count), names, rotation="vertical")
    axes.set_yticks(range(count), names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(conditional):
        if count <= _FIGURES and not math.isnan(value):
            text = axes.text(column, row, percent(value), ha="center", va="center", size=7)
            text.set_color("white" if value > 0.4 else "black")
            text.set_in_layout(False)  # it is inside anyway, and measuring takes long
    bar = axes.figure.colorbar(mesh, cax=scale, orientation="horizontal")
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]
    bar.set_ticks(ticks, labels=[percent(tick) for tick in ticks])
    scale.set_xlabel(
        "Percent of the pictures with the row's attribute\n"
        "that have the column's too; grey: no such pictures",
        loc="left",
    )
