"""Exclusive groups: attributes of which a person has one at most, as an age or a colour.

The method scores each attribute by itself; a group matters where it decides, see
`prediction.decisions`. A group's attributes are called `GROUP=WORD` where vaa names them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.labels.table import PRESENT, LabelTable

# The names of a group's attributes, by its name.
Groups = Mapping[str, tuple[str, ...]]


def member_name(group: str, word: str) -> str:
    """The name of the attribute of a group for one of its words."""
    return f"{group}={word}"


def word_of(group: str, attribute: str) -> str:
    """The word of an attribute of a group: that of `age=young` is young."""
    return attribute.removeprefix(f"{group}=")


def named_groups(attributes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The groups in the names of attributes: two of them or more called `GROUP=WORD`."""
    found: dict[str, list[str]] = {}
    for name in attributes:
        group, mark, word = name.partition("=")
        if group and mark and word:
            found.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in found.items() if len(names) > 1}


def remaining_groups(groups: Groups, attributes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The groups of which two or more attributes are among some, with these in their order."""
    there = set(attributes)
    left = {
        group: tuple(name for name in members if name in there) for group, members in groups.items()
    }
    return {group: members for group, members in left.items() if len(members) > 1}


def group_positions(groups: Groups, attributes: Sequence[str]) -> dict[str, list[int]]:
    """The positions of each group's attributes among some."""
    position = {name: number for number, name in enumerate(attributes)}
    return {group: [position[name] for name in members] for group, members in groups.items()}


def rows_with_several(table: LabelTable, members: Sequence[str]) -> NDArray[np.int64]:
    """The rows in which more than one of a group's attributes is present."""
    columns = [table.attributes.index(name) for name in members]
    present = (table.labels[:, columns] == PRESENT).sum(axis=1)
    return np.flatnonzero(present > 1)


def exclusive_where_labels_are(table: LabelTable, groups: Groups) -> LabelTable:
    """A published dataset with its groups, but for those that its labels contradict."""
    kept, notes = {}, list(table.notes)
    for group, members in groups.items():
        wrong = len(rows_with_several(table, members))
        if wrong:
            notes.append(f"{group} is no exclusive group: {wrong:,} rows have two of it")
        else:
            kept[group] = members
    return replace(table, groups=kept, notes=tuple(notes))


def group_values(labels: NDArray[np.int8], positions: Sequence[int]) -> NDArray[np.int64]:
    """Which attribute of a group each row has.

    Args:
        labels: `[n x c]`.
        positions: `k` positions of the group's attributes.

    Returns:
        `[n]` from 0 to k - 1; k where all are absent; -1 where it is not known.
    """
    chosen = labels[:, list(positions)]
    present, known = chosen == PRESENT, (chosen >= 0).all(axis=1)
    values = np.where(known, len(positions), -1)
    has = present.any(axis=1)
    values[has] = present[has].argmax(axis=1)
    return values
