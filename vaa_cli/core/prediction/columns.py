"""The columns of the rows of predictions: which attributes or groups, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
        # Each rule is applied once a row: rows come thousands a second.
        decided = self.rule.decide(found) if self.decisions or self._has_words else None
        written = decided.astype(int) if self.decisions and decided is not None else found
        numbers: list[float | int] = written.tolist()
        sure: list[bool] = (np.maximum(found, 1 - found) >= self.min_confidence).tolist()
        values: list[Value] = []
        for column in self.columns:
            if not all(sure[position] for position in column.positions):
                values.append(None)
            elif column.words is None or decided is None:
                values.append(numbers[column.positions[0]])
            else:
                words = zip(column.words, column.positions, strict=True)
                values.append(next((word for word, at in words if decided[at]), NONE_OF_GROUP))
        return values

    @property
    def _has_words(self) -> bool:
        return any(column.words is not None for column in self.columns)
