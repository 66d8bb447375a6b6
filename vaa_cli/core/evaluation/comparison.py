"""Figures of several runs side by side, with intervals of their differences."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from vaa_cli.core.evaluation.bootstrap import SAMPLES, Floats, bootstrap, interval, total_figures
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.evaluation.records import Record, number

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
    """One figure of all runs.

    Attributes:
        figure: mA, mAP, instance F1 or AP.
        attribute: name of the attribute; None for a total.
        values: the figure of each run.
        differences: the difference of each run but the first to the first.
    """

    figure: str
    attribute: str | None
    values: list[Estimate]
    differences: list[Estimate]


def compare_predictions(
    runs: Sequence[tuple[ArrayLike, ArrayLike | float]],
    targets: ArrayLike,
    attributes: Sequence[str],
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Compared]:
    """Compare runs on the same pictures: totals, then mA and AP of each attribute.

    Args:
        runs: probabilities `[n x c]` and thresholds, `[c]` or one for all, of each run.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        attributes: names of the attributes.
        samples: number of draws; each run is scored on the same.
        seed: seed of the draws.
    """
    scores = [score(probabilities, targets, limits) for probabilities, limits in runs]
    draws = bootstrap(runs, targets, samples, seed)
    totals = [total_figures(one) for one in scores]
    compared = [
        _compare(name, None, [one[name] for one in totals], [one.totals[name] for one in draws])
        for name in totals[0]
    ]
    for figure, field in (("mA", "mean_accuracy"), ("AP", "average_precision")):
        of_scores = [getattr(one, field) for one in scores]
        of_draws = [getattr(one, field) for one in draws]
        compared += [
            _compare(figure, name, [o[c] for o in of_scores], [o[:, c] for o in of_draws])
            for c, name in enumerate(attributes)
        ]
    return compared


def _compare(
    figure: str, attribute: str | None, values: Sequence[float], draws: Sequence[Floats]
) -> Compared:
    return Compared(
        figure,
        attribute,
        [_estimate(value, drawn) for value, drawn in zip(values, draws, strict=True)],
        [
            _estimate(value - values[0], drawn - draws[0])
            for value, drawn in zip(values[1:], draws[1:], strict=True)
        ],
    )


def _estimate(value: float, draws: Floats) -> Estimate:
    low, high = interval(value, draws)
    return Estimate(float(value), float(low), float(high))


def comparison_records(compared: Sequence[Compared], names: Sequence[str]) -> list[Record]:
    """A record for each figure and run: value, difference to the first run, and their intervals."""
    records: list[Record] = []
    for one in compared:
        differences = [None, *one.differences]
        for name, value, difference in zip(names, one.values, differences, strict=True):
            record: Record = {"figure": one.figure, "attribute": one.attribute, "run": name}
            record |= {"value": number(value.value)}
            record |= {"low": number(value.low), "high": number(value.high)}
            for key in ("value", "low", "high"):
                column = "difference" if key == "value" else f"difference_{key}"
                figure = None if difference is None else getattr(difference, key)
                record[column] = None if figure is None else number(figure)
            records.append(record)
    return records
