"""Pairs of attributes that are confused with each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.metrics import fractions
from vaa_cli.core.labels.table import ABSENT, PRESENT
from vaa_cli.core.prediction.decisions import Limits, decided


def mistakes(
    probabilities: ArrayLike, targets: ArrayLike, limits: Limits
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which attributes of which pictures were missed, and which wrongly predicted; `[n x c]` each.

    Args:
        probabilities: `[n x c]`.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        limits: how it is decided: a rule, or thresholds `[c]`.
    """
    truth = np.asarray(targets)
    predicted = decided(probabilities, limits)
    return (truth == PRESENT) & ~predicted, (truth == ABSENT) & predicted


@dataclass(frozen=True)
class Confusions:
    """Counts of pictures in which one attribute was missed and another wrongly predicted.

    Attributes:
        together: `[c x c]`, pictures in which the row's was missed and the column's wrongly seen.
        missed: `[c]`, pictures in which each was missed.
        wrongly_predicted: `[c]`.
        pictures: number of pictures.
    """

    together: NDArray[np.int64]
    missed: NDArray[np.int64]
    wrongly_predicted: NDArray[np.int64]
    pictures: int

    @classmethod
    def of(cls, probabilities: ArrayLike, targets: ArrayLike, limits: Limits) -> "Confusions":
        """Count the mistakes of predictions `[n x c]`, decided by a rule or at thresholds `[c]`."""
        missed, wrongly = mistakes(probabilities, targets, limits)
        together = missed.astype(np.int64).T @ wrongly.astype(np.int64)
        return cls(together, missed.sum(axis=0), wrongly.sum(axis=0), len(missed))

    @property
    def rate(self) -> NDArray[np.float64]:
        """Of the pictures in which the row's was missed, those with the column's; NaN for none."""
        return fractions(self.together, self.missed[:, None])

    @property
    def lift(self) -> NDArray[np.float64]:
        """The ratio to the count that independent mistakes would have."""
        expected = np.outer(self.missed, self.wrongly_predicted) / max(self.pictures, 1)
        return fractions(self.together, expected)
