"""Compared runs, for a terminal and as a web page."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vaa_cli.core.evaluation.comparison import Compared, Estimate
from vaa_cli.core.evaluation.records import number
from vaa_cli.core.reports import html
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell, name_text
from vaa_cli.core.reports.svg_charts import interval_bar

_WORDS = (
    "Intervals hold 95 % of draws of pictures, with replacement, and of the runs where there are "
    "several; of a difference, both sides were scored on the same draws. A difference whose "
    "interval holds 0 may be noise."
)
_BETTER, _WORSE, _NOISE = "better", "worse", "≈"
_STYLE = html.asset("comparison.css")


def comparison_tables(compared: Sequence[Compared], names: Sequence[str]) -> RenderableType:
    """Each run against the first: the totals, and each attribute's AP and mA."""
    parts: list[RenderableType] = []
    for place, name in enumerate(names[1:]):
        parts.append(name_text(f"{name} against {names[0]}", style="bold"))
        for title, figures in _sections(compared):
            differences = [one.differences[place] for one in figures]
            texts = [difference_texts(difference) for difference in differences]
            columns = [
                FigureColumn("first", [_value(one, 0) for one in figures], 3),
                FigureColumn("this", [_value(one, place + 1) for one in figures], 4),
                FigureColumn("difference", [text[0] for text in texts], 0),
                FigureColumn("95 % interval", [text[1] for text in texts], 2),
                FigureColumn("", [verdict_of(difference) for difference in differences], 1),
            ]
            rows = [[one.attribute or one.figure] for one in figures]
            parts.append(FiguresTable([title], rows, columns))
    return Group(*parts, Text(_WORDS))


def comparison_page(compared: Sequence[Compared], names: Sequence[str], about: str) -> str:
    """The same as a web page."""
    body = [f"<p>{html.text(about)}</p>", f"<p>{_WORDS}</p>"]
    for title, figures in _sections(compared):
        # What people look for first: who is better, by how much, and is that certain.
        header = [""]
        for name in names[1:]:
            what = "difference" if len(names) == 2 else f"{name}: difference"
            header += [what, "", "95 %", ""]
        for name in names:
            header += [name, "95 %"]
        reach = reach_of(figures)
        rows = []
        for one in figures:
            cells = [html.text(one.attribute or one.figure)]
            for difference in one.differences:
                verdict, (value, interval) = verdict_of(difference), difference_texts(difference)
                cells += [value, f'<span class="{verdict}">{verdict}</span>', interval]
                cells.append(interval_bar(difference, reach, verdict))
            for side, figure in enumerate(one.values):
                cells += [_value(one, side), _range(figure)]
            rows.append(cells)
        body.append(html.table(title, header, rows, is_heading=True))
    return html.page(f"{', '.join(names[1:])} against {names[0]}", body, _STYLE)


def reach_of(figures: Sequence[Compared]) -> float:
    """The largest bound of the differences, for bars of one scale in a table."""
    bounds = [
        abs(bound)
        for one in figures
        for difference in one.differences
        for bound in (difference.low, difference.high)
        if not math.isnan(bound)
    ]
    return max(bounds, default=0.0) or 1.0


def _sections(compared: Sequence[Compared]) -> Iterator[tuple[str, list[Compared]]]:
    yield "totals", [one for one in compared if one.attribute is None]
    for figure in ("AP", "mA"):
        title = f"{figure} of each attribute"
        yield title, [one for one in compared if one.figure == figure and one.attribute is not None]


def _value(compared: Compared, side: int) -> str:
    return with_deviation(compared.values[side].value, compared.deviations[side])


def with_deviation(value: float, deviation: float) -> str:
    """A figure, with its deviation where there are several runs."""
    figure = cell(number(value))
    return figure if math.isnan(deviation) else f"{figure} ± {deviation:.3f}"


def _range(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "-"
    return f"{estimate.low:.3f} … {estimate.high:.3f}"


def difference_texts(estimate: Estimate) -> tuple[str, str]:
    """A difference and its interval as text."""
    if math.isnan(estimate.low):
        return "-", "-"
    return f"{estimate.value:+.3f}", f"{estimate.low:+.3f} … {estimate.high:+.3f}"


def verdict_of(difference: Estimate) -> str:
    """Whether a difference is for the better, for the worse, or may be noise; empty if unknown."""
    if math.isnan(difference.low):
        return ""
    if not difference.excludes_zero:
        return _NOISE
    return _BETTER if difference.value > 0 else _WORSE
