"""Sections of an evaluation's page on single attributes: their table, curves and pictures."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from vaa_cli.core.evaluation.bootstrap import interval
from vaa_cli.core.evaluation.curves import precision_recall, reliability
from vaa_cli.core.labels.table import PRESENT, UNSPECIFIED
from vaa_cli.core.reports import svg_charts
from vaa_cli.core.reports.examples import KINDS, RenderedExample
from vaa_cli.core.reports.html import figure, text
from vaa_cli.core.reports.page_content import PageContent
from vaa_cli.core.reports.svg_charts import Axis, Line

# Of a small picture on the page, in pixels of CSS.
_HEIGHT = 112


def worst_attributes(content: PageContent) -> Iterator[str]:
    """The attributes with the lowest mA, open: their curves, and the pictures that went wrong."""
    maps = ""
    if content.stages:
        stages = ", ".join(f"stage {stage}" for stage in content.stages)
        maps = (
            f", then where it looks ({stages}: attention times confidence, the brightest is each "
            "map's own maximum)"
        )
    yield (
        "<p>The lowest mA first, with the pictures that the model is most sure and wrong about: "
        f"as they are{maps}. Click a picture to enlarge it. "
        f'<a href="{text(content.mistakes)}">{text(content.mistakes)}</a> beside this page lists '
        "every mistake.</p>"
    )
    for c in content.worst:
        yield _block(content, c, is_open=True)


def other_attributes(content: PageContent) -> Iterator[str]:
    """The other attributes, closed, in the model's order."""
    for c in range(len(content.attributes)):
        if c not in content.worst:
            yield _block(content, c, is_open=False)


def attributes_table(content: PageContent) -> Iterator[str]:
    """The figures of each attribute, to sort and to filter."""
    scores, draws = content.scores, content.draws
    accuracy = interval(scores.mean_accuracy, draws.mean_accuracy)
    precision = interval(scores.average_precision, draws.average_precision)
    yield (
        '<p class="no-print"><label>Show attributes named '
        '<input type="search" id="filter" autocomplete="off"></label> '
        '<span id="shown" role="status" class="quiet"></span></p>'
    )
    # What people look for stands beside the name, in sight on a phone, too.
    header = ("attribute", "mA", "AP", "F1", "mA at 0.5", "prior", "positives", "recall +",
              "recall −", "precision", "threshold")  # fmt: skip
    cells = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{text(name)}</button></th>'
        for name in header
    )
    parts = [
        '<p class="caption">Bars are from 0 to 1; the line in a bar is the 95 % interval of a '
        "bootstrap over images. Click a name in the header to sort.</p>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Attributes">'
        f'<table id="table" aria-label="Attributes"><thead><tr>{cells}</tr></thead><tbody>',
    ]
    for c, name in enumerate(content.attributes):
        prior = content.priors[c]
        columns = [
            _bar(scores.mean_accuracy[c], accuracy[0][c], accuracy[1][c]),
            _bar(scores.average_precision[c], precision[0][c], precision[1][c]),
            _value(scores.f1[c]),
            _value(content.at_half.mean_accuracy[c]),
            _value(math.nan if prior is None else prior),
            f'<td data-value="{scores.positives[c]}">{scores.positives[c]:,}</td>',
            *(_value(values[c]) for values in (
                scores.recall_positive, scores.recall_negative, scores.precision, scores.thresholds,
            )),
        ]  # fmt: skip
        parts.append(
            f'<tr data-name="{text(name).lower()}"><th scope="row" data-value="{text(name)}">'
            f'<a href="#attribute-{c}">{text(name)}</a></th>{"".join(columns)}</tr>'
        )
    yield "".join([*parts, "</tbody></table></div>"])


def _value(value: float) -> str:
    return f'<td data-value="{"" if math.isnan(value) else float(value)}">{figure(value)}</td>'


def _bar(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return _value(value)
    span = ""
    low, high = np.clip([low, high], 0, 1).tolist()
    if not math.isnan(low):
        span = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    hint = f"{figure(value)}, 95 %: {figure(low)} to {figure(high)}"
    return (
        f'<td data-value="{float(value)}" title="{hint}"><span class="bar" aria-hidden="true">'
        f'<b style="width:{100 * value:.1f}%"></b>{span}</span> {figure(value)}'
        f'<small class="quiet range"> {figure(low)}–{figure(high)}</small></td>'
    )


def _block(content: PageContent, c: int, is_open: bool) -> str:
    """An attribute's curves and pictures, under a line that opens and closes them."""
    name, scores = text(content.attributes[c]), content.scores
    parts = [
        f'<details class="attribute" id="attribute-{c}" data-name="{name.lower()}"'
        f"{' open' if is_open else ''}><summary><h3>{name}</h3> "
        f'<span class="quiet">mA {figure(scores.mean_accuracy[c])}, AP '
        f"{figure(scores.average_precision[c])}, {scores.positives[c]:,} positives</span>"
        "</summary>"
    ]
    pictures = _pictures(content, content.examples_of.get(c, ()))
    # Mistakes come first where they are what the block is there for.
    parts += [*pictures, _curves(content, c)] if is_open else [_curves(content, c), *pictures]
    return "".join([*parts, "</details>"])


def _pictures(content: PageContent, examples: Sequence[RenderedExample]) -> Iterator[str]:
    for kind, title in KINDS.items():
        figures = [_picture(content, one) for one in examples if one.example.kind == kind]
        if figures:
            yield f'<h4>{title}</h4><div class="pictures">{"".join(figures)}</div>'


def _picture(content: PageContent, rendered: RenderedExample) -> str:
    example, (width, height) = rendered.example, rendered.size
    label = content.labels[example.row, example.attribute]
    probability = content.probabilities[example.row, example.attribute]
    threshold = content.scores.thresholds[example.attribute]
    decision = "present" if probability >= threshold else "absent"
    truth = {PRESENT: "present", UNSPECIFIED: "unspecified"}.get(int(label), "absent")
    attribute, name = text(content.attributes[example.attribute]), text(rendered.name)
    about = f"{attribute} {probability:.0%} → {decision}; label: {truth}"
    return (
        f'<figure style="width:min(100%,{width * _HEIGHT / height:.1f}px)">'
        f'<button type="button" class="enlarge"><img src="{rendered.source}" width="{width}" '
        f'height="{height}" alt="Enlarge {name}: {attribute}, label {truth}" '
        f'decoding="async"></button><figcaption><b>{name}</b> <span>{about}</span>'
        "</figcaption></figure>"
    )


def _curves(content: PageContent, c: int) -> str:
    known = content.labels[:, c] != UNSPECIFIED
    present = content.labels[known, c] == PRESENT
    probabilities = content.probabilities[known, c]
    if not present.any():
        return "<p>No picture has it.</p>"
    name = content.attributes[c]
    curve, bins = precision_recall(probabilities, present), reliability(probabilities, present)
    prior = float(present.mean())
    charts = [
        svg_charts.line_chart(
            f"Precision and recall of {name}",
            Axis("recall"),
            Axis("precision"),
            [
                Line("", [0.0, 1.0], [prior, prior]),
                Line("precision", [0.0, *curve.recall], [curve.precision[0], *curve.precision]),
            ],
        ),
        svg_charts.line_chart(
            f"Reliability of {name}",
            Axis("predicted probability"),
            Axis("fraction of positives"),
            [
                Line("", [0.0, 1.0], [0.0, 1.0]),
                Line("fraction", bins.predicted.tolist(), bins.present.tolist()),
            ],
        ),
    ]
    return f'<div class="charts">{"".join(charts)}</div>'
