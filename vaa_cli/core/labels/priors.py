"""The attribute priors: how often each attribute is present in training."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED, LabelTable


@dataclass(frozen=True)
class Priors:
    """Counts of each attribute's labels in the training split, `[c]`, and its prior."""

    attributes: tuple[str, ...]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    unspecified: NDArray[np.int64]

    @classmethod
    def of(cls, table: LabelTable) -> "Priors":
        """Count the labels of a table (the training split's)."""
        return cls(
            table.attributes,
            positives=(table.labels == PRESENT).sum(axis=0),
            negatives=(table.labels == ABSENT).sum(axis=0),
            unspecified=(table.labels == UNSPECIFIED).sum(axis=0),
        )

    @property
    def prior(self) -> NDArray[np.float64]:
        """a_c, the fraction of positives among the specified labels; NaN where there are none."""
        specified = self.positives + self.negatives
        unknown = np.full(len(specified), np.nan)
        prior: NDArray[np.float64] = np.divide(
            self.positives, specified, out=unknown, where=specified > 0
        )
        return prior

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Whether each attribute never varies in training, so that it cannot be learned."""
        constant: NDArray[np.bool_] = (self.positives == 0) | (self.negatives == 0)
        return constant

    @property
    def weight(self) -> NDArray[np.float64]:
        """w_c = exp(−a_c) of eq. 4; 1 for a constant attribute, as the loss has it."""
        return np.where(self.constant, 1.0, np.exp(-self.prior))

    def to_frame(self) -> pd.DataFrame:
        """The table that priors.csv holds."""
        return pd.DataFrame(
            {
                "attribute": self.attributes,
                "positives": self.positives,
                "negatives": self.negatives,
                "unspecified": self.unspecified,
                "prior": self.prior,
                "weight": self.weight,
            }
        )
