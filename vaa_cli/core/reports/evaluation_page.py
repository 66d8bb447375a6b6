"""An evaluation as one web page: totals, attributes, curves, mistakes and the pictures behind."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.evaluation.bootstrap import Draws, interval, total_figures
from vaa_cli.core.evaluation.calibration import calibration_error
from vaa_cli.core.evaluation.confusions import Confusions
from vaa_cli.core.evaluation.curves import precision_recall, reliability
from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.labels.table import PRESENT, UNSPECIFIED
from vaa_cli.core.reports import html, svg_charts
from vaa_cli.core.reports.examples import KINDS, RenderedExample
from vaa_cli.core.reports.html import text
from vaa_cli.core.reports.svg_charts import Axis, Line

# So many pairs of mistakes are named; the matrix has all.
_PAIRS = 20
# A pair that came once or twice is chance.
_TOGETHER = 3


@dataclass(frozen=True)
class PageContent:
    """The content of a page.

    Attributes:
        title: title of the page.
        about: model, data and split, by name.
        attributes: names of the attributes.
        priors: their priors in training; None where there is none.
        stages: those whose attention examples show.
        probabilities: `[n x c]`.
        labels: `[n x c]`.
        scores: their figures, at the model's thresholds.
        draws: draws of the bootstrap, for intervals.
        epochs: the rows of the training's log, oldest first; none if it is not there.
        calibration: see `calibration_report.calibration_totals`; none if it is not calibrated.
        examples: pictures.
    """

    title: str
    about: Mapping[str, object]
    attributes: Sequence[str]
    priors: Sequence[float | None]
    stages: Sequence[int]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int8]
    scores: Scores
    draws: Draws
    epochs: Sequence[Mapping[str, float]]
    calibration: Sequence[Mapping[str, object]]
    examples: Sequence[RenderedExample]


def evaluation_page(content: PageContent) -> str:
    """The page, as the text of an HTML file that needs nothing else."""
    body = [
        *_about(content),
        *_totals(content),
        *_attributes(content),
        *_imbalance(content),
        *_mistakes(content),
        *_training(content),
        *_details(content),
    ]
    style = html.asset("charts.css") + html.asset("evaluation.css")
    return html.page(content.title, body, style, html.asset("evaluation.js"))


def _about(content: PageContent) -> Iterator[str]:
    items = "".join(
        f"<div><dt>{text(key)}</dt><dd>{text(value)}</dd></div>"
        for key, value in content.about.items()
    )
    yield f'<dl class="about">{items}</dl>'
    yield (
        '<nav aria-label="Contents" class="no-print"><a href="#totals">Totals</a> '
        '<a href="#attributes">Attributes</a> <a href="#imbalance">Imbalance</a> '
        '<a href="#mistakes">Mistakes</a> <a href="#training">Training</a> '
        '<a href="#details">Curves and pictures</a></nav>'
    )


def _totals(content: PageContent) -> Iterator[str]:
    totals = content.scores.totals
    yield '<h2 id="totals">Totals</h2>'
    tiles = []
    for name, value in total_figures(content.scores).items():
        low, high = interval(value, content.draws.totals[name])
        tiles.append(
            f'<div class="tile"><b>{_figure(value)}</b><span>{name}</span>'
            f'<small class="quiet">95 %: {_figure(float(low))} to {_figure(float(high))}</small>'
            "</div>"
        )
    error = calibration_error(content.probabilities, content.labels)
    tiles.append(
        f'<div class="tile"><b>{_figure(error)}</b><span>calibration error</span>'
        '<small class="quiet">0 is best</small></div>'
    )
    yield f'<div class="tiles">{"".join(tiles)}</div>'
    rows = [
        [kind, *(_figure(getattr(totals, f"{kind}_{what}", math.nan)) for what in _WHAT)]
        for kind in ("instance", "macro", "micro")
    ]
    yield html.table(
        "Instance: means of images; macro: means of attributes; micro: all labels pooled",
        ["", "accuracy", "precision", "recall", "F1"],
        rows,
    )
    if content.calibration:
        header = list(content.calibration[0])
        yield html.table(
            "With and without calibration",
            [header[0], *(name.replace("_", " ") for name in header[1:])],
            [[_any(record[name]) for name in header] for record in content.calibration],
        )


_WHAT = ("accuracy", "precision", "recall", "f1")


def _attributes(content: PageContent) -> Iterator[str]:
    scores, draws = content.scores, content.draws
    accuracy = interval(scores.mean_accuracy, draws.mean_accuracy)
    precision = interval(scores.average_precision, draws.average_precision)
    yield '<h2 id="attributes">Attributes</h2>'
    yield (
        '<p class="no-print"><label>Show attributes named '
        '<input type="search" id="filter" autocomplete="off"></label> '
        '<span id="shown" role="status" class="quiet"></span></p>'
    )
    # What people look for stands beside the name, in sight on a phone, too.
    header = ("attribute", "mA", "AP", "F1", "prior", "positives", "recall +", "recall −",
              "precision", "threshold")  # fmt: skip
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
    return f'<td data-value="{"" if math.isnan(value) else float(value)}">{_figure(value)}</td>'


def _bar(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return _value(value)
    span = ""
    low, high = np.clip([low, high], 0, 1).tolist()
    if not math.isnan(low):
        span = f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i>'
    hint = f"{_figure(value)}, 95 %: {_figure(low)} to {_figure(high)}"
    return (
        f'<td data-value="{float(value)}" title="{hint}"><span class="bar" aria-hidden="true">'
        f'<b style="width:{100 * value:.1f}%"></b>{span}</span> {_figure(value)}'
        f'<small class="quiet range"> {_figure(low)}–{_figure(high)}</small></td>'
    )


def _imbalance(content: PageContent) -> Iterator[str]:
    yield '<h2 id="imbalance">Imbalance</h2>'
    yield (
        "<p>Each point is an attribute. The dashed line is the score of guessing: the fraction of "
        "positives among the pictures that are scored, which is near the prior.</p>"
    )
    points = [
        (name, prior, float(ap))
        for name, prior, ap in zip(
            content.attributes,
            content.priors,
            content.scores.average_precision,
            strict=True,
        )
        if prior is not None and not math.isnan(ap)
    ]
    high = max([prior for _, prior, _ in points], default=1.0)
    yield svg_charts.scatter(
        "Average precision against the prior of each attribute",
        Axis("prior in training", 0.0, min(1.0, 1.1 * high)),
        Axis("average precision"),
        points,
        Line("", [0.0, min(1.0, 1.1 * high)], [0.0, min(1.0, 1.1 * high)]),
    )


def _mistakes(content: PageContent) -> Iterator[str]:
    confusions = Confusions.of(content.probabilities, content.labels, content.scores.thresholds)
    names = [text(name) for name in content.attributes]
    yield '<h2 id="mistakes">Mistaken together</h2>'
    lift = np.where(confusions.together >= _TOGETHER, np.nan_to_num(confusions.lift), 0.0)
    order = np.argsort(-lift, axis=None, kind="stable")[:_PAIRS]
    pairs = [tuple(np.unravel_index(place, lift.shape)) for place in order.tolist()]
    rows = [
        [
            names[i],
            names[j],
            f"{confusions.together[i, j]:,}",
            f"{confusions.rate[i, j]:.0%}",
            f"{confusions.wrongly_predicted[j] / max(confusions.pictures, 1):.0%}",
            f"{lift[i, j]:.1f}",
        ]
        for i, j in pairs
        if lift[i, j] > 1
    ]
    if not rows:
        yield f"<p>No two mistakes came together in {_TOGETHER} pictures, and more than chance.</p>"
        return
    yield html.table(
        "In pictures where the first was missed, the second was wrongly seen",
        [
            "missed",
            "wrongly seen",
            "pictures",
            "of those missed",
            "of all pictures",
            "times as often",
        ],
        rows,
    )
    rates = np.nan_to_num(confusions.rate)
    top = rates.max() or 1.0
    count, cell = len(names), 12
    cells = "".join(
        f'<rect x="{cell * j}" y="{cell * i}" width="{cell}" height="{cell}" '
        f'fill-opacity="{rates[i, j] / top:.2f}"><title>{names[i]} missed, {names[j]} wrongly '
        f"seen: {rates[i, j]:.0%}</title></rect>"
        for i in range(count)
        for j in range(count)
        if rates[i, j] > 0
    )
    yield (
        "<details><summary>All pairs</summary><p>Rows: the attribute that was missed; columns: the "
        f"one wrongly seen, in the order of the table above. Darkest: {top:.0%} of the pictures in "
        "which the row's was missed. Point at a cell for its names.</p>"
        f'<svg role="img" aria-label="All pairs of mistakes" class="matrix" '
        f'viewBox="0 0 {cell * count} {cell * count}" width="{cell * count}" '
        f'height="{cell * count}"><rect class="frame" width="100%" height="100%"/>{cells}</svg>'
        "</details>"
    )


def _training(content: PageContent) -> Iterator[str]:
    yield '<h2 id="training">Training</h2>'
    if not content.epochs:
        yield "<p>The run's log is not beside the model file.</p>"
        return
    epochs = [row["epoch"] for row in content.epochs]
    across = Axis("epoch", min(epochs), max(max(epochs), min(epochs) + 1))

    def column(name: str) -> list[float]:
        return [row.get(name, math.nan) for row in content.epochs]

    losses = [*column("loss"), *column("val_loss")]
    finite = [value for value in losses if math.isfinite(value)]
    charts = [
        svg_charts.line_chart(
            "Loss by epoch",
            across,
            Axis("loss", 0.0, max(finite, default=1.0)),
            [
                Line("train, all terms", epochs, column("loss")),
                Line("val, cross-entropy", epochs, column("val_loss")),
            ],
        ),
        svg_charts.line_chart(
            "Scores on val by epoch",
            across,
            Axis("on val"),
            [Line("mA", epochs, column("val_mA")), Line("mAP", epochs, column("val_mAP"))],
        ),
    ]
    yield f'<div class="charts">{"".join(charts)}</div>'


def _details(content: PageContent) -> Iterator[str]:
    yield '<h2 id="details">Curves and pictures</h2>'
    stages = ", ".join(f"stage {stage}" for stage in content.stages)
    yield (
        f"<p>Of each attribute its curves, and pictures: as they are, then where the model looks "
        f"({stages}: attention times confidence, the brightest is each map's own maximum).</p>"
    )
    shown: dict[int, list[RenderedExample]] = {}
    for one in content.examples:
        shown.setdefault(one.example.attribute, []).append(one)
    for c, name in enumerate(content.attributes):
        yield (
            f'<details class="attribute" id="attribute-{c}" data-name="{text(name).lower()}">'
            f'<summary><h3>{text(name)}</h3> <span class="quiet">mA '
            f"{_figure(content.scores.mean_accuracy[c])}, AP "
            f"{_figure(content.scores.average_precision[c])}, "
            f"{content.scores.positives[c]:,} positives</span></summary>"
        )
        yield _curves(content, c)
        for kind, title in KINDS.items():
            pictures = [one for one in shown.get(c, []) if one.example.kind == kind]
            if pictures:
                figures = "".join(_picture(content, one) for one in pictures)
                yield f'<h4>{title}</h4><div class="pictures">{figures}</div>'
        yield "</details>"


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


def _picture(content: PageContent, shown: RenderedExample) -> str:
    example, (width, height) = shown.example, shown.size
    label = content.labels[example.row, example.attribute]
    probability = content.probabilities[example.row, example.attribute]
    truth = "has it" if label == PRESENT else "does not have it"
    name = text(content.attributes[example.attribute])
    caption = f"{probability:.0%}, {truth}"
    return (
        f'<figure><img src="{shown.source}" width="{width}" height="{height}" '
        f'alt="A picture that {truth} ({name}), and where the model looks" decoding="async">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _any(value: object) -> str:
    return _figure(value) if isinstance(value, float) else text("–" if value is None else value)
