"""Decisions on attributes by their thresholds, and which attributes to name first."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.labels.groups import group_positions
from vaa_cli.core.models.card import ModelCard

# Probabilities nearer to 0 or 1 have no logit.
_LOWEST = 1e-7


@dataclass(frozen=True)
class DecisionRule:
    """How probabilities become decisions.

    An attribute is present at or above its threshold. Of an exclusive group, at most one is: the
    one that is furthest above its threshold, as a rare one is decided at a small probability.

    Attributes:
        thresholds: C probabilities.
        groups: positions of the attributes of each group.

    Example:
        >>> rule = DecisionRule((0.5, 0.5, 0.1), groups=((1, 2),))
        >>> rule.decide([0.9, 0.6, 0.3]).tolist()
        [True, False, True]
    """

    thresholds: tuple[float, ...]
    groups: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of(cls, card: ModelCard) -> "DecisionRule":
        """The rule of a model."""
        groups = group_positions(card.groups, card.attributes).values()
        return cls(card.thresholds, tuple(map(tuple, groups)))

    def of_some(self, positions: Sequence[int]) -> "DecisionRule":
        """The rule of some of the attributes, in another order; the others are passed over."""
        place = {position: number for number, position in enumerate(positions)}
        groups = [tuple(place[one] for one in group if one in place) for group in self.groups]
        return DecisionRule(
            tuple(self.thresholds[position] for position in positions),
            tuple(tuple(sorted(group)) for group in groups if len(group) > 1),
        )

    def decide(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Whether each attribute is present.

        Args:
            probabilities: `[C]` or `[n x C]`.

        Returns:
            The same shape.
        """
        found = np.asarray(probabilities)
        present: NDArray[np.bool_] = found >= np.asarray(self.thresholds)
        for group in self.groups:
            members = list(group)
            above = margins(found[..., members], np.asarray(self.thresholds)[members])
            likeliest = np.arange(len(members)) == above.argmax(axis=-1)[..., None]
            present[..., members] &= likeliest
        return present


# How probabilities become decisions: by a rule, or at thresholds, one for each or one for all.
Limits = DecisionRule | ArrayLike | float


def decided(probabilities: ArrayLike, limits: Limits) -> NDArray[np.bool_]:
    """Whether attributes are present, by a rule or at thresholds.

    Args:
        probabilities: `[n x c]`.
        limits: the rule, or thresholds `[c]`, or one for all.
    """
    if isinstance(limits, DecisionRule):
        return limits.decide(probabilities)
    present: NDArray[np.bool_] = np.asarray(probabilities) >= np.asarray(limits)
    return present


def thresholds_of(limits: Limits) -> NDArray[np.float64]:
    """The thresholds, `[c]` or one for all."""
    found = limits.thresholds if isinstance(limits, DecisionRule) else limits
    return np.asarray(found, dtype=np.float64)


def by_margin(probabilities: ArrayLike, thresholds: ArrayLike) -> list[int]:
    """Positions of attributes, those that are furthest above their thresholds first.

    A rare attribute is decided to be present at a small probability, so the largest probabilities
    are not the surest decisions. The margin is the difference of the logits.

    Args:
        probabilities: `[c]`.
        thresholds: `[c]`.
    """
    order: list[int] = np.argsort(-margins(probabilities, thresholds), kind="stable").tolist()
    return order


def margins(probabilities: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """How far probabilities are above their thresholds, as differences of logits.

    Args:
        probabilities: `[... x c]`.
        thresholds: `[c]`.
    """
    found: NDArray[np.float64] = _logit(probabilities) - _logit(thresholds)
    return found


def _logit(values: ArrayLike) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(values, dtype=np.float64), _LOWEST, 1 - _LOWEST)
    logits: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return logits
