"""Figures of exclusive groups: how often the decided one is right, and what it is taken for."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.records import Record
from vaa_cli.core.labels.groups import group_positions, group_values, word_of
from vaa_cli.core.labels.table import PRESENT
from vaa_cli.core.labels.words import NONE_OF_GROUP
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.decisions import DecisionRule


@dataclass(frozen=True)
class GroupScores:
    """The figures of one group.

    Attributes:
        name: name of the group.
        words: the words of its k attributes, and `(none)`.
        confusion: `[k + 1 x k + 1]` counts of rows, true by decided.
    """

    name: str
    words: tuple[str, ...]
    confusion: NDArray[np.int64]

    @property
    def true_words(self) -> list[int]:
        """Positions of the words that some row has."""
        return np.flatnonzero(self.confusion.any(axis=1)).tolist()

    @property
    def rows(self) -> int:
        """Number of rows whose word is known."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The fraction of rows for which the right one is decided; NaN without rows."""
        return float(np.trace(self.confusion)) / self.rows if self.rows else float("nan")

    @property
    def record(self) -> Record:
        """The figures by name."""
        return {"group": self.name, "rows": self.rows, "accuracy": self.accuracy}


def score_groups(
    card: ModelCard, probabilities: ArrayLike, labels: NDArray[np.int8]
) -> list[GroupScores]:
    """Score the groups of a model.

    Args:
        card: its card.
        probabilities: `[n x c]`.
        labels: `[n x c]`: 1 present, 0 absent, -1 unspecified.
    """
    decided = np.where(DecisionRule.of(card).decide(probabilities), PRESENT, 0).astype(np.int8)
    positions: Mapping[str, list[int]] = group_positions(card.groups, card.attributes)
    scores = []
    for name, members in positions.items():
        truth, found = group_values(labels, members), group_values(decided, members)
        size = len(members) + 1
        known = truth >= 0
        confusion = np.bincount(truth[known] * size + found[known], minlength=size * size)
        words = (*(word_of(name, card.attributes[member]) for member in members), NONE_OF_GROUP)
        scores.append(GroupScores(name, words, confusion.reshape(size, size)))
    return scores
