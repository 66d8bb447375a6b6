"""Compared runs, for a terminal and as a web page."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vaa_cli.core.evaluation.comparison import Compared, Estimate
from vaa_cli.core.evaluation.records import number
from vaa_cli.core.reports import html
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell, name_text

_WORDS = (
    "Intervals hold 95 % of draws of pictures, with replacement; of a difference, both runs were "
    "scored on the same draws. A difference whose interval holds 0 may be noise of the pictures."
)
_BETTER, _WORSE, _NOISE = "better", "worse", "≈"


def comparison_tables(compared: Sequence[Compared], names: Sequence[str]) -> RenderableType:
    """Each run against the first: the totals, and each attribute's AP and mA."""
    parts: list[RenderableType] = []
    for place, name in enumerate(names[1:]):
        parts.append(name_text(f"{name} against {names[0]}", style="bold"))
        for title, figures in _sections(compared):
            differences = [one.differences[place] for one in figures]
            texts = [_difference(difference) for difference in differences]
            columns = [
                FigureColumn("first", [_figure(one.values[0].value) for one in figures], 3),
                FigureColumn("this", [_figure(one.values[place + 1].value) for one in figures], 4),
                FigureColumn("difference", [text[0] for text in texts], 0),
                FigureColumn("95 % interval", [text[1] for text in texts], 2),
                FigureColumn("", [_verdict(difference) for difference in differences], 1),
            ]
            rows = [[one.attribute or one.figure] for one in figures]
            parts.append(FiguresTable([title], rows, columns))
    return Group(*parts, Text(_WORDS))


def comparison_page(compared: Sequence[Compared], names: Sequence[str], about: str) -> str:
    """The same as a web page."""
    body = [f"<p>{html.text(about)}</p>", f"<p>{_WORDS}</p>"]
    for title, figures in _sections(compared):
        header = [title, f"{names[0]}", "95 %"]
        for name in names[1:]:
            header += [name, "95 %", "difference", "95 %", ""]
        rows = []
        for one in figures:
            cells = [html.text(one.attribute or one.figure)]
            cells += [_figure(one.values[0].value), _range(one.values[0])]
            for value, difference in zip(one.values[1:], one.differences, strict=True):
                verdict = _verdict(difference)
                cells += [_figure(value.value), _range(value), *_difference(difference)]
                cells.append(f'<span class="{verdict}">{verdict}</span>')
            rows.append(cells)
        body += [f"<h2>{html.text(title)}</h2>", html.table(title, header, rows)]
    return html.page(f"{names[0]} against {', '.join(names[1:])}", body)


def _sections(compared: Sequence[Compared]) -> Iterator[tuple[str, list[Compared]]]:
    yield "totals", [one for one in compared if one.attribute is None]
    for figure in ("AP", "mA"):
        title = f"{figure} of each attribute"
        yield title, [one for one in compared if one.figure == figure and one.attribute is not None]


def _figure(value: float) -> str:
    return cell(number(value))


def _range(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return "-"
    return f"{estimate.low:.3f} … {estimate.high:.3f}"


def _difference(estimate: Estimate) -> tuple[str, str]:
    if math.isnan(estimate.low):
        return "-", "-"
    return f"{estimate.value:+.3f}", f"{estimate.low:+.3f} … {estimate.high:+.3f}"


def _verdict(difference: Estimate) -> str:
    if math.isnan(difference.low):
        return ""
    if not difference.excludes_zero:
        return _NOISE
    return _BETTER if difference.value > 0 else _WORSE
