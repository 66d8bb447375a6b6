"""Cutting a table into training, validation and test parts so that each has rare attributes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import ABSENT, PRESENT, SPLITS, LabelTable

TRAIN, VAL = SPLITS.index("train"), SPLITS.index("val")
FRACTIONS = (0.7, 0.1, 0.2)  # of train, val and test
VAL_FRACTION = 0.1  # of train, where a dataset has no val
_DRAWS = 20


def assign_splits(
    table: LabelTable, seed: int = 0, val_share: float | None = None
) -> NDArray[np.int8]:
    """The split of each row: the dataset's own, or 70 / 10 / 20 where it has none.

    Args:
        table: the rows.
        seed: seed of the random order.
        val_share: the fraction of train that becomes val where the dataset's own split has no val;
            None for 0.1, 0 to leave it without.

    Returns:
        `[n]` positions in `SPLITS`.

    Raises:
        VAAError: there is nothing to train on, or a fraction is asked for that is not needed.
    """
    if table.splits is None:
        if val_share is not None:
            raise VAAError("`val_share` is for datasets with a split of their own; this has none")
        return stratified_parts(table, FRACTIONS, seed)
    splits = table.splits.copy()
    require_train(table)
    train, val = np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == VAL)
    if len(val) and val_share:
        raise VAAError(f"`val_share`: the dataset has a val split of its own ({len(val)})")
    fraction = VAL_FRACTION if val_share is None else val_share
    if fraction and not len(val):
        parts = stratified_parts(table.select(train), (1 - fraction, fraction), seed)
        splits[train[parts == 1]] = VAL
    return splits


def require_train(table: LabelTable) -> None:
    """Check that a table with splits has rows to train on.

    Raises:
        VAAError: it has none in train.
    """
    if table.splits is None or not (table.splits == TRAIN).any():
        raise VAAError("the split 'train' has no pictures; a model needs some to learn from")


def pictures_in_two_splits(table: LabelTable) -> list[str]:
    """The pictures that have rows in more than one split: a model would be tested on what it saw.

    Raises:
        ValueError: the table has no splits.
    """
    if table.splits is None:
        raise ValueError("the table has no splits yet")
    pictures = table.distinct_images
    lowest, highest = np.full(len(pictures.names), len(SPLITS)), np.full(len(pictures.names), -1)
    np.minimum.at(lowest, pictures.row_index, table.splits)
    np.maximum.at(highest, pictures.row_index, table.splits)
    return [pictures.names[position] for position in np.flatnonzero(lowest < highest)]


def stratified_parts(
    table: LabelTable, fractions: Sequence[float] = FRACTIONS, seed: int = 0
) -> NDArray[np.int8]:
    """Assign each row to a part, keeping every attribute's fraction alike in all parts.

    Iterative stratification (Sechidis et al., ECML PKDD 2011): labels are dealt out from the
    rarest on, since the common ones can be evened out later and the rare ones cannot. Present and
    absent count as a label each, so that attributes that most people have keep their negatives.
    Rows of one person stay together, or of one picture where the table has no identities.

    Args:
        table: the rows; its own splits are not looked at.
        fractions: the size of each part, summing to 1.
        seed: seed of the random order.

    Returns:
        `[n]` the part of each row.
    """
    people = table.identities
    group = table.distinct_images.row_index if people is None else pd.factorize(people)[0]
    marks = _marks(table, group)

    # A draw can leave a part without a label that had enough to go round; another seldom does.
    best, fewest = None, None
    for draw in range(_DRAWS):
        parts = _deal(marks, np.asarray(fractions), np.random.default_rng((seed, draw)))
        bare = _bare_parts(marks, parts, len(fractions))
        if fewest is None or bare < fewest:
            best, fewest = parts, bare
        if bare == 0:
            break
    assert best is not None
    return best[group].astype(np.int8)


def _marks(table: LabelTable, group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`[groups x 2c]` which labels, present and absent, any row of a group has."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    marks = [
        np.logical_or.reduceat(table.labels[order] == label, starts, axis=0)
        for label in (PRESENT, ABSENT)
    ]
    return np.hstack(marks)


def _deal(
    marks: NDArray[np.bool_], fractions: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    parts = np.full(len(marks), -1)
    order = rng.permutation(len(marks))
    left = marks.sum(axis=0)
    wanted = left[None, :] * fractions[:, None]  # how many of each label each part still wants
    rest = len(marks) * fractions
    while (left > 0).any():
        label = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max)))
        rows = order[(parts[order] < 0) & marks[order, label]]
        lacking = ~np.array([marks[parts == p, label].any() for p in range(len(fractions))])
        counts = _apportion(len(rows), wanted[:, label], lacking)
        parts[rows] = np.repeat(np.arange(len(fractions)), counts)
        for p in range(len(fractions)):
            dealt = rows[parts[rows] == p]
            wanted[p] -= marks[dealt].sum(axis=0)
            rest[p] -= len(dealt)
        left -= marks[rows].sum(axis=0)
    unlabelled = order[parts[order] < 0]
    counts = _apportion(len(unlabelled), rest, np.zeros(len(fractions), dtype=bool))
    parts[unlabelled] = np.repeat(np.arange(len(fractions)), counts)
    return parts


def _apportion(
    total: int, wanted: NDArray[np.float64], lacking: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Whole numbers that sum to `total`, close to `wanted`, at least 1 where `lacking`."""
    floor = lacking.astype(np.int64) if total >= lacking.sum() else np.zeros(len(wanted), np.int64)
    counts = floor.copy()
    for _ in range(total - int(floor.sum())):
        counts[np.argmax(wanted - counts)] += 1
    return counts


def _bare_parts(marks: NDArray[np.bool_], parts: NDArray[np.int64], n: int) -> int:
    """The number of (label, part) pairs without a label that n pictures or more have."""
    enough = marks.sum(axis=0) >= n
    held = np.stack([marks[parts == p].sum(axis=0) for p in range(n)])
    return int((held[:, enough] == 0).sum())
