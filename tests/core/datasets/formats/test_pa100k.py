"""The `pa100k` format: one MATLAB file with the names and labels of three parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.dataset_trees import mentions, refusal, save_picture
from tests.helpers.matlab_files import (
    Array,
    Value,
    assert_table,
    cells,
    cut,
    every_form,
    random_labels,
    write_mat,
)
from vaa_cli.core.datasets.formats.pa100k import read

ATTRIBUTES = (
    "Female", "AgeOver60", "Age18-60", "AgeLess18", "Front", "Side", "Back", "Hat", "Glasses",
    "HandBag", "ShoulderBag", "Backpack", "HoldObjectsInFront", "ShortSleeve", "LongSleeve",
    "UpperStride", "UpperLogo", "UpperPlaid", "UpperSplice", "LowerStripe", "LowerPattern",
    "LongCoat", "Trousers", "Shorts", "Skirt&Dress", "boots",
)  # fmt: skip
SPLITS = ("train", "val", "test")
FILE = "annotation.mat"


@dataclass(frozen=True)
class Pedestrians:
    """What the file says: names and labels `[m x 26]` of each part."""

    names: Mapping[str, Sequence[str]]
    labels: Mapping[str, Array]
    attributes: Sequence[str] = ATTRIBUTES

    def changed(self, split: str, row: int, name: str) -> "Pedestrians":
        """The same, one picture under another name."""
        names = list(self.names[split])
        names[row] = name
        return replace(self, names={**self.names, split: names})

    def variables(self, dtype: Any = np.uint8) -> dict[str, Value]:
        """As they stand in the file."""
        found: dict[str, Value] = {"attributes": cells(self.attributes)}
        for split in SPLITS:
            found[f"{split}_images_name"] = cells(self.names[split])
            found[f"{split}_label"] = self.labels[split].astype(dtype)
        return found


def make_pedestrians(train: int = 12, val: int = 5, test: int = 7) -> Pedestrians:
    """Random labels; the pictures of a part are numbered one after the other, but in no order."""
    rng = np.random.default_rng(train)
    names, labels, first = {}, {}, 1
    for split, count in zip(SPLITS, (train, val, test), strict=True):
        names[split] = [f"{number:06d}.jpg" for number in first + rng.permutation(count)]
        labels[split] = random_labels(rng, count, 26)
        first += count
    return Pedestrians(names, labels)


PEDESTRIANS = make_pedestrians()


def write(
    root: Path,
    variables: Mapping[str, Value],
    form: str = "v5",
    folder: str = "",
    pictures: str = "data",
) -> Path:
    """A tree with this file, and one of its pictures."""
    write_mat(root / folder / FILE, form, variables)
    save_picture(root / pictures / "000001.jpg")
    return root


def assert_pedestrians(root: Path, people: Pedestrians, pictures: str = "data") -> None:
    """Reading the tree gives exactly these people."""
    table = read(root)
    assert_table(
        table,
        root,
        [f"{pictures}/{name.strip()}" for split in SPLITS for name in people.names[split]],
        [name.strip() for name in people.attributes],
        np.concatenate([people.labels[split] for split in SPLITS]),
        [split for split in SPLITS for _ in people.names[split]],
        benchmark=None,
    )
    assert table.notes == ()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "PA 100K"


# What is read


@every_form
@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.bool_])
def test_every_value(root: Path, form: str, dtype: Any) -> None:
    assert_pedestrians(write(root, PEDESTRIANS.variables(dtype), form), PEDESTRIANS)


@every_form
@pytest.mark.parametrize("folder", ["", "annotation"])
@pytest.mark.parametrize("pictures", ["data", "release_data/release_data"])
def test_every_layout(root: Path, form: str, folder: str, pictures: str) -> None:
    tree = write(root, PEDESTRIANS.variables(), form, folder, pictures)
    assert_pedestrians(tree, PEDESTRIANS, pictures)


@every_form
# As many pictures as attributes: a transposed table has the same shape. And parts of one picture.
@pytest.mark.parametrize("counts", [(26, 26, 26), (1, 1, 1), (40, 1, 26)])
def test_parts_of_other_sizes(root: Path, form: str, counts: tuple[int, int, int]) -> None:
    people = make_pedestrians(*counts)
    assert_pedestrians(write(root, people.variables(), form), people)


@every_form
def test_the_order_of_the_variables_does_not_matter(root: Path, form: str) -> None:
    variables = PEDESTRIANS.variables()
    backwards = {name: variables[name] for name in reversed(variables)}
    assert_pedestrians(write(root, {"more": "text", **backwards}, form), PEDESTRIANS)


@every_form
def test_names_keep_all_but_outer_blanks(root: Path, form: str) -> None:
    names = (" Age Over 60 ", "age over 60", "Größe, m", *ATTRIBUTES[3:])
    people = replace(PEDESTRIANS.changed("val", 2, "a b/My Photo 1.JPG"), attributes=names)
    assert_pedestrians(write(root, people.variables(), form), people)


# What is refused


def refused(root: Path, variables: Mapping[str, Value], form: str = "v5") -> str:
    """The message about the file, which it names; the file's own name is taken out."""
    message = refusal(read, write(root, variables, form))
    assert FILE in message, message
    return message.replace(FILE, "")


def test_no_annotation_file(root: Path) -> None:
    save_picture(root / "data" / "000001.jpg")
    assert FILE in refusal(read, root)


@every_form
@pytest.mark.parametrize("name", PEDESTRIANS.variables())
def test_a_variable_that_is_missing(root: Path, form: str, name: str) -> None:
    variables = PEDESTRIANS.variables()
    del variables[name]
    assert name in refused(root, variables, form)


WRONG_KINDS: dict[str, Value] = {
    "text": "text",
    "struct": {"a": np.eye(2)},
    "number": np.array([[3.0]]),
    "cells of numbers": [np.eye(2)] * 12,
    "nothing": np.zeros((0, 0)),
}


@pytest.mark.parametrize("value", WRONG_KINDS.values(), ids=WRONG_KINDS.keys())
@pytest.mark.parametrize("name", PEDESTRIANS.variables())
def test_a_variable_of_another_kind(root: Path, name: str, value: Value) -> None:
    assert name in refused(root, {**PEDESTRIANS.variables(), name: value})


@every_form
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("more", [-1, 1])
def test_labels_of_more_or_fewer_pictures(root: Path, form: str, split: str, more: int) -> None:
    labels = PEDESTRIANS.labels[split]
    rows = np.resize(labels, (len(labels) + more, 26))
    message = refused(root, {**PEDESTRIANS.variables(), f"{split}_label": rows}, form)
    assert split in message and mentions(message, len(rows)) and mentions(message, len(labels))


@every_form
@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("columns", [25, 27])
def test_labels_of_more_or_fewer_attributes(
    root: Path, form: str, split: str, columns: int
) -> None:
    labels = np.resize(PEDESTRIANS.labels[split], (len(PEDESTRIANS.labels[split]), columns))
    message = refused(root, {**PEDESTRIANS.variables(), f"{split}_label": labels}, form)
    assert split in message and mentions(message, columns) and mentions(message, 26)


@every_form
@pytest.mark.parametrize("value", [2, -1, 0.5, 257, np.nan, np.inf])
@pytest.mark.parametrize("split", SPLITS)
def test_another_label(root: Path, form: str, split: str, value: float) -> None:
    labels = PEDESTRIANS.labels[split].astype(np.float64)
    labels[3, 17] = value
    message = refused(root, {**PEDESTRIANS.variables(), f"{split}_label": labels}, form)
    assert f"{split}_label" in message
    # Its row counted from 0 or from 1, or the picture in it.
    assert mentions(message, 3, 4, int(PEDESTRIANS.names[split][3][:6])), message


@pytest.mark.parametrize("name", ["../secret.jpg", "a/../../b.jpg", "/etc/b.jpg", ".."])
@pytest.mark.parametrize("split", SPLITS)
def test_a_name_that_leaves_the_folder(root: Path, split: str, name: str) -> None:
    assert name in refused(root, PEDESTRIANS.changed(split, 2, name).variables())


@pytest.mark.parametrize("one", SPLITS)
@pytest.mark.parametrize("other", SPLITS)
def test_the_same_picture_twice(root: Path, one: str, other: str) -> None:
    name = PEDESTRIANS.names[one][1]
    assert name in refused(root, PEDESTRIANS.changed(other, 4, name).variables())


@every_form
@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.99])
def test_a_file_that_is_cut(root: Path, form: str, share: float) -> None:
    cut(write(root, PEDESTRIANS.variables(), form) / FILE, share)
    assert FILE in refusal(read, root)
