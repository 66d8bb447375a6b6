"""The columns of a label table: yes and no, words that become an attribute each, or neither."""

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.errors import brief
from vaa_cli.core.labels.groups import member_name
from vaa_cli.core.labels.label_header import EmptyMeaning
from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED
from vaa_cli.core.labels.words import MISSING, NO, NONE_OF_GROUP, YES

_MINUS_ONES = {"-1", "-1.0"}
# What a -1 means shows only when the whole table has been seen.
_MINUS_ONE = -2
# A column of more different words is text, and no attribute.
_MOST_WORDS = 20
# Of a column with more wrong cells, the first ones are listed.
_LISTED = 20


@dataclass(frozen=True)
class ParsedColumns:
    """The labels of a table's columns.

    Attributes:
        attributes: names of the attributes.
        labels: `[n x c]`, 1 present, 0 absent, -1 unspecified.
        problems: cells of an attribute that are neither yes nor no, by its name.
        notes: columns that are read in another way than as one attribute, for the user.
        left_out: names of columns that are no attributes.
        groups: the attributes of each column of words.
    """

    attributes: tuple[str, ...]
    labels: NDArray[np.int8]
    problems: dict[str, list[str]]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]


@dataclass
class _Column:
    """What a column holds, chunk by chunk.

    Attributes:
        labels: `[k]` of each chunk.
        answers: number of cells that are yes or no.
        empties: number of empty cells.
        words: number of the other cells, by what they say.
        first_rows: number of the first row of each of these words.
        codes: position of each cell's word in `words`, -1 for none; dropped where there are too
            many words.
    """

    labels: list[NDArray[np.int8]] = field(default_factory=list)
    answers: int = 0
    empties: int = 0
    words: Counter[str] = field(default_factory=Counter)
    first_rows: dict[str, int] = field(default_factory=dict)
    codes: list[NDArray[np.int16]] = field(default_factory=list)

    @property
    def is_categorical(self) -> bool:
        """Whether each of its words is an attribute; a number among many words is a slip."""
        numbers = sum(count for word, count in self.words.items() if _is_number(word))
        words = sum(not _is_number(word) for word in self.words)
        few = len(self.words) <= _MOST_WORDS and 10 * numbers <= self.words.total()
        return not self.answers and few and words >= 2

    @property
    def is_left_out(self) -> bool:
        """Whether it is numbers or text."""
        others = self.words.total()
        if not others or self.is_categorical:
            return False
        numbers = sum(count for word, count in self.words.items() if _is_number(word))
        # A 2 among many 0 and 1 is a slip; a 0 and a 1 among many other numbers are two of these.
        return not self.answers or (numbers == others and self.answers < others)


class LabelColumns:
    """Parses the label columns of a table that is read chunk by chunk.

    Args:
        names: names of the columns.
        place: the file, for messages.
        empty: what an empty cell means.
    """

    def __init__(
        self, names: tuple[str, ...], place: object, empty: EmptyMeaning = "unspecified"
    ) -> None:
        self._place = place
        self._empty = ABSENT if empty == "absent" else UNSPECIFIED
        self._columns = {name: _Column() for name in names}

    def add(self, frame: pd.DataFrame) -> None:
        """Parse a chunk: a column of text for each name, rows numbered as a spreadsheet does."""
        for name, column in self._columns.items():
            codes, texts = pd.factorize(frame[name])
            words = [text.strip() for text in texts]
            meaning = [label_of(word) if word else self._empty for word in words]
            counts = np.bincount(codes, minlength=len(words))
            for number, (word, label) in enumerate(zip(words, meaning, strict=True)):
                if label is None:
                    if word not in column.words:
                        row = int(np.flatnonzero(codes == number)[0])
                        column.first_rows[word] = int(frame.index[row])
                    column.words[word] += int(counts[number])
                elif not word:
                    column.empties += int(counts[number])
                elif label != UNSPECIFIED:
                    column.answers += int(counts[number])
            known = [UNSPECIFIED if label is None else label for label in meaning]
            column.labels.append(np.array(known, dtype=np.int8)[codes])
            self._note_words(column, words, meaning, codes)

    def _note_words(
        self,
        column: _Column,
        words: list[str],
        meaning: list[int | None],
        codes: NDArray[np.int64],
    ) -> None:
        if len(column.words) > _MOST_WORDS:
            column.codes.clear()
            return
        order = {word: number for number, word in enumerate(column.words)}
        found = [
            order[word] if label is None else -1 for word, label in zip(words, meaning, strict=True)
        ]
        column.codes.append(np.array(found, dtype=np.int16)[codes])

    def finish(self) -> ParsedColumns:
        """The labels of all chunks."""
        names: list[str] = []
        labels: list[NDArray[np.int8]] = []
        problems: dict[str, list[str]] = {}
        notes: list[str] = []
        left_out: list[str] = []
        groups: dict[str, tuple[str, ...]] = {}
        only_yes: list[str] = []
        for name, column in self._columns.items():
            if column.is_left_out:
                example = next(iter(column.words))
                kind = "numbers" if _is_number(example) else "text"
                notes.append(f"{name} is {kind} such as {brief(example)}, and no attribute")
                left_out.append(name)
                continue
            if column.is_categorical:
                codes = np.concatenate(column.codes)
                numbers = {word for word in column.words if _is_number(word)}
                words = sorted(column.words.keys() - {NONE_OF_GROUP} - numbers)
                order = {word: number for number, word in enumerate(column.words)}
                for word in words:
                    values = np.where(codes == order[word], PRESENT, ABSENT).astype(np.int8)
                    names.append(member_name(name, word))
                    labels.append(np.where(codes < 0, UNSPECIFIED, values).astype(np.int8))
                notes.append(f"{name} is an attribute a word: {', '.join(words)}")
                slips = [
                    f"{self._place}: row {column.first_rows[word]}, column {name!r}: {word!r} is a "
                    f"number among words such as {words[0]!r}; correct it, or leave it empty"
                    for word in sorted(numbers)
                ]
                problems |= {member_name(name, word): slips for word in words if slips}
                if len(words) > 1:
                    groups[name] = tuple(member_name(name, word) for word in words)
                continue
            if column.words:
                problems[name] = self._wrong_cells(name, column)
            names.append(name)
            labels.append(np.concatenate(column.labels))
            found = labels[-1]
            if self._empty == UNSPECIFIED and column.empties and (found != ABSENT).all():
                only_yes.append(name)
        if only_yes:
            notes.append(
                f"{', '.join(only_yes)}: each cell is yes or empty, and empty is unspecified; if "
                "it means no, set `empty` to absent"
            )
        whole = np.stack(labels, axis=1) if labels else np.empty((0, 0), dtype=np.int8)
        resolved = resolve_minus_ones(whole)
        return ParsedColumns(
            tuple(names), resolved, problems, tuple(notes), tuple(left_out), groups
        )

    def _wrong_cells(self, name: str, column: _Column) -> list[str]:
        return [
            f"{self._place}: row {column.first_rows[word]}, column {name!r}: {word!r} is neither "
            "yes nor no; use 1/0, true/false, yes/no, x, or leave it empty; or leave out the "
            "column: `attributes` names those to keep"
            for word in list(column.words)[:_LISTED]
        ]


def label_of(cell: str) -> int | None:
    """The label of a cell, with its -1 open (see `resolve_minus_ones`); None where it is none."""
    cell = cell.strip().lower()
    for cells, label in (
        (YES, PRESENT), (NO, ABSENT), (MISSING, UNSPECIFIED), (_MINUS_ONES, _MINUS_ONE)
    ):  # fmt: skip
        if cell in cells:
            return label
    return None


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word.replace(",", ".", 1)))
    except ValueError:
        return False


def resolve_minus_ones(labels: NDArray[np.int8]) -> NDArray[np.int8]:
    """Labels whose -1 are absent or unspecified, as the whole table shows; written over."""
    # CelebA writes absent as -1 and has no 0; WIDER has both, and there -1 is unspecified.
    minus_ones = labels == _MINUS_ONE
    labels[minus_ones] = UNSPECIFIED if (labels == ABSENT).any() else ABSENT
    return labels
