"""Which attributes are mistaken for each other."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.metrics import shares
from vaa_cli.core.labels.table import ABSENT, PRESENT


@dataclass(frozen=True)
class Confusions:
    """How often one attribute was missed and another wrongly seen, in the same picture.

    Attributes:
        together: `[c x c]`, pictures in which the row's was missed and the column's wrongly seen.
        missed: `[c]`, pictures in which each was missed.
        wrongly_predicted: `[c]`.
        pictures: how many there are in all.
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
    def share(self) -> NDArray[np.float64]:
        """Of the pictures in which the row's was missed, those with the column's; NaN for none."""
        return shares(self.together, self.missed[:, None])

    @property
    def lift(self) -> NDArray[np.float64]:
        """How many times as often as if the two mistakes had nothing to do with each other."""
        expected = np.outer(self.missed, self.wrongly_predicted) / max(self.pictures, 1)
        return shares(self.together, expected)
