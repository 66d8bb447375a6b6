"""Precision-recall and reliability curves of one attribute."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.metrics import ranking

Floats = NDArray[np.float64]

BINS = 15


class PrecisionRecall(NamedTuple):
    """A step for each distinct score, from the highest threshold to the lowest."""

    recall: Floats
    precision: Floats


class Reliability(NamedTuple):
    """The bins that hold predictions, of 15 of equal width."""

    predicted: Floats  # mean probability
    present: Floats  # fraction of positives
    counts: NDArray[np.int64]


def precision_recall(scores: ArrayLike, positives: ArrayLike) -> PrecisionRecall:
    """Precision and recall at each threshold that changes them.

    Args:
        scores: `[n]`.
        positives: `[n]`, true where the attribute is present, at least once.
    """
    values = np.asarray(scores, dtype=np.float64)
    order, last_of_ties = ranking(values)
    hits = np.cumsum(np.asarray(positives, dtype=bool)[order])
    return PrecisionRecall(hits[last_of_ties] / hits[-1], hits[last_of_ties] / (last_of_ties + 1))


def reliability(probabilities: ArrayLike, positives: ArrayLike) -> Reliability:
    """The fraction of pictures with an attribute, in bins of its predicted probability.

    Args:
        probabilities: `[n]`, in [0, 1].
        positives: `[n]`, true where the attribute is present.
    """
    probs = np.asarray(probabilities, dtype=np.float64)
    bins = np.minimum((probs * BINS).astype(np.int64), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = counts > 0
    predicted = np.bincount(bins, weights=probs, minlength=BINS)[filled] / counts[filled]
    present = np.asarray(positives, dtype=np.float64)
    found = np.bincount(bins, weights=present, minlength=BINS)[filled] / counts[filled]
    return Reliability(predicted, found, counts[filled])
