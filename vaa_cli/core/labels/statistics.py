"""Statistics of a table's labels: how often attributes come, and which come together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import PRESENT, UNSPECIFIED, LabelTable

# Rows counted at once, to bound memory; float32 would count exactly up to 2²⁴.
_ROWS = 1 << 16
# Cochran's rule: below so many rows expected in a cell of the 2 × 2 table, phi is mostly chance.
_EXPECTED = 5


@dataclass(frozen=True)
class Pair:
    """Two attributes; figures over the rows in which both are specified.

    Attributes:
        first: the rarer of the two.
        second: the other.
        together: rows that have both.
        conditional: the fraction of the rows with `first` that have `second`.
        overall: the fraction of all these rows that have `second`.
        phi: correlation of the two, from -1 (exclude each other) to 1 (always together).
    """

    first: str
    second: str
    together: int
    conditional: float
    overall: float
    phi: float


@dataclass(frozen=True)
class LabelStatistics:
    """Counts and co-occurrence of the labels of a split.

    Attributes:
        priors: positives, negatives and unspecified of each of the `c` attributes.
        together: `[c x c]` int64, rows in which both attributes are present.
        present: `[c x c]` int64, rows with the row's attribute in which the column's is specified.
        specified: `[c x c]` int64, rows in which both attributes are specified.
    """

    priors: Priors
    together: NDArray[np.int64]
    present: NDArray[np.int64]
    specified: NDArray[np.int64]

    @classmethod
    def of(cls, table: LabelTable) -> "LabelStatistics":
        """Count the labels of a table (the training split's)."""
        count = len(table.attributes)
        together, present, specified = np.zeros((3, count, count), dtype=np.int64)
        for start in range(0, len(table), _ROWS):
            labels = table.labels[start : start + _ROWS]
            # numpy multiplies matrices of integers slowly.
            has = (labels == PRESENT).astype(np.float32)
            known = (labels != UNSPECIFIED).astype(np.float32)
            together += (has.T @ has).astype(np.int64)
            present += (has.T @ known).astype(np.int64)
            specified += (known.T @ known).astype(np.int64)
        return cls(Priors.of(table), together, present, specified)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The `c` names."""
        return self.priors.attributes

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Positions `[c]` from the rarest attribute to the most common; unknown priors last."""
        order: NDArray[np.int64] = np.argsort(self.priors.prior, kind="stable")
        return order

    @cached_property
    def conditional(self) -> NDArray[np.float64]:
        """`[c x c]` P(column present | row present), where the column is specified; else NaN."""
        return _divide(self.together, self.present)

    @cached_property
    def phi(self) -> NDArray[np.float64]:
        """`[c x c]` the correlation of two attributes over the rows in which both are specified.

        NaN where one of the two does not vary in these rows.
        """
        rows, columns, both = self.present, self.present.T, self.specified
        # A product of all four counts would not fit 64 bits, their square roots do.
        spread = np.sqrt(rows * (both - rows)) * np.sqrt(columns * (both - columns))
        return np.clip(_divide(both * self.together - rows * columns, spread), -1, 1)

    @cached_property
    def is_reliable(self) -> NDArray[np.bool_]:
        """`[c x c]` whether phi is more than chance by Cochran's rule.

        Each of the four cases (both attributes, one, the other, neither) would be expected in 5
        rows or more were the two independent.
        """
        rarer_case = np.minimum(self.present, self.specified - self.present)
        # The rarest case is expected in rarer_case * rarer_case.T / specified rows.
        reliable: NDArray[np.bool_] = rarer_case * rarer_case.T >= _EXPECTED * self.specified
        return reliable & (self.specified > 0)

    def strongest(self, count: int) -> tuple[list[Pair], list[Pair]]:
        """The pairs that come together most, and those that avoid each other most.

        A pair counts only if its phi is reliable.

        Args:
            count: largest number of each.

        Returns:
            The pairs of the highest phi above 0, and those of the lowest below 0; strongest first.
        """
        firsts, seconds = np.triu_indices(len(self.attributes), k=1)
        phi = np.nan_to_num(np.where(self.is_reliable, self.phi, 0)[firsts, seconds])

        def strongest(sign: int) -> list[Pair]:
            ranked = np.argsort(-sign * phi, kind="stable")[:count]
            return [self._pair(firsts[i], seconds[i]) for i in ranked if sign * phi[i] > 0]

        return strongest(1), strongest(-1)

    def _pair(self, first: np.intp, second: np.intp) -> Pair:
        if self.present[first, second] > self.present[second, first]:
            first, second = second, first
        return Pair(
            self.attributes[first],
            self.attributes[second],
            together=int(self.together[first, second]),
            conditional=float(self.conditional[first, second]),
            overall=float(self.present[second, first] / self.specified[first, second]),
            phi=float(self.phi[first, second]),
        )


def _divide(
    above: NDArray[np.int64], below: NDArray[np.int64] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """The quotients, NaN where the divisor is 0."""
    unknown = np.full(above.shape, np.nan)
    quotient: NDArray[np.float64] = np.divide(above, below, out=unknown, where=below > 0)
    return quotient
