"""Figures of several runs side by side, with intervals of their differences.

What is compared is a group of runs: one run, or those of one method with several seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vaa_cli.core.evaluation.bootstrap import (
    SAMPLES,
    Floats,
    bootstrap_means,
    interval,
    total_figures,
)
from vaa_cli.core.evaluation.metrics import Scores, score
from vaa_cli.core.evaluation.records import Record, number
from vaa_cli.core.prediction.decisions import Limits

# Digits of figures in tables.
_DIGITS = 3


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval of 95 % of the bootstrap draws; NaN if there is none."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is not only noise of the pictures that were drawn.

        Bounds count as they are printed: from +0.000 on, a difference may be none.
        """
        return round(self.low, _DIGITS) > 0 or round(self.high, _DIGITS) < 0


@dataclass(frozen=True)
class Compared:
    """One figure of all groups, each the mean of its runs.

    Attributes:
        figure: mA, mAP, instance F1 or AP.
        attribute: name of the attribute; None for a total.
        values: the figure of each group.
        differences: the difference of each group but the first to the first.
        deviations: standard deviation of each group's runs; NaN for a run alone.
    """

    figure: str
    attribute: str | None
    values: list[Estimate]
    differences: list[Estimate]
    deviations: list[float]


def compare_predictions(
    groups: Sequence[Sequence[tuple[ArrayLike, Limits]]],
    targets: ArrayLike,
    attributes: Sequence[str],
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Compared]:
    """Compare groups of runs on the same pictures: totals, then mA and AP of each attribute.

    Args:
        groups: probabilities `[n x c]` of the runs of each group, and how they decide; see
            `bootstrap_means`.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        attributes: names of the attributes.
        samples: number of draws; each run is scored on the same.
        seed: seed of the draws.
    """
    scores = [
        [score(probabilities, targets, limits) for probabilities, limits in runs] for runs in groups
    ]
    draws = bootstrap_means(groups, targets, samples, seed)
    totals = [[total_figures(one) for one in runs] for runs in scores]
    compared = [
        compare_figure(
            name,
            None,
            [[one[name] for one in runs] for runs in totals],
            [one.totals[name] for one in draws],
        )
        for name in totals[0][0]
    ]
    for figure, field in (("mA", "mean_accuracy"), ("AP", "average_precision")):
        for c, name in enumerate(attributes):
            values = [[_of_attribute(one, field, c) for one in runs] for runs in scores]
            drawn = [getattr(one, field)[:, c] for one in draws]
            compared.append(compare_figure(figure, name, values, drawn))
    return compared


def _of_attribute(scores: Scores, field: str, c: int) -> float:
    return float(getattr(scores, field)[c])


def compare_figure(
    figure: str,
    attribute: str | None,
    values: Sequence[Sequence[float]],
    draws: Sequence[Floats],
) -> Compared:
    """One figure of all groups, with intervals.

    Args:
        figure: name of the figure.
        attribute: name of the attribute; None for a total.
        values: the figure of the runs of each group.
        draws: `[b]`, the mean of each group in each draw.
    """
    means = [float(np.mean(runs)) for runs in values]
    return Compared(
        figure,
        attribute,
        [_estimate(mean, drawn) for mean, drawn in zip(means, draws, strict=True)],
        [
            _estimate(mean - means[0], drawn - draws[0])
            for mean, drawn in zip(means[1:], draws[1:], strict=True)
        ],
        [float(np.std(runs, ddof=1)) if len(runs) > 1 else np.nan for runs in values],
    )


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = interval(value, draws)
    return Estimate(float(value), float(low), float(high))


def comparison_records(compared: Sequence[Compared], names: Sequence[str]) -> list[Record]:
    """A record for each figure and group: value, difference to the first, and their intervals."""
    records: list[Record] = []
    for one in compared:
        differences = [None, *one.differences]
        columns = zip(names, one.values, one.deviations, differences, strict=True)
        for name, value, deviation, difference in columns:
            record: Record = {"figure": one.figure, "attribute": one.attribute, "run": name}
            record |= {"value": number(value.value)}
            record |= {"low": number(value.low), "high": number(value.high)}
            record |= {"deviation": number(deviation)}
            for key in ("value", "low", "high"):
                column = "difference" if key == "value" else f"difference_{key}"
                figure = None if difference is None else getattr(difference, key)
                record[column] = None if figure is None else number(figure)
            records.append(record)
    return records
