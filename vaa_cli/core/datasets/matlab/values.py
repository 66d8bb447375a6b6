"""Names, labels and 1-based indices in MATLAB files, checked as they are read.

Each function takes the place that the value comes from, in words that an error can start with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS, LabelTable, attribute_tuple, leaves_folder

# Labels of 0 and 1; in RAP, 2 is unspecified.
YES_NO = {0: 0, 1: 1}
YES_NO_UNKNOWN = {0: 0, 1: 1, 2: -1}
NO_PART = -1


def variable(variables: Mapping[str, Any], name: str, place: object) -> Any:
    """A variable of a file or a field of a struct.

    Raises:
        VAAError: there is none of this name; names those that there are.
    """
    if name not in variables:
        there = ", ".join(variables) or "nothing"
        raise VAAError(f"{place} has no variable {name!r}, only {there}; is it of this dataset?")
    return variables[name]


def struct(value: Any, place: object) -> dict[str, Any]:
    """A single struct.

    Raises:
        VAAError: it is something else.
    """
    if not isinstance(value, dict):
        raise VAAError(f"{place} is {_kind(value)}, not a struct; is it of this dataset?")
    return value


def fields(value: Any, count: int, place: object) -> list[Any]:
    """The first fields of a struct, for files whose fields are known by position.

    Raises:
        VAAError: it is no struct, or has fewer.
    """
    values = list(struct(value, place).values())
    if len(values) < count:
        raise VAAError(f"{place} has {len(values)} fields; this dataset's has {count} or more")
    return values[:count]


def cells(value: Any, place: object) -> list[Any]:
    """The cells of a cell array, column after column.

    Raises:
        VAAError: it is something else.
    """
    if not isinstance(value, np.ndarray) or value.dtype != object:
        raise VAAError(f"{place} is {_kind(value)}, not a cell array; is it of this dataset?")
    return list(value.ravel(order="F"))


def names(value: Any, place: object) -> list[str]:
    """The text in each cell, without blanks around it.

    Raises:
        VAAError: one is no text or empty.
    """
    found = [cell.strip() if isinstance(cell, str) else cell for cell in cells(value, place)]
    for number, name in enumerate(found, start=1):
        if not isinstance(name, str) or not name:
            raise VAAError(f"{place}: cell {number} is {_kind(name)}, not a name")
    return found


def picture_names(value: Any, place: str, seen: dict[str, str]) -> list[str]:
    """The names of pictures.

    Args:
        value: cells with them.
        place: their origin, for messages.
        seen: names that were read before, and where; those read now are added.

    Raises:
        VAAError: one is no name, leaves the dataset folder, or was seen before.
    """
    found = names(value, place)
    for number, name in enumerate(found, start=1):
        where = f"{place}, cell {number}"
        if leaves_folder(name):
            raise VAAError(f"{where}: {name!r} leaves the dataset folder; use paths inside it")
        if name in seen:
            raise VAAError(f"{where}: {name!r} stands in {seen[name]} too")
        seen[name] = where
    return found


def attribute_names(value: Any, place: object) -> tuple[str, ...]:
    """The names of attributes.

    Raises:
        VAAError: they are no names, there is none, or one stands there twice.
    """
    return attribute_tuple(names(value, place), place)


def numbers(value: Any, place: object) -> NDArray[Any]:
    """An array of numbers.

    Raises:
        VAAError: it is something else.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise VAAError(f"{place} is {_kind(value)}, not an array of numbers")
    return value


def labels(
    value: Any,
    attributes: Sequence[str],
    rows: int | None,
    place: object,
    meaning: Mapping[int, int] = YES_NO,
) -> NDArray[np.int8]:
    """A table of labels.

    Args:
        value: `[n x c]` numbers.
        attributes: the `c` names of its columns.
        rows: `n`, where it is known.
        place: its origin, for messages.
        meaning: the label that each number stands for.

    Raises:
        VAAError: it has another size, or a number that means nothing.
    """
    table = numbers(value, place)
    if table.ndim != 2 or table.shape[1] != len(attributes):
        raise VAAError(
            f"{place} has {table.shape[-1]} columns for the {len(attributes)} attributes that the "
            "file names; the file is damaged or of another dataset"
        )
    if rows is not None and len(table) != rows:
        raise VAAError(f"{place} has {len(table)} rows for {rows} pictures; the file is damaged")
    found = np.full(table.shape, np.iinfo(np.int8).min, dtype=np.int8)
    for number, label in meaning.items():
        found[table == number] = label
    unknown = np.argwhere(found == np.iinfo(np.int8).min)
    if len(unknown):
        row, column = unknown[0].tolist()
        known = ", ".join(map(str, meaning))
        raise VAAError(
            f"{place}: row {row + 1}, attribute {attributes[column]!r}: {table[row, column]:g} is "
            f"none of {known}"
        )
    return found


def positions(value: Any, count: int, place: object, things: str = "pictures") -> NDArray[np.int64]:
    """1-based indices as positions from 0.

    Args:
        value: a row or a column of indices.
        count: number of things that they may name.
        place: their origin, for messages.
        things: what they name, in a word.

    Raises:
        VAAError: one is no whole number from 1 to the count.
    """
    indices = numbers(value, place).ravel(order="F").astype(np.float64)
    wrong = ~((indices >= 1) & (indices <= count) & (indices == np.floor(indices)))
    if wrong.any():
        index = indices[wrong][0]
        raise VAAError(
            f"{place}: index {index:g} is beyond the table of {count} {things}, which counts "
            "from 1; the file is damaged"
        )
    found: NDArray[np.int64] = indices.astype(np.int64) - 1
    return found


def partition_of(partitions: Any, chosen: int, place: object) -> dict[str, Any]:
    """One of several partitions, a cell array of structs.

    Raises:
        VAAError: there are not so many.
    """
    there = cells(partitions, f"{place}: partitions")
    if not 0 <= chosen < len(there):
        raise VAAError(
            f"`partition={chosen}`: {place} has {len(there)} partitions, 0 to {len(there) - 1}"
        )
    return struct(there[chosen], f"{place}: partition {chosen}")


def splits_of(parts: Mapping[str, Any], count: int, place: object) -> NDArray[np.int8]:
    """The split of each of `count` pictures, `NO_PART` for those in none.

    Args:
        parts: the 1-based indices in each split, by the split's name.
        count: number of pictures.
        place: their origin, for messages.

    Raises:
        VAAError: an index is none of a picture, or a picture is in two splits.
    """
    splits = np.full(count, NO_PART, dtype=np.int8)
    for name, indices in parts.items():
        found = positions(indices, count, f"{place}, {name}")
        taken = found[splits[found] != NO_PART]
        if len(taken):
            other = SPLITS[splits[taken[0]]]
            raise VAAError(f"{place}: picture {taken[0] + 1} is in {name} and in {other} too")
        splits[found] = SPLITS.index(name)
    return splits


def chosen_rows(table: LabelTable, place: str) -> LabelTable:
    """The rows that are in a split, with a note of those that are not.

    Args:
        table: the rows, with splits of `splits_of`.
        place: the partition and its file, for messages.

    Raises:
        VAAError: there is none.
    """
    assert table.splits is not None
    rows = np.flatnonzero(table.splits != NO_PART)
    if not len(rows):
        raise VAAError(f"{place} has no pictures; choose another with `partition`")
    left_out = len(table) - len(rows)
    if not left_out:
        return table
    note = f"{place}: {left_out:,} pictures are in no part of it"
    return replace(table.select(rows), notes=(*table.notes, note))


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "a struct"
    if isinstance(value, str):
        return f"the text {value[:20]!r}" if value else "an empty text"
    if isinstance(value, np.ndarray) and value.dtype == object:
        return f"a cell or struct array of {' x '.join(map(str, value.shape))}"
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return f"text of {len(value)} lines"
    return f"numbers of {' x '.join(map(str, np.shape(value)))}"
