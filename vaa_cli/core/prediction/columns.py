"""The columns of the rows of predictions: which attributes or groups, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.labels.groups import group_positions, word_of
from vaa_cli.core.labels.words import NONE_OF_GROUP
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.predictor import Prediction

# A probability, a decision, or the word of a group.
Value = float | int | str | None


@dataclass(frozen=True)
class Column:
    """A column of values.

    Attributes:
        name: name of an attribute, or of a group.
        positions: position of the attribute among the model's, or of all those of the group.
        words: the word of each attribute of a group; None for an attribute.
    """

    name: str
    positions: tuple[int, ...]
    words: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Columns:
    """The columns of each row.

    Attributes:
        columns: those of values, in their order.
        rule: how the model decides.
        boxes: whether rows have boxes.
        decisions: whether attributes have decisions, 1 or 0, in place of probabilities.
        min_confidence: leave out what is less sure; the confidence of a probability p is
            max(p, 1 - p).
        safe: put an apostrophe before names in a CSV that a spreadsheet would take for formulas.
    """

    columns: tuple[Column, ...]
    rule: DecisionRule
    boxes: bool = False
    decisions: bool = False
    min_confidence: float = 0.0
    safe: bool = False

    @classmethod
    def of(
        cls,
        card: ModelCard,
        boxes: bool = False,
        decisions: bool = False,
        min_confidence: float = 0.0,
        positions: Sequence[int] | None = None,
        safe: bool = False,
        groups: bool = False,
    ) -> "Columns":
        """The columns of a model's attributes, or of those at some positions.

        Args:
            card: the model's card.
            boxes: see the class.
            decisions: see the class.
            min_confidence: see the class.
            positions: positions of the attributes; None for all.
            safe: see the class.
            groups: have one column for each exclusive group, with the word that is decided.
        """
        chosen = range(len(card.attributes)) if positions is None else positions
        of_group: dict[int, Column] = {}
        for name, members in group_positions(
            card.groups if groups else {}, card.attributes
        ).items():
            words = tuple(word_of(name, card.attributes[member]) for member in members)
            of_group |= dict.fromkeys(members, Column(name, tuple(members), words))
        columns = [
            of_group.get(position, Column(card.attributes[position], (position,)))
            for position in chosen
        ]
        rule = DecisionRule.of(card)
        unique = tuple(dict.fromkeys(columns))
        return cls(unique, rule, boxes, decisions, min_confidence, safe)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of values."""
        return tuple(column.name for column in self.columns)

    def values(self, prediction: Prediction) -> list[Value]:
        """The values of the columns; None for broken pictures and for values left out."""
        found = prediction.probabilities
        if found is None:
            return [None] * len(self.columns)
        written = self.rule.decide(found).astype(int) if self.decisions else found
        numbers: list[float | int] = written.tolist()
        sure: list[bool] = (np.maximum(found, 1 - found) >= self.min_confidence).tolist()
        return [
            numbers[column.positions[0]]
            if column.words is None and sure[column.positions[0]]
            else self._word(column, found, sure)
            for column in self.columns
        ]

    def _word(self, column: Column, found: NDArray[np.float32], sure: Sequence[bool]) -> str | None:
        """The word of a group, `(none)` where none is present; None where that is not sure."""
        if column.words is None or not all(sure[position] for position in column.positions):
            return None
        decided = self.rule.decide(found)
        words = zip(column.words, column.positions, strict=True)
        return next((word for word, position in words if decided[position]), NONE_OF_GROUP)
