"""Pairs of attributes that are confused with each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.metrics import fractions
from vaa_cli.core.labels.table import ABSENT, PRESENT


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
    def of(
        cls, probabilities: ArrayLike, targets: ArrayLike, thresholds: ArrayLike
    ) -> "Confusions":
        """Count the mistakes of predictions `[n x c]` at thresholds `[c]`."""
        truth = np.asarray(targets)
        seen = np.asarray(probabilities) >= np.asarray(thresholds)
        missed = (truth == PRESENT) & ~seen
        wrongly = (truth == ABSENT) & seen
        together = missed.astype(np.int64).T @ wrongly.astype(np.int64)
        return cls(together, missed.sum(axis=0), wrongly.sum(axis=0), len(truth))

    @property
    def rate(self) -> NDArray[np.float64]:
        """Of the pictures in which the row's was missed, those with the column's; NaN for none."""
        return fractions(self.together, self.missed[:, None])

    @property
    def lift(self) -> NDArray[np.float64]:
        """The ratio to the count that independent mistakes would have."""
        expected = np.outer(self.missed, self.wrongly_predicted) / max(self.pictures, 1)
        return fractions(self.together, expected)
