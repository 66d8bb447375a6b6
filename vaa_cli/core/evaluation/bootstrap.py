"""Intervals of figures, by the bootstrap over images.

Efron and Tibshirani, An Introduction to the Bootstrap, 1993: pictures are drawn again, with
replacement, and each figure is computed of each draw; an interval is between percentiles. Runs
that are compared see the same draws, so that what is hard for both does not blur their difference.
Where a method was trained with several seeds, these are drawn again, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.evaluation.metrics import Scores, ranking
from vaa_cli.core.labels.table import ABSENT, PRESENT
from vaa_cli.core.prediction.decisions import Limits, decided

Floats = NDArray[np.float64]

SAMPLES = 1000
CONFIDENCE = 0.95
# Numbers in memory for draws at a time.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Draws:
    """Figures of each draw of pictures; NaN where an attribute cannot be scored.

    Attributes:
        mean_accuracy: `[b x c]`.
        average_precision: `[b x c]`.
        instance_f1: `[b]`.
    """

    mean_accuracy: Floats
    average_precision: Floats
    instance_f1: Floats

    @property
    def totals(self) -> dict[str, Floats]:
        """The totals of each draw, `[b]`, by name; over the attributes that it can score."""
        return {
            "mA": _mean_over_scored(self.mean_accuracy),
            "mAP": _mean_over_scored(self.average_precision),
            "instance F1": self.instance_f1,
        }


def bootstrap(
    runs: Sequence[tuple[ArrayLike, Limits]],
    targets: ArrayLike,
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Draws]:
    """The figures of one or several runs on the same draws of pictures.

    Args:
        runs: probabilities `[n x c]` of each run, and how it decides: a rule, or thresholds, `[c]`
            or one for all.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        samples: number of draws.
        seed: seed of the draws.
    """
    truth = np.asarray(targets)
    scorers = [_Scorer(np.asarray(p, dtype=np.float64), truth, limits) for p, limits in runs]
    found: list[list[Draws]] = [[] for _ in scorers]
    for counts in _draws(len(truth), samples, seed):
        for parts, scorer in zip(found, scorers, strict=True):
            parts.append(scorer.score(counts))
    return [
        Draws(
            np.concatenate([part.mean_accuracy for part in parts]),
            np.concatenate([part.average_precision for part in parts]),
            np.concatenate([part.instance_f1 for part in parts]),
        )
        for parts in found
    ]


def bootstrap_means(
    groups: Sequence[Sequence[tuple[ArrayLike, Limits]]],
    targets: ArrayLike,
    samples: int = SAMPLES,
    seed: int = 0,
) -> list[Draws]:
    """The mean figures of groups of runs, on the same draws of pictures and of runs.

    A group is one method trained with several seeds. Where all groups have as many runs, the runs
    at a position are taken for ones of the same seed, and drawn together; else each group draws by
    itself.

    Args:
        groups: the runs of each group, see `bootstrap`.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        samples: number of draws.
        seed: seed of the draws.
    """
    draws = bootstrap([run for group in groups for run in group], targets, samples, seed)
    rng = np.random.default_rng((seed, 1))
    sizes = [len(group) for group in groups]
    paired = _run_weights(rng, samples, sizes[0]) if len(set(sizes)) == 1 else None
    means, start = [], 0
    for size in sizes:
        weights = _run_weights(rng, samples, size) if paired is None else paired
        means.append(_weighted(draws[start : start + size], weights))
        start += size
    return means


def _run_weights(rng: np.random.Generator, samples: int, runs: int) -> Floats:
    """The fraction of each draw that each run is, `[b x k]`."""
    return rng.multinomial(runs, np.full(runs, 1 / runs), samples) / runs


def _weighted(draws: Sequence[Draws], weights: Floats) -> Draws:
    columns = list(weights.T)

    def mean(arrays: Sequence[Floats]) -> Floats:
        total = np.zeros_like(arrays[0])
        for array, column in zip(arrays, columns, strict=True):
            total += array * (column if array.ndim == 1 else column[:, None])
        return total

    return Draws(
        mean([one.mean_accuracy for one in draws]),
        mean([one.average_precision for one in draws]),
        mean([one.instance_f1 for one in draws]),
    )


def interval(estimate: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    """The middle 95 % of draws around a figure.

    The draws are moved so that their mean is the figure: a picture that is drawn twice has its
    like beside it, by which the average precision of rare attributes rises in every draw.

    Args:
        estimate: the figure of all pictures, a number or `[c]`.
        values: the figure of each draw, `[b]` or `[b x c]`.

    Returns:
        Both ends; NaN where most draws cannot be scored.
    """
    draws = np.asarray(values, dtype=np.float64)
    tail = (1 - CONFIDENCE) / 2
    scored = np.isfinite(draws)
    # Quantiles and means that ignore NaN warn where nothing else is there.
    safe = np.where(scored.any(axis=0), draws, 0.0)
    shift = np.asarray(estimate, dtype=np.float64) - np.nanmean(safe, axis=0)
    low, high = np.nanquantile(safe, [tail, 1 - tail], axis=0) + shift
    enough = scored.mean(axis=0) > 0.5
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _draws(pictures: int, samples: int, seed: int) -> Iterator[Floats]:
    """The number of times that each picture is drawn, `[b x n]`, some draws at a time."""
    rng = np.random.default_rng(seed)
    at_once = max(1, _AT_ONCE // pictures)
    for start in range(0, samples, at_once):
        count = min(at_once, samples - start)
        drawn = rng.integers(0, pictures, (count, pictures))
        drawn += np.arange(count)[:, None] * pictures
        yield (
            np.bincount(drawn.ravel(), minlength=count * pictures)
            .reshape(count, pictures)
            .astype(np.float64)
        )


class _Scorer:
    """Scores the draws of one run; holds all that does not change between them."""

    def __init__(self, probabilities: Floats, truth: NDArray[np.int8], limits: Limits) -> None:
        self._probabilities = probabilities
        present, absent = truth == PRESENT, truth == ABSENT
        predicted = decided(probabilities, limits) & (present | absent)
        self._present, self._absent = present, absent
        self._hits = (present & predicted).astype(np.float64)
        self._spared = (absent & ~predicted).astype(np.float64)
        with_positives = present.any(axis=1)
        hits = self._hits.sum(axis=1)
        # As in `metrics`: the means are over the images that have an attribute.
        self._instance = np.stack(
            [
                with_positives,
                np.where(with_positives, hits / np.maximum(predicted.sum(axis=1), 1), 0),
                np.where(with_positives, hits / np.maximum(present.sum(axis=1), 1), 0),
            ],
            axis=1,
        ).astype(np.float64)

    def score(self, counts: Floats) -> Draws:
        positives = counts @ self._present
        negatives = counts @ self._absent
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is the NaN that is meant
            accuracy = (counts @ self._hits / positives + counts @ self._spared / negatives) / 2
            images, precision, recall = (counts @ self._instance).T
            instance_f1 = 2 * precision * recall / (images * (precision + recall))
        precisions = np.stack(
            [self._average_precision(counts, c) for c in range(self._present.shape[1])], axis=1
        )
        precisions[(positives == 0) | (negatives == 0)] = np.nan
        return Draws(accuracy, precisions, instance_f1)

    def _average_precision(self, counts: Floats, c: int) -> Floats:
        rows = np.flatnonzero(self._present[:, c] | self._absent[:, c])
        if not len(rows):
            return np.full(len(counts), np.nan)
        order, last_of_ties = ranking(self._probabilities[rows, c])
        order = rows[order]
        weights = counts[:, order]
        everything = weights.cumsum(axis=1)[:, last_of_ties]
        hits = (weights * self._present[order, c]).cumsum(axis=1)[:, last_of_ties]
        gained = np.diff(hits, axis=1, prepend=0)
        # Where nothing was drawn yet there is nothing gained either.
        precision = hits / np.maximum(everything, 1)
        with np.errstate(invalid="ignore"):
            found: Floats = (gained * precision).sum(axis=1) / hits[:, -1]
        return found


def total_figures(scores: Scores) -> dict[str, float]:
    """The totals that `Draws.totals` has of each draw, of all pictures."""
    totals = scores.totals
    return {
        "mA": totals.mean_accuracy,
        "mAP": totals.mean_average_precision,
        "instance F1": totals.instance_f1,
    }


def _mean_over_scored(values: Floats) -> Floats:
    scored = np.isfinite(values)
    count = scored.sum(axis=1)
    total = np.where(scored, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
