"""Sections of an evaluation's page on all attributes together: totals, imbalance, mistakes."""

import math
from collections.abc import Iterator

import numpy as np

from vaa_cli.core.evaluation.confusions import Confusions
from vaa_cli.core.evaluation.pointing_game import FIGURES
from vaa_cli.core.evaluation.records import rarity_records
from vaa_cli.core.reports import html, svg_charts
from vaa_cli.core.reports.html import figure, text
from vaa_cli.core.reports.page_content import PageContent
from vaa_cli.core.reports.svg_charts import Axis, Line

# So many pairs of mistakes are named; the matrix has all.
_PAIRS = 20
# A pair that came once or twice is chance.
_TOGETHER = 3
_MEANS = ("accuracy", "precision", "recall", "f1")


def totals(content: PageContent) -> Iterator[str]:
    """The means by rarity, the totals of each kind, and what calibration gave."""
    records = rarity_records(content.priors, content.scores, content.at_half)
    yield html.table(
        "By rarity: means of attributes, by their prior in training",
        ["", *(name.replace("_", " ") for name in records[0] if name != "rarity")],
        [[_cell(value) for value in record.values()] for record in records],
    )
    values = content.scores.totals
    rows = [
        [kind, *(figure(getattr(values, f"{kind}_{mean}", math.nan)) for mean in _MEANS)]
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
            [[_cell(record[name]) for name in header] for record in content.calibration],
        )


def imbalance(content: PageContent) -> Iterator[str]:
    """Average precision against the prior."""
    points = [
        (name, prior, float(ap))
        for name, prior, ap in zip(
            content.attributes,
            content.priors,
            content.scores.average_precision,
            strict=True,
        )
        if prior and not math.isnan(ap)
    ]
    if not points:
        return
    yield (
        "<p>Each point is an attribute, the rarest on the left. The dashed line is the score of "
        "guessing: the fraction of positives among the pictures that are scored, which is near "
        "the prior.</p>"
    )
    low = _round_below(min(prior for _, prior, _ in points))
    guide = np.geomspace(low, 1, 60).tolist()
    chart = svg_charts.scatter(
        "Average precision against the prior of each attribute",
        Axis("prior in training (logarithmic)", low, 1.0, is_logarithmic=True),
        Axis("average precision"),
        points,
        Line("", guide, guide),
    )
    region = 'class="scroll wide" tabindex="0" role="region" aria-label="Imbalance"'
    yield f"<div {region}>{chart}</div>"


def _round_below(value: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that leaves some room below a number."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step for step in (5 * power, 2 * power, power, power / 2) if step < 0.9 * value)


def confused_attributes(content: PageContent) -> Iterator[str]:
    """Pairs of attributes of which one is missed where the other is wrongly predicted."""
    confusions = Confusions.of(content.probabilities, content.labels, content.rule)
    names = [text(name) for name in content.attributes]
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


def pointing_game(content: PageContent) -> Iterator[str]:
    """Hits and mass of the maps of each stage, beside maps that know nothing of the picture."""
    pointing = content.pointing
    if pointing is None:
        return
    scored = np.flatnonzero(pointing.regions).tolist()
    for kind, meaning in FIGURES.items():
        columns = {name: getattr(scores, kind) for name, scores in pointing.all_maps.items()}
        rows = [
            [
                text(content.attributes[c]),
                f"{pointing.regions[c]:,}",
                *(figure(float(values[c])) for values in columns.values()),
            ]
            for c in scored
        ]
        rows.append(
            [
                "mean of attributes",
                f"{pointing.regions.sum():,}",
                *(figure(float(values[scored].mean())) for values in columns.values()),
            ]
        )
        yield html.table(meaning.capitalize(), ["", "regions", *columns], rows)
    yield "<p>uniform, centred: what maps that have not looked at the picture would score.</p>"


def training(content: PageContent) -> Iterator[str]:
    """Loss and scores by epoch."""
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


def _cell(value: object) -> str:
    return figure(value) if isinstance(value, float) else text("–" if value is None else value)
