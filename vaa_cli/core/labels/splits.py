"""Cutting a table into training, validation and test parts, in which its pictures stay.

A picture's part follows from a hash of its name, or of the person on it: rows that are added later
move no picture from test into train, where a model would have learned it. Two corrections move a
few pictures: parts whose size is far from what it should be, and parts without a positive of an
attribute of which there are enough.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import ABSENT, PRESENT, SPLITS, LabelTable

TRAIN, VAL = SPLITS.index("train"), SPLITS.index("val")
FRACTIONS = (0.7, 0.1, 0.2)  # of train, val and test
VAL_FRACTION = 0.1  # of train, where a dataset has no val
# How far the size of a part of 1,000 rows may be from its fraction; of fewer rows further, as their
# draws vary more.
_TOLERANCE, _ROWS = 0.03, 1000


@dataclass(frozen=True)
class EarlierSplits:
    """The parts that pictures and people had before, positions in `SPLITS`.

    Attributes:
        images: part of each picture, by its name.
        identities: part of each person.
    """

    images: Mapping[str, int]
    identities: Mapping[str, int]

    @classmethod
    def of(cls, tables: Iterable[tuple[LabelTable, int]]) -> "EarlierSplits":
        """The parts of the rows of tables, each with its position in `SPLITS`."""
        images: dict[str, int] = {}
        identities: dict[str, int] = {}
        for table, part in tables:
            images |= dict.fromkeys(table.row_images, part)
            if table.identities is not None:
                identities |= dict.fromkeys(map(str, table.identities.tolist()), part)
        return cls(images, identities)


def assign_splits(
    table: LabelTable,
    seed: int = 0,
    val_share: float | None = None,
    earlier: EarlierSplits | None = None,
) -> NDArray[np.int8]:
    """The split of each row: the dataset's own, or 70 / 10 / 20 where it has none.

    Args:
        table: the rows.
        seed: seed of the hash.
        val_share: the fraction of train that becomes val where the dataset's own split has no val;
            None for 0.1, 0 to leave it without.
        earlier: the parts that rows had before, which they keep where the dataset has no split.

    Returns:
        `[n]` positions in `SPLITS`.

    Raises:
        VAAError: there is nothing to train on, or a fraction is asked for that is not needed.
    """
    if table.splits is None:
        if val_share is not None:
            raise VAAError("`val_share` is for datasets with a split of their own; this has none")
        return hashed_parts(table, FRACTIONS, seed, earlier)
    splits = table.splits.copy()
    require_train(table)
    train, val = np.flatnonzero(splits == TRAIN), np.flatnonzero(splits == VAL)
    if len(val) and val_share:
        raise VAAError(f"`val_share`: the dataset has a val split of its own ({len(val)})")
    fraction = VAL_FRACTION if val_share is None else val_share
    if fraction and not len(val):
        parts = hashed_parts(table.select(train), (1 - fraction, fraction), seed)
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


def positives_of_parts(table: LabelTable) -> NDArray[np.int64]:
    """The number of positives `[parts x c]` in each part of `SPLITS`.

    Raises:
        ValueError: the table has no splits.
    """
    if table.splits is None:
        raise ValueError("the table has no splits yet")
    present = table.labels == PRESENT
    return np.stack([present[table.splits == part].sum(axis=0) for part in range(len(SPLITS))])


def hashed_parts(
    table: LabelTable,
    fractions: Sequence[float] = FRACTIONS,
    seed: int = 0,
    earlier: EarlierSplits | None = None,
) -> NDArray[np.int8]:
    """Assign each row to a part by a hash of its picture's name, or of its person.

    Rows of one person stay together, or of one picture where the table has no identities.

    Args:
        table: the rows; its own splits are not looked at.
        fractions: the size of each part, summing to 1.
        seed: seed of the hash.
        earlier: the parts that rows had before, which they keep.

    Returns:
        `[n]` the part of each row.
    """
    group, names = _groups(table)
    sizes = np.bincount(group, minlength=len(names))
    hashes = np.array([_hash(name, seed) for name in names])
    parts = _by_hash(hashes, sizes, np.asarray(fractions))
    fixed = np.zeros(len(names), dtype=bool)
    if earlier is not None:
        fixed = _keep(parts, group, names, table, earlier)
    marks = _marks(table, group)
    if len(names) >= len(fractions):
        _spread(parts, marks, np.argsort(hashes, kind="stable"), fixed, len(fractions))
    return parts[group].astype(np.int8)


def _groups(table: LabelTable) -> tuple[NDArray[np.int64], list[str]]:
    """The group of each row, `[n]`, and the name of each group: a person or a picture."""
    if table.identities is None:
        pictures = table.distinct_images
        return pictures.row_index, pictures.names
    group, people = pd.factorize(np.asarray(table.identities, dtype=object))
    return group, [str(person) for person in people]


def _hash(name: str, seed: int) -> float:
    """A number in [0, 1) that a name and a seed have for ever, on every machine."""
    digest = hashlib.blake2b(
        name.encode("utf-8", errors="surrogateescape"), digest_size=8, salt=b"%d" % (seed % 10**15)
    )
    return int.from_bytes(digest.digest(), "big") / 2**64


def _by_hash(
    hashes: NDArray[np.float64], sizes: NDArray[np.int64], fractions: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The part of each group: where its hash lies in [0, 1), cut by the fractions.

    Where a part would be too large or too small, its cut moves as far as it has to.
    """
    order = np.argsort(hashes, kind="stable")
    rows = sizes[order].cumsum()  # of all groups up to each one
    total, groups = int(rows[-1]), len(hashes)
    slack = _TOLERANCE * max(1.0, math.sqrt(_ROWS / total))
    parts = np.zeros(groups, dtype=np.int64)
    start, before, end = 0, 0.0, 0.0  # groups and fraction of the rows in the parts so far
    for part, fraction in enumerate(fractions[:-1]):
        end += fraction
        low = total * max(end - slack, before + fraction - slack)
        high = total * min(end + slack, before + fraction + slack)
        fewest = int(np.searchsorted(rows, low)) + 1
        most = int(np.searchsorted(rows, high, side="right"))
        cut = max(min(int(np.searchsorted(hashes[order], end)), most), min(fewest, most))
        # Each part has a group, if there are enough.
        cut = max(start, min(max(cut, start + 1), groups - (len(fractions) - 1 - part)))
        parts[order[start:cut]] = part
        start, before = cut, rows[cut - 1] / total if cut else 0.0
    parts[order[start:]] = len(fractions) - 1
    return parts


def _keep(
    parts: NDArray[np.int64],
    group: NDArray[np.int64],
    names: Sequence[str],
    table: LabelTable,
    earlier: EarlierSplits,
) -> NDArray[np.bool_]:
    """Give groups the parts that they had before; returns which had one."""
    fixed = np.zeros(len(names), dtype=bool)
    if table.identities is not None:
        for number, name in enumerate(names):
            if name in earlier.identities:
                parts[number], fixed[number] = earlier.identities[name], True
    for row, image in enumerate(table.row_images):
        number = group[row]
        if not fixed[number] and image in earlier.images:
            parts[number], fixed[number] = earlier.images[image], True
    return fixed


def _marks(table: LabelTable, group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """`[groups x 2c]` which labels, present and absent, any row of a group has."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    marks = [
        np.logical_or.reduceat(table.labels[order] == label, starts, axis=0)
        for label in (PRESENT, ABSENT)
    ]
    return np.hstack(marks)


def _spread(
    parts: NDArray[np.int64],
    marks: NDArray[np.bool_],
    order: NDArray[np.int64],
    fixed: NDArray[np.bool_],
    count: int,
) -> None:
    """Move groups so that each part has each label that there are enough of, the rarest first."""
    held = np.stack([marks[parts == part].sum(axis=0) for part in range(count)])
    for label in np.argsort(marks.sum(axis=0), kind="stable"):
        if held[:, label].sum() < count:
            continue
        for bare in np.flatnonzero(held[:, label] == 0):
            movable = order[marks[order, label] & ~fixed[order]]
            for number in movable:
                giver = parts[number]
                # What a group takes along must not be the last of its kind where it was.
                if (held[giver][marks[number]] > 1).all() and (parts == giver).sum() > 1:
                    parts[number] = bare
                    held[giver] -= marks[number]
                    held[bare] += marks[number]
                    break
