"""An ablation, for a terminal and as a web page."""

import json
import math
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vaa_cli.core.evaluation.ablation import Ablation, VariantFigures, ablation_records
from vaa_cli.core.evaluation.comparison import Compared
from vaa_cli.core.reports import html
from vaa_cli.core.reports.comparison_report import (
    difference_texts,
    reach_of,
    verdict_of,
    with_deviation,
)
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable
from vaa_cli.core.reports.svg_charts import interval_bar

# The headings of the figures, and which go first where the terminal is narrow.
_FIGURES = {
    "mAP": ("mAP", 0),
    "mA": ("mA", 1),
    "mA at 0.5": ("mA at 0.5", 4),
    "mAP, prior under 5 %": ("rare mAP", 2),
    "mA, prior under 5 %": ("rare mA", 3),
    "pointing": ("pointing", 5),
}
_WORDS = (
    "Mean and standard deviation over seeds, on pictures that chose nothing. mA is at thresholds "
    "that were fitted on val in the same way for all. Rare attributes have a prior under 5 %. "
    "Intervals hold 95 % of draws of pictures and "
    "of seeds, both sides on the same draws; one that holds 0 may be noise."
)
_STYLE = html.asset("comparison.css")


def ablation_heading(ablation: Ablation) -> str:
    """What was scored, in a line."""
    seeds = f"{ablation.seeds} seed{'s' if ablation.seeds > 1 else ''}"
    line = f"{ablation.pictures:,} {ablation.split} pictures of {ablation.data}, {seeds}"
    controls = (f"{name} map {hits:.3f}" for name, hits in ablation.controls.items())
    pointing = ", ".join(controls)
    return f"{line}; pointing game of a {pointing}" if pointing else line


def ablation_tables(ablation: Ablation) -> RenderableType:
    """The figures of all variants, their differences, and the heads, for a terminal."""
    names = [[f"{one.variant.name}: {one.variant.about}"] for one in ablation.variants]
    columns = [
        FigureColumn(title, [_figure(one, name) for one in ablation.variants], rank)
        for name, (title, rank) in _figures(ablation).items()
    ]
    seconds = [f"{one.means['seconds']:,.0f}" for one in ablation.variants]
    millions = [f"{one.parameters / 1e6:.1f}" for one in ablation.variants]
    columns.append(FigureColumn("seconds", seconds, 6))
    columns.append(FigureColumn("M parameters", millions, 7))
    parts: list[RenderableType] = [FiguresTable(["variant"], names, columns)]
    for reference in ablation.references:
        parts.append(_difference_table(ablation, reference))
    heads = _head_columns(ablation)
    if heads:
        parts.append(FiguresTable(["val mAP of each head"], _head_names(ablation), heads))
    return Group(*parts, Text(_WORDS))


def _difference_table(ablation: Ablation, reference: str) -> FiguresTable:
    names, figures = ablation.names_against(reference)[1:], ablation.differences[reference]
    columns = []
    for place, figure in enumerate(figures):
        texts = [difference_texts(difference) for difference in figure.differences]
        columns.append(FigureColumn(figure.figure, [text[0] for text in texts], place))
        columns.append(FigureColumn("95 % interval", [text[1] for text in texts], 4 + place))
        verdicts = [verdict_of(difference) for difference in figure.differences]
        columns.append(FigureColumn("", verdicts, 2 + place))
    return FiguresTable([f"against {reference}"], [[name] for name in names], columns)


def _figures(ablation: Ablation) -> dict[str, tuple[str, int]]:
    """The figures that are known of some variant, with their headings and ranks."""
    return {
        name: heading
        for name, heading in _FIGURES.items()
        if any(not math.isnan(one.means[name]) for one in ablation.variants)
    }


def _figure(one: VariantFigures, name: str) -> str:
    return with_deviation(one.means[name], one.deviations[name])


def _head_names(ablation: Ablation) -> list[list[str]]:
    return [[one.variant.name] for one in ablation.variants if one.heads]


def _head_columns(ablation: Ablation) -> list[FigureColumn]:
    with_heads = [one.heads for one in ablation.variants if one.heads]
    names = dict.fromkeys(name for heads in with_heads for name in heads)
    return [
        FigureColumn(
            name.replace("_", " "),
            [f"{heads[name]:.3f}" if name in heads else "-" for heads in with_heads],
            rank,
        )
        for rank, name in enumerate(names)
    ]


def ablation_page(ablation: Ablation) -> str:
    """The same as a web page."""
    body = [f"<p>{html.text(ablation_heading(ablation))}</p>", f"<p>{_WORDS}</p>"]
    figures = _figures(ablation)
    rows = [
        [
            html.text(f"{one.variant.name}: {one.variant.about}"),
            *(_figure(one, name) for name in figures),
            f"{one.means['seconds']:,.0f}",
            f"{one.parameters / 1e6:.1f}",
        ]
        for one in ablation.variants
    ]
    titles = [title for title, _ in figures.values()]
    header = ["", *titles, "seconds", "M parameters"]
    body.append(html.table("variants", header, rows, is_heading=True))
    for reference in ablation.references:
        body += _difference_sections(ablation, reference)
    heads = _head_columns(ablation)
    if heads:
        names = _head_names(ablation)
        rows = [[*name, *(c.cells[i] for c in heads)] for i, name in enumerate(names)]
        header = ["", *(column.title for column in heads)]
        body.append(html.table("val mAP of each head", header, rows, is_heading=True))
    return html.page("Ablation", body, _STYLE)


def _difference_sections(ablation: Ablation, reference: str) -> Iterator[str]:
    names = ablation.names_against(reference)[1:]
    for figure in ablation.differences[reference]:
        rows = list(_difference_rows(names, figure))
        header = ["", "difference", "", "95 %", ""]
        yield html.table(f"{figure.figure} against {reference}", header, rows, is_heading=True)


def _difference_rows(names: Sequence[str], figure: Compared) -> Iterator[list[str]]:
    reach = reach_of([figure])
    for name, difference in zip(names, figure.differences, strict=True):
        verdict, (value, interval) = verdict_of(difference), difference_texts(difference)
        mark = f'<span class="{verdict}">{verdict}</span>'
        yield [html.text(name), value, mark, interval, interval_bar(difference, reach, verdict)]


def ablation_json(ablation: Ablation) -> str:
    """All figures as one JSON object."""
    about = {
        "data": str(ablation.data),
        "split": ablation.split,
        "pictures": ablation.pictures,
        "seeds": ablation.seeds,
        "pointing_controls": ablation.controls,
        "variants": ablation_records(ablation),
    }
    return json.dumps(about, indent=2, ensure_ascii=False)
