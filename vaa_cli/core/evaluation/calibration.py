"""Temperatures and thresholds, fitted on val, careful where an attribute is rare.

Temperature scaling is Guo et al.'s (On Calibration of Modern Neural Networks, ICML 2017), a
temperature an attribute. An attribute with few labels of its rarer kind has an unsure estimate: its
temperature and threshold are drawn towards those of all attributes together, by n / (n + s), n
being its rarer labels and s the shrinkage; as an average of log temperatures and of the
thresholds' logits.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from vaa_cli.core.evaluation.curves import reliability
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.evaluation.records import Record, number
from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

Metric = Literal["mA", "F1"]

# Lower ones would push probabilities to 1 in float32.
_LOG_TEMPERATURES = (math.log(0.5), math.log(20.0))
# Thresholds that are tried, about; millions of scores are no better than some of them.
_CANDIDATES = 10_000
# float32 probabilities nearer to 0 or 1 have no logit.
_LOWEST, _HIGHEST = 1e-30, 1 - 2**-24


@dataclass(frozen=True)
class Calibration:
    """Temperatures and thresholds of the attributes, `[c]` each.

    Attributes:
        temperatures: divisors of the logits.
        thresholds: thresholds of the calibrated probabilities.
        weights: weight of the attribute's own fit, in [0, 1]; the rest is that of all attributes.
    """

    temperatures: Floats
    thresholds: Floats
    weights: Floats


def fit_calibration(
    logits: ArrayLike, targets: ArrayLike, metric: Metric = "mA", shrinkage: float = 20.0
) -> Calibration:
    """Fit temperatures and thresholds.

    Args:
        logits: `[n x c]`, of a split that is not scored later.
        targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.
        metric: metric that the thresholds maximise: mean accuracy or F1.
        shrinkage: s, in labels.

    Raises:
        ValueError: shapes that do not match, or no attribute has both a positive and a negative.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(targets)
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise ValueError(f"logits {scores.shape} and targets {truth.shape} do not match")
    rarer = np.minimum((truth == PRESENT).sum(axis=0), (truth == ABSENT).sum(axis=0))
    if not rarer.any():
        raise ValueError("no attribute has both a positive and a negative")
    weights = rarer / (rarer + shrinkage) if shrinkage > 0 else (rarer > 0).astype(np.float64)
    scorable = np.flatnonzero(rarer)

    known = truth != UNSPECIFIED
    shared = fit_temperature(scores[known], truth[known] == PRESENT)
    temperatures = np.full(scores.shape[1], shared)
    for c in scorable:
        mine = fit_temperature(scores[known[:, c], c], truth[known[:, c], c] == PRESENT)
        temperatures[c] = np.exp(weights[c] * np.log(mine) + (1 - weights[c]) * np.log(shared))

    scaled = scores / temperatures
    columns = [(scaled[known[:, c], c], truth[known[:, c], c] == PRESENT) for c in scorable]
    common = _best_threshold(columns, metric)
    limits = np.full(scores.shape[1], common)
    for c, column in zip(scorable, columns, strict=True):
        limits[c] = weights[c] * _best_threshold([column], metric) + (1 - weights[c]) * common
    return Calibration(temperatures, expit(limits), weights)


def fit_temperature(logits: Floats, present: Booleans) -> float:
    """The temperature under which labels `[n]` are likeliest, given logits `[n]`.

    Labels are taken as a little unsure, the less the more there are of their kind (Platt,
    Probabilistic Outputs for Support Vector Machines, 1999): else the temperature of logits that
    separate a few of them perfectly would be 0.
    """
    positives = int(present.sum())
    negatives = len(present) - positives
    sure = np.where(present, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(-(sure * log_expit(scaled) + (1 - sure) * log_expit(-scaled)).sum())

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x))


def _best_threshold(columns: list[tuple[Floats, Booleans]], metric: Metric) -> float:
    """The logit at or above which attributes are best decided to be present, by their mean metric.

    It is the middle between two scores, or of the widest such stretch where several are as good.
    """
    everything = np.unique(np.concatenate([scores for scores, _ in columns]))
    everything = everything[:: max(1, len(everything) // _CANDIDATES)]
    # Candidates: between neighbours, and a step outside both ends.
    edges = np.concatenate([[everything[0] - 1], everything, [everything[-1] + 1]])
    middles = (edges[1:] + edges[:-1]) / 2
    value = np.zeros(len(middles))
    for column in columns:
        value += _metric_at(middles, *column, metric) / len(columns)
    best = np.flatnonzero(value >= value.max() - 1e-12)
    stretches = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    widest = max(stretches, key=lambda part: edges[part[-1] + 1] - edges[part[0]])
    return float((edges[widest[0]] + edges[widest[-1] + 1]) / 2)


def _metric_at(thresholds: Floats, scores: Floats, present: Booleans, metric: Metric) -> Floats:
    """The metric of one attribute at each threshold."""
    positives, negatives = np.sort(scores[present]), np.sort(scores[~present])
    hits = len(positives) - np.searchsorted(positives, thresholds)
    false = len(negatives) - np.searchsorted(negatives, thresholds)
    if metric == "mA":
        result: Floats = (hits / len(positives) + 1 - false / len(negatives)) / 2
    else:
        result = 2 * hits / (len(positives) + hits + false)
    return result


def logits_of(probabilities: ArrayLike, temperatures: ArrayLike = 1.0) -> Floats:
    """The logits that gave probabilities `[n x c]` under temperatures `[c]`."""
    probs = np.asarray(probabilities, dtype=np.float64).clip(_LOWEST, _HIGHEST)
    found: Floats = logit(probs) * np.asarray(temperatures, dtype=np.float64)
    return found


def calibration_error(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """Expected calibration error of presence: Σ_b n_b / n · |fraction present − mean probability|.

    Args:
        probabilities: any shape, in [0, 1]; in 15 bins of equal width.
        targets: the same shape: 1 present, 0 absent, -1 unspecified.

    Returns:
        The error, NaN where nothing is specified.
    """
    probs, truth = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    known = truth != UNSPECIFIED
    probs, present = probs[known], truth[known] == PRESENT
    if not len(probs):
        return float("nan")
    bins = reliability(probs, present)
    return float((bins.counts * np.abs(bins.present - bins.predicted)).sum() / len(probs))


def calibration_totals(
    split: str,
    probabilities: ArrayLike,
    temperatures: ArrayLike,
    thresholds: ArrayLike,
    labels: NDArray[np.int8],
) -> list[Record]:
    """The totals without calibration, decided at 0.5, and with it, at its thresholds.

    Args:
        split: on which.
        probabilities: `[n x c]`, with temperatures.
        temperatures: `[c]`.
        thresholds: `[c]`.
        labels: `[n x c]`.
    """
    before = expit(logits_of(probabilities, temperatures))
    records: list[Record] = []
    for what, probs, limits in (
        ("uncalibrated, at 0.5", before, 0.5),
        ("calibrated, at its thresholds", probabilities, thresholds),
    ):
        totals = score(probs, labels, limits).totals
        figures = (totals.mean_accuracy, totals.macro_f1, totals.instance_f1)
        record: Record = {split: what}
        names = ("mA", "macro_f1", "instance_f1")
        record |= {name: number(figure) for name, figure in zip(names, figures, strict=True)}
        record["calibration_error"] = number(calibration_error(probs, labels))
        records.append(record)
    return records
