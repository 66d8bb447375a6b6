"""Probabilities and thresholds, fitted on val, careful where an attribute is rare.

Probabilities: Platt scaling (Probabilistic Outputs for Support Vector Machines, 1999), a slope
(1 / temperature) and a shift an attribute. Thresholds: mA is the mean of two recalls, so the best
threshold of exact probabilities is the attribute's prior; thresholds are anchored there, with one
offset for all attributes together. For F1 they are anchored at the best threshold of all.

An attribute with few labels of its rarer kind has unsure estimates: its slope and shift are drawn
towards those of all attributes together, and its threshold towards the anchor, by n / (n + s), n
being its rarer labels and s the shrinkage; as averages of log temperatures, of shifts, and of the
thresholds' logits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
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
_SHIFTS = (-15.0, 15.0)
# An attribute with fewer labels of its rarer kind keeps what all attributes have.
FEWEST = 5
# Priors of 0 and 1 have no logit.
_PRIORS = (1e-4, 1 - 1e-4)
# Thresholds that are tried, about; millions of scores are no better than some of them.
_CANDIDATES = 10_000
# float32 probabilities nearer to 0 or 1 have no logit.
_LOWEST, _HIGHEST = 1e-30, 1 - 2**-24


@dataclass(frozen=True)
class Calibration:
    """Scaling and thresholds of the attributes, `[c]` each.

    Attributes:
        temperatures: divisors of the logits.
        shifts: numbers that are added after that.
        thresholds: thresholds of the calibrated probabilities.
        weights: weight of the attribute's own fit, in [0, 1]; the rest is that of all attributes.
    """

    temperatures: Floats
    shifts: Floats
    thresholds: Floats
    weights: Floats

    @property
    def anchored(self) -> NDArray[np.int64]:
        """Positions of the attributes that have nothing of their own."""
        return np.flatnonzero(self.weights == 0)


def fit_calibration(
    logits: ArrayLike,
    targets: ArrayLike,
    metric: Metric = "mA",
    shrinkage: float = 50.0,
    priors: Sequence[float | None] | None = None,
) -> Calibration:
    """Fit scaling and thresholds.

    Args:
        logits: `[n x c]`, of a split that is not scored later.
        targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.
        metric: metric that the thresholds maximise: mean accuracy or F1.
        shrinkage: s, in labels.
        priors: fraction of positives of each attribute in training; None for that of these labels.

    Raises:
        ValueError: shapes that do not match, or no attribute has 5 positives and 5 negatives.
    """
    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(targets)
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise ValueError(f"logits {scores.shape} and targets {truth.shape} do not match")
    positives, negatives = (truth == PRESENT).sum(axis=0), (truth == ABSENT).sum(axis=0)
    rarer = np.minimum(positives, negatives)
    fitted = np.flatnonzero(rarer >= FEWEST)
    if not len(fitted):
        raise ValueError(f"no attribute has {FEWEST} positives and {FEWEST} negatives")
    weights = np.zeros(scores.shape[1])
    weights[fitted] = rarer[fitted] / (rarer[fitted] + shrinkage)

    known = truth != UNSPECIFIED
    shared = fit_platt(scores[known], truth[known] == PRESENT)
    temperatures = np.full(scores.shape[1], shared.temperature)
    shifts = np.full(scores.shape[1], shared.shift)
    for c in fitted:
        mine = fit_platt(scores[known[:, c], c], truth[known[:, c], c] == PRESENT)
        weight = weights[c]
        temperatures[c] = math.exp(
            weight * math.log(mine.temperature) + (1 - weight) * math.log(shared.temperature)
        )
        shifts[c] = weight * mine.shift + (1 - weight) * shared.shift

    scaled = scores / temperatures + shifts
    columns = [(scaled[known[:, c], c], truth[known[:, c], c] == PRESENT) for c in fitted]
    if metric == "mA":
        anchors = _prior_logits(priors, positives, negatives)
        # What is left between exact probabilities and these, the same for all attributes.
        centred = [
            (column - anchor, present)
            for (column, present), anchor in zip(columns, anchors[fitted], strict=True)
        ]
        anchors = anchors + _best_threshold(centred, metric)
    else:
        anchors = np.full(scores.shape[1], _best_threshold(columns, metric))
    limits = anchors.copy()
    for c, column in zip(fitted, columns, strict=True):
        own = _best_threshold([column], metric)
        limits[c] = weights[c] * own + (1 - weights[c]) * anchors[c]
    return Calibration(temperatures, shifts, expit(limits), weights)


def _prior_logits(
    priors: Sequence[float | None] | None,
    positives: NDArray[np.int64],
    negatives: NDArray[np.int64],
) -> Floats:
    """The logit of each attribute's prior; of these labels where training had none."""
    found = (positives + 1) / (positives + negatives + 2)  # Laplace's, which is never 0 or 1
    for c, prior in enumerate(priors or ()):
        if prior is not None:
            found[c] = prior
    logits: Floats = logit(np.clip(found, *_PRIORS))
    return logits


class Platt(NamedTuple):
    """A scaling of logits: z / temperature + shift."""

    temperature: float
    shift: float


def fit_platt(logits: Floats, present: Booleans) -> Platt:
    """The scaling under which labels `[n]` are likeliest, given logits `[n]`.

    Labels are taken as a little unsure, the less the more there are of their kind, as Platt has it:
    else the temperature of logits that separate a few of them perfectly would be 0.
    """
    positives = int(present.sum())
    negatives = len(present) - positives
    sure = np.where(present, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(values: Floats) -> tuple[float, Floats]:
        slope = math.exp(-values[0])
        scaled = logits * slope + values[1]
        error = expit(scaled) - sure
        lost = -(sure * log_expit(scaled) + (1 - sure) * log_expit(-scaled)).sum()
        gradient = np.array([-(error * logits).sum() * slope, error.sum()])
        return float(lost) / len(logits), gradient / len(logits)

    found = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=(_LOG_TEMPERATURES, _SHIFTS),
        options={"ftol": 1e-14, "gtol": 1e-9},
    )  # fmt: skip
    return Platt(math.exp(found.x[0]), float(found.x[1]))


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


def logits_of(
    probabilities: ArrayLike, temperatures: ArrayLike = (), shifts: ArrayLike = ()
) -> Floats:
    """The logits that gave probabilities `[n x c]` under temperatures and shifts `[c]`, or none."""
    probs = np.asarray(probabilities, dtype=np.float64).clip(_LOWEST, _HIGHEST)
    divisors, added = np.asarray(temperatures, float), np.asarray(shifts, float)
    found: Floats = logit(probs)
    if added.size:
        found = found - added
    return found * divisors if divisors.size else found


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
    logits: ArrayLike,
    probabilities: ArrayLike,
    thresholds: ArrayLike,
    labels: NDArray[np.int8],
) -> list[Record]:
    """The totals without calibration, decided at 0.5, and with it, at its thresholds.

    Args:
        split: on which.
        logits: `[n x c]`, of the model itself.
        probabilities: `[n x c]`, calibrated.
        thresholds: `[c]`.
        labels: `[n x c]`.
    """
    records: list[Record] = []
    for what, probs, limits in (
        ("uncalibrated, at 0.5", expit(np.asarray(logits)), 0.5),
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
