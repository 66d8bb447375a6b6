"""Market-1501 and DukeMTMC: pictures named by identity, and attributes of each identity."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.formats.base import counts, first_there
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.labels.groups import exclusive_where_labels_are, remaining_groups
from vaa_cli.core.labels.table import ABSENT, PRESENT, SPLITS, LabelTable

# Whose pictures are in each folder, and the split that it becomes.
FOLDERS = {"bounding_box_train": "train", "query": "test", "bounding_box_test": "test"}
HALVES = ("train", "test")
INDEX = "image_index"
AGE, AGES = "age", ("young", "teenager", "adult", "old")
_NO, _YES = 1, 2
# Of the colours of upper and of lower clothing, the publishers label one for each person.
_COLOURS = {"upcolor": "up", "downcolor": "down"}
_COLOUR_WORDS = frozenset(
    {"black", "white", "red", "purple", "yellow", "gray", "blue", "green", "brown", "pink"}
)
# Parts of a person that a detector found, and people who are in no gallery.
JUNK, DISTRACTORS = -1, 0

_NAME = re.compile(r"(-1|\d+)_")


def attribute_file(root: Path, variable: str) -> Path | None:
    """The attribute file of one of the datasets, if it is there."""
    return first_there(root / "attribute" / f"{variable}.mat", root / f"{variable}.mat")


def read_people(root: Path, variable: str, renamed: Mapping[str, str]) -> LabelTable:
    """Read one of the datasets: a row a picture of a person who has attributes.

    Args:
        root: the dataset folder.
        variable: variable in the attribute file, which is named after it.
        renamed: names that say what a yes means, for fields that do not.

    Raises:
        VAAError: the attribute file is missing or broken, or no picture is of one of its people.
    """
    path = attribute_file(root, variable)
    if path is None:
        raise VAAError(f"{root} has no {variable}.mat; looked in attribute too")
    halves = values.struct(values.variable(read_mat(path), variable, path), f"{path}: {variable}")
    names: list[str] | None = None
    labels_of: dict[int, NDArray[np.int8]] = {}
    for half in HALVES:
        place = f"{path}: {half}"
        fields = values.struct(values.variable(halves, half, f"{path}: {variable}"), place)
        identities = _identities(values.variable(fields, INDEX, place), f"{place}: {INDEX}")
        columns = _columns(fields, identities, renamed, place)
        # Each half lists its attributes in an order of its own.
        if names is None:
            names = list(columns)
        odd = sorted(set(names) ^ set(columns))
        if odd:
            raise VAAError(f"{path}: attribute {odd[0]!r} is in one of {' and '.join(HALVES)} only")
        table = np.stack([columns[name] for name in names], axis=1)
        for identity, row in zip(identities, table, strict=True):
            if identity in labels_of:
                raise VAAError(f"{place}: {INDEX} names identity {identity:04d} a second time")
            labels_of[identity] = row
    assert names is not None
    return _pictures(root, tuple(names), labels_of, path)


def _identities(value: Any, place: str) -> list[int]:
    found = []
    listed = value.ravel(order="F") if isinstance(value, np.ndarray) else [value]
    for number, cell in enumerate(listed, start=1):
        identity = cell.item() if isinstance(cell, np.ndarray) and cell.size == 1 else cell
        if isinstance(identity, int | float | np.number):
            text = f"{identity:g}"
        else:
            text = identity.strip() if isinstance(identity, str) else ""
        if not (text.isascii() and text.isdecimal()):
            raise VAAError(f"{place}: cell {number}, {text!r}, is no number of a person")
        found.append(int(text))
    return found


def _columns(
    fields: Mapping[str, Any], identities: list[int], renamed: Mapping[str, str], place: str
) -> dict[str, NDArray[np.int8]]:
    """The labels `[people]` of each attribute."""
    columns: dict[str, NDArray[np.int8]] = {}
    for field, value in fields.items():
        if field == INDEX:
            continue
        answers = values.numbers(value, f"{place}: {field}").ravel(order="F")
        if len(answers) != len(identities):
            raise VAAError(
                f"{place}: {field} has {len(answers)} values for the {len(identities)} people of "
                f"{INDEX}; the file is damaged"
            )
        known = range(1, len(AGES) + 1) if field == AGE else (_NO, _YES)
        wrong = np.flatnonzero(~np.isin(answers, known))
        if len(wrong):
            who = identities[wrong[0]]
            raise VAAError(
                f"{place}: {field} of identity {who:04d} is {answers[wrong[0]]:g}, none of "
                f"{', '.join(map(str, known))}"
            )
        if field == AGE:
            for number, age in enumerate(AGES, start=1):
                columns[age] = np.where(answers == number, PRESENT, ABSENT).astype(np.int8)
        else:
            name = renamed.get(field, field)
            columns[name] = np.where(answers == _YES, PRESENT, ABSENT).astype(np.int8)
    return columns


def _pictures(
    root: Path, attributes: tuple[str, ...], labels_of: Mapping[int, NDArray[np.int8]], path: Path
) -> LabelTable:
    images, identities, splits = [], [], []
    junk = distractors = strangers = 0
    split_of: dict[int, str] = {}
    for folder, split in FOLDERS.items():
        if not (root / folder).is_dir():
            continue
        for name in sorted(entry.name for entry in (root / folder).iterdir()):
            match = _NAME.match(name)
            if match is None or not is_picture(name):
                continue
            identity = int(match[1])
            if identity in labels_of:
                if split_of.setdefault(identity, split) != split:
                    raise VAAError(
                        f"{root}: identity {identity:04d} has pictures in the folder of train and "
                        "in one of test; the tree is mixed up"
                    )
                images.append(f"{folder}/{name}")
                identities.append(identity)
                splits.append(SPLITS.index(split))
            else:
                junk += identity == JUNK
                distractors += identity == DISTRACTORS
                strangers += identity > 0
    if not images:
        raise VAAError(
            f"{root}: no picture in {', '.join(FOLDERS)} is of a person in {path.name}; looked for "
            "names such as 0002_c1s1_000451_03.jpg"
        )
    table = LabelTable(
        root,
        images,
        attributes,
        np.stack([labels_of[identity] for identity in identities]),
        np.array(splits, dtype=np.int8),
        identities=np.array(identities, dtype=np.int64),
        notes=counts(
            (junk, "pictures of junk (-1) left out"),
            (distractors, "pictures of distractors (0000) left out"),
            (strangers, "pictures of people without attributes left out"),
        ),
    )
    return exclusive_where_labels_are(table, _groups(attributes))


def _groups(attributes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The ages and the colours of clothing, of which a person has one each."""
    groups: dict[str, tuple[str, ...]] = {AGE: AGES}
    for group, prefix in _COLOURS.items():
        groups[group] = tuple(
            name
            for name in attributes
            if name.startswith(prefix) and name.removeprefix(prefix) in _COLOUR_WORDS
        )
    return remaining_groups(groups, attributes)
