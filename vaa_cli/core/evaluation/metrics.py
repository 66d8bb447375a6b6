"""Metrics of predictions, with rare attributes in mind (method, "What is reported").

Targets are int8 arrays `[n x c]`: 1 present, 0 absent, -1 unspecified. Unspecified labels count
nowhere, neither as truth nor as prediction. All arithmetic is NumPy in float64.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.prediction.decisions import Limits, decided, thresholds_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True)
class Totals:
    """The figures of a whole split; NaN where one is undefined.

    mA, mAP and the macro figures are means over the attributes that can be scored. Macro F1 is
    the mean of the attributes' F1. The instance figures are means over the images that have at
    least one attribute, as the field's code takes them; the micro figures pool all labels.
    """

    mean_accuracy: float
    mean_average_precision: float
    instance_accuracy: float
    instance_precision: float
    instance_recall: float
    instance_f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    micro_f1: float


@dataclass(frozen=True)
class Scores:
    """The figures of each attribute, arrays `[c]`, and the totals.

    An attribute without a positive or without a negative cannot be scored: its figures are NaN.
    """

    positives: Integers
    negatives: Integers
    scorable: Booleans
    recall_positive: Floats
    recall_negative: Floats
    mean_accuracy: Floats
    precision: Floats
    f1: Floats
    average_precision: Floats
    thresholds: Floats
    totals: Totals


def score(probabilities: ArrayLike, targets: ArrayLike, limits: Limits = 0.5) -> Scores:
    """Score predictions against labels.

    Args:
        probabilities: `[n x c]` in [0, 1].
        targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.
        limits: how it is decided: a rule, or thresholds, `[c]` or one for all, at or above which an
            attribute is predicted.

    Raises:
        ValueError: shapes that do not match, or a probability that is NaN.
    """
    probs = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(targets)
    if probs.ndim != 2 or probs.shape != truth.shape:
        raise ValueError(f"probabilities {probs.shape} and targets {truth.shape} do not match")
    if np.isnan(probs).any():
        raise ValueError("a probability is not a number")
    thresholds = _thresholds(limits, probs.shape[1])

    present, absent = truth == 1, truth == 0
    predicted = decided(probs, limits) & (present | absent)
    positives, negatives = present.sum(axis=0), absent.sum(axis=0)
    scorable = (positives > 0) & (negatives > 0)
    hits = present & predicted

    recall_positive = fractions(hits.sum(axis=0), positives)
    recall_negative = fractions((absent & ~predicted).sum(axis=0), negatives)
    precision = fractions(hits.sum(axis=0), predicted.sum(axis=0), empty=0.0)
    f1 = _harmonic_mean(precision, recall_positive)
    for figure in (recall_positive, recall_negative, precision, f1):
        figure[~scorable] = np.nan
    mean_accuracy = (recall_positive + recall_negative) / 2
    ap = np.full(probs.shape[1], np.nan)
    for c in np.flatnonzero(scorable):
        specified = present[:, c] | absent[:, c]
        ap[c] = average_precision(probs[specified, c], present[specified, c])
    macro = {
        "mean_accuracy": mean_accuracy,
        "mean_average_precision": ap,
        "macro_precision": precision,
        "macro_recall": recall_positive,
        "macro_f1": f1,
    }
    means = {name: _mean(values[scorable]) for name, values in macro.items()}
    return Scores(
        positives=positives,
        negatives=negatives,
        scorable=scorable,
        recall_positive=recall_positive,
        recall_negative=recall_negative,
        mean_accuracy=mean_accuracy,
        precision=precision,
        f1=f1,
        average_precision=ap,
        thresholds=thresholds,
        totals=Totals(**means, **_pooled_totals(present, absent, predicted)),
    )


def _thresholds(limits: Limits, attributes: int) -> Floats:
    """A threshold for each attribute."""
    thresholds = thresholds_of(limits)
    if thresholds.shape not in ((), (attributes,)):
        raise ValueError(f"{thresholds.shape} thresholds for {attributes} attributes")
    return np.broadcast_to(thresholds, (attributes,)).copy()


def _pooled_totals(present: Booleans, absent: Booleans, predicted: Booleans) -> dict[str, float]:
    """The totals over images and over all labels; the arguments are `[n x c]`."""
    with_positives = present.any(axis=1)
    hits = present & predicted
    hits_per_image = hits[with_positives].sum(axis=1)
    predicted_per_image = predicted[with_positives].sum(axis=1)
    union_per_image = (present | predicted)[with_positives].sum(axis=1)
    instance_precision = _mean(fractions(hits_per_image, predicted_per_image, empty=0.0))
    instance_recall = _mean(fractions(hits_per_image, present[with_positives].sum(axis=1)))
    no_prediction = 0.0 if (present | absent).any() else np.nan
    micro_precision = _ratio(hits.sum(), predicted.sum(), empty=no_prediction)
    micro_recall = _ratio(hits.sum(), present.sum())
    return {
        "instance_accuracy": _mean(fractions(hits_per_image, union_per_image)),
        "instance_precision": instance_precision,
        "instance_recall": instance_recall,
        "instance_f1": float(_harmonic_mean(instance_precision, instance_recall)),
        "micro_precision": micro_precision,
        "micro_recall": micro_recall,
        "micro_f1": float(_harmonic_mean(micro_precision, micro_recall)),
    }


def average_precision(scores: ArrayLike, positives: ArrayLike) -> float:
    """Area under the precision-recall steps, Σ_k (R_k − R_{k−1}) · P_k.

    Args:
        scores: `[n]`; equal scores are taken together, in one step.
        positives: `[n]`, true where the attribute is present.

    Returns:
        The average precision, NaN without a positive.
    """
    values = np.asarray(scores, dtype=np.float64)
    is_positive = np.asarray(positives, dtype=bool)
    total = int(is_positive.sum())
    if total == 0:
        return float("nan")
    order, last_of_ties = ranking(values)
    hits = np.cumsum(is_positive[order])
    precision = hits[last_of_ties] / (last_of_ties + 1)
    recall_gained = np.diff(hits[last_of_ties], prepend=0) / total
    return float(np.sum(recall_gained * precision))


def ranking(scores: Floats) -> tuple[Integers, Integers]:
    """Positions of scores `[n]` from the highest on, and which of them end a run of equal ones."""
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    return order, last_of_ties


def fractions(
    part: NDArray[np.int64], whole: NDArray[np.int64] | Floats, empty: float = np.nan
) -> Floats:
    """part / whole, element by element, `empty` where whole is 0."""
    found: Floats = np.divide(part, whole, out=np.full(np.shape(part), empty), where=whole > 0)
    return found


def _ratio(part: np.int64, whole: np.int64, empty: float = np.nan) -> float:
    return float(part / whole) if whole else empty


def _harmonic_mean(a: Floats | float, b: Floats | float) -> Floats:
    """2ab / (a + b), 0 where both are 0, NaN where either is."""
    total = np.asarray(np.add(a, b), dtype=np.float64)
    product = 2.0 * np.multiply(a, b)
    return np.divide(product, total, out=np.array(total), where=total != 0)


def _mean(values: Floats) -> float:
    return float(np.mean(values)) if values.size else float("nan")
