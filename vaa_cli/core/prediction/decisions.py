"""Decisions on attributes by their thresholds, and which attributes to name first."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Probabilities nearer to 0 or 1 have no logit.
_LOWEST = 1e-7


def by_margin(probabilities: ArrayLike, thresholds: ArrayLike) -> list[int]:
    """Positions of attributes, those that are furthest above their thresholds first.

    A rare attribute is decided to be present at a small probability, so the largest probabilities
    are not the surest decisions. The margin is the difference of the logits.

    Args:
        probabilities: `[c]`.
        thresholds: `[c]`.
    """
    margin = _logit(probabilities) - _logit(thresholds)
    order: list[int] = np.argsort(-margin, kind="stable").tolist()
    return order


def _logit(values: ArrayLike) -> NDArray[np.float64]:
    inside = np.clip(np.asarray(values, dtype=np.float64), _LOWEST, 1 - _LOWEST)
    logits: NDArray[np.float64] = np.log(inside) - np.log1p(-inside)
    return logits
