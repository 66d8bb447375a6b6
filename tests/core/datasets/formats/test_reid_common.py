"""The `market1501` and `duke` formats: pictures named by identity, and a file of attributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from numpy.typing import NDArray

from tests.helpers.dataset_trees import (
    DUKE_HALVES,
    DUKE_PEOPLE,
    DUKE_PICTURES,
    MARKET_DISTRACTORS,
    MARKET_HALVES,
    MARKET_JUNK,
    MARKET_PEOPLE,
    MARKET_PICTURES,
    REID_FOLDERS,
    Half,
    assert_consistent,
    make_duke,
    make_market,
    mentions,
    named_labels,
    picture_names,
    refusal,
    shrink,
)
from tests.helpers.matlab_files import row_of, save_mat
from vaa_cli.core.datasets.formats import duke, market1501
from vaa_cli.core.labels.table import LabelTable

AGES = ("young", "teenager", "adult", "old")
MARKET_RENAMED = {
    "gender": "female", "hair": "long_hair", "up": "short_sleeve", "down": "short_lower_body",
    "clothes": "pants",
}  # fmt: skip
DUKE_RENAMED = {"gender": "female", "top": "long_top", "shoes": "light_shoes"}


@dataclass(frozen=True)
class Format:
    """One of the two formats, and its default tree."""

    variable: str
    make: Callable[..., Path]
    read: Callable[[Path], LabelTable]
    people: Mapping[str, Sequence[str]]
    halves: Mapping[str, Half]
    pictures: Mapping[str, Sequence[str]]
    renamed: Mapping[str, str]

    @property
    def file(self) -> str:
        return f"{self.variable}.mat"

    def half(self, name: str, change: Callable[[Half], Half]) -> dict[str, Half]:
        """The halves, one of them changed."""
        return {**self.halves, name: change(self.halves[name])}


MARKET = Format(
    "market_attribute", make_market, market1501.read, MARKET_PEOPLE, MARKET_HALVES,
    MARKET_PICTURES, MARKET_RENAMED,
)  # fmt: skip
DUKE = Format(
    "duke_attribute", make_duke, duke.read, DUKE_PEOPLE, DUKE_HALVES, DUKE_PICTURES, DUKE_RENAMED
)


@pytest.fixture(params=[MARKET, DUKE], ids=["market1501", "duke"])
def form(request: pytest.FixtureRequest) -> Format:
    chosen: Format = request.param
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "Re-ID data"


def person_of(image: str) -> str:
    """The identity that a picture's name starts with."""
    return image.split("/")[-1].split("_")[0]


def expected_labels(form: Format, halves: Mapping[str, Half]) -> dict[str, dict[str, int]]:
    """The attributes of each person, by the attribute's name."""
    people: dict[str, dict[str, int]] = {}
    for half in halves.values():
        for i, identity in enumerate(half.identities):
            labels = people.setdefault(f"{int(identity):04d}", {})
            for name, values in half.values.items():
                value = values[i]
                if name == "age":
                    labels |= {age: int(value == k) for k, age in enumerate(AGES, start=1)}
                else:
                    labels[form.renamed.get(name, name)] = {1: 0, 2: 1}[int(str(value))]
    return people


def assert_people(
    table: LabelTable,
    root: Path,
    form: Format,
    pictures: Mapping[str, Sequence[str]] | None = None,
    halves: Mapping[str, Half] | None = None,
) -> None:
    """The table has exactly the pictures of people with attributes, in order."""
    pictures, halves = pictures or form.pictures, halves or form.halves
    people = expected_labels(form, halves)
    assert_consistent(table, root)
    assert table.boxes is None
    rows = [
        (f"{folder}/{name}", 0 if folder == "bounding_box_train" else 2)
        for folder in REID_FOLDERS
        for name in sorted(pictures.get(folder, ()))
        if person_of(name) in people
    ]
    assert table.row_images == [image for image, _ in rows]
    assert table.splits is not None and table.identities is not None
    assert table.splits.tolist() == [split for _, split in rows]
    assert named_labels(table) == [people[person_of(image)] for image in table.row_images]
    # The same number for the same person, and for no one else.
    pairs = set(zip(map(person_of, table.row_images), table.identities.tolist(), strict=True))
    assert len({name for name, _ in pairs}) == len(pairs) == len({number for _, number in pairs})


# What is read


@pytest.mark.parametrize("attributes", ["attribute", ""])
def test_every_value_in_every_layout(form: Format, root: Path, attributes: str) -> None:
    table = form.read(form.make(root, attributes=attributes))
    assert_people(table, root, form)
    assert all(Path(table.path(row)).is_file() for row in range(len(table)))


def test_the_names_of_market1501(root: Path) -> None:
    table = market1501.read(make_market(root))
    assert sorted(table.attributes) == sorted([
        "female", "long_hair", "short_sleeve", "short_lower_body", "pants", "hat", "backpack",
        "bag", "handbag", "young", "teenager", "adult", "old", "upblack", "upwhite", "upred",
        "uppurple", "upyellow", "upgray", "upblue", "upgreen", "downblack", "downwhite",
        "downpink", "downpurple", "downyellow", "downgray", "downblue", "downgreen", "downbrown",
    ])  # fmt: skip


def test_the_names_of_duke(root: Path) -> None:
    table = duke.read(make_duke(root))
    assert sorted(table.attributes) == sorted([
        "female", "backpack", "bag", "handbag", "boots", "hat", "light_shoes", "long_top",
        "upblack", "upwhite", "upred", "uppurple", "upgray", "upblue", "upgreen", "upbrown",
        "downblack", "downwhite", "downred", "downgray", "downblue", "downgreen", "downbrown",
    ])  # fmt: skip


def test_the_default_tree_has_what_readers_trip_over(form: Format, root: Path) -> None:
    names = picture_names(form.make(root))
    assert names == sorted(f"{folder}/{name}" for folder in form.pictures
                           for name in form.pictures[folder])  # fmt: skip
    orders = [list(half.values) for half in form.halves.values()]
    assert orders[0] != orders[1] and set(orders[0]) == set(orders[1])
    assert all(list(names) != sorted(names) for names in form.pictures.values())
    # The halves stand in the file as public code shows them.
    content = scipy.io.loadmat(root / "attribute" / form.file)[form.variable][0][0]
    assert content.dtype.names == tuple(form.halves)
    half = content["test"][0][0]
    assert half["image_index"].shape == half["hat"].shape == (1, len(form.people["test"]))
    assert half["image_index"][0][0][0] == form.people["test"][0]


def test_one_value_of_each_age(root: Path) -> None:
    """Age has four values, each of them its own attribute."""
    halves = {
        "test": Half(["0001"], {"age": [4], "hat": [1]}),
        "train": Half(["0002", "0007", "0010"], {"hat": [2, 1, 2], "age": [1, 2, 3]}),
    }
    pictures = {
        "bounding_box_train": [
            f"{person}_c1s1_000001_00.jpg" for person in halves["train"].identities
        ],
        "query": ["0001_c1s1_000001_00.jpg"],
        "bounding_box_test": ["0001_c2s1_000001_00.jpg"],
    }
    table = market1501.read(make_market(root, halves, pictures))
    ages = [[row[age] for age in AGES] for row in named_labels(table)]
    assert ages == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert [row["hat"] for row in named_labels(table)] == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("kind", ["row", "column", "integers", "cell"])
def test_identities_that_are_numbers(form: Format, root: Path, kind: str) -> None:
    halves = {}
    for name, half in form.halves.items():
        numbers = np.array([[int(identity) for identity in form.people[name]]], dtype=np.float64)
        index: NDArray[np.generic] = numbers
        if kind == "column":
            index = numbers.T
        elif kind == "integers":
            index = numbers.astype(np.uint16)
        elif kind == "cell":
            index = row_of([np.float64(number) for number in numbers[0]])
        halves[name] = replace(half, identities=index)
    assert_people(form.read(form.make(root, halves)), root, form)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
@pytest.mark.parametrize("index_first", [False, True])
def test_every_type_of_number(
    form: Format, root: Path, dtype: type[np.generic], index_first: bool
) -> None:
    content = {}
    for name, half in form.halves.items():
        fields: dict[str, object] = {
            key: np.array([values], dtype=dtype) for key, values in half.values.items()
        }
        index = {"image_index": row_of(form.people[name])}
        content[name] = {**index, **fields} if index_first else {**fields, **index}
    form.make(root)
    save_mat(root / "attribute" / form.file, **{form.variable: content})
    assert_people(form.read(root), root, form)


@pytest.mark.parametrize("order", [("train", "test"), ("test", "train")])
def test_the_order_of_the_halves(form: Format, root: Path, order: tuple[str, ...]) -> None:
    halves = {name: form.halves[name] for name in order}
    assert_people(form.read(form.make(root, halves)), root, form)


def test_a_field_that_the_format_does_not_tell_of(form: Format, root: Path) -> None:
    halves = {
        name: half.changed("Rain_coat", [1 + i % 2 for i in range(len(half.identities))])
        for name, half in form.halves.items()
    }
    table = form.read(form.make(root, halves))
    assert "Rain_coat" in table.attributes
    assert_people(table, root, form, halves=halves)


def test_people_with_attributes_but_no_pictures(form: Format, root: Path) -> None:
    pictures = {folder: sorted(names)[2:] for folder, names in form.pictures.items()}
    table = form.read(form.make(root, pictures=pictures))
    assert_people(table, root, form, pictures)


def test_files_that_are_no_pictures(form: Format, root: Path) -> None:
    form.make(root)
    for folder in REID_FOLDERS:
        (root / folder / "Thumbs.db").write_bytes(b"thumbs")  # as Market-1501 comes
    assert_people(form.read(root), root, form)


def test_junk_and_distractors_are_counted(root: Path) -> None:
    table = market1501.read(make_market(root))
    left_out = {*MARKET_JUNK, *MARKET_DISTRACTORS}
    assert not any(image.split("/")[-1] in left_out for image in table.row_images)
    assert counted(table, len(MARKET_JUNK), len(MARKET_DISTRACTORS))


def test_junk_in_every_folder(form: Format, root: Path) -> None:
    extra = {"bounding_box_train": 4, "query": 2, "bounding_box_test": 7}
    pictures = {
        folder: [
            *(name for name in names if person_of(name) not in ("-1", "0000")),
            *(f"-1_c1s1_{i:06d}_00.jpg" for i in range(extra[folder])),
        ]
        for folder, names in form.pictures.items()
    }
    table = form.read(form.make(root, pictures=pictures))
    assert_people(table, root, form, pictures)
    assert any(mentions(note, 13) for note in table.notes), table.notes


def test_people_without_attributes_are_counted(form: Format, root: Path) -> None:
    extra = {"bounding_box_train": 6, "query": 0, "bounding_box_test": 11}
    pictures = {
        folder: [*names, *(f"{4000 + i}_c{i + 1}_f0000001.jpg" for i in range(extra[folder]))]
        for folder, names in form.pictures.items()
    }
    table = form.read(form.make(root, pictures=pictures))
    assert_people(table, root, form, pictures)
    assert counted(table, 6, 11), table.notes


def test_nothing_left_out_is_nothing_noted(root: Path) -> None:
    notes = duke.read(make_duke(root)).notes
    assert [note for note in notes if "exclusive group" not in note] == []


def test_colours_are_groups_where_each_person_has_one(form: Format, root: Path) -> None:
    fields = list(form.halves["train"].values)
    colours = {
        part: [name for name in fields if name.startswith(part) and len(name) > len(part)]
        for part in ("up", "down")
    }
    halves = dict(form.halves)
    for name, half in halves.items():
        for part in colours.values():
            for number, colour in enumerate(part):
                chosen = [i % len(part) == number for i in range(len(half.identities))]
                half = half.changed(colour, [1 + is_chosen for is_chosen in chosen])
        halves[name] = half
    table = form.read(form.make(root, halves=halves))
    expected = {"upcolor": colours["up"], "downcolor": colours["down"]}
    if "young" in table.attributes:
        expected["age"] = list(AGES)
    found = {group: sorted(names) for group, names in table.groups.items()}
    assert found == {group: sorted(names) for group, names in expected.items()}


def test_groups_that_the_labels_contradict_are_none(form: Format, root: Path) -> None:
    table = form.read(form.make(root))
    assert "upcolor" not in table.groups
    assert any("upcolor" in note for note in table.notes)


def counted(table: LabelTable, *counts: int) -> bool:
    """Whether notes tell each of the counts, or their sum."""
    mentioned = [any(mentions(note, count) for note in table.notes) for count in counts]
    return all(mentioned) or any(mentions(note, sum(counts)) for note in table.notes)


# What is refused


def refused(form: Format, root: Path, halves: Mapping[str, Half]) -> str:
    """The message about an attribute file, which it names."""
    message = refusal(form.read, form.make(root, halves))
    assert form.file in message
    return message


def test_no_attribute_file(form: Format, root: Path) -> None:
    form.make(root)
    (root / "attribute" / form.file).unlink()
    assert form.file in refusal(form.read, root)


@pytest.mark.parametrize("share", [0, 0.01, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut(form: Format, root: Path, share: float, compressed: bool) -> None:
    form.make(root)
    path = root / "attribute" / form.file
    content = scipy.io.loadmat(path)[form.variable]
    scipy.io.savemat(path, {form.variable: content}, do_compression=compressed)
    assert_people(form.read(root), root, form)
    shrink(path, share)
    assert form.file in refusal(form.read, root)


@pytest.mark.parametrize("content", [b"", b"hello", b"MATLAB 5.0 MAT-file" + bytes(200)])
def test_a_file_that_is_no_mat(form: Format, root: Path, content: bytes) -> None:
    form.make(root)
    (root / "attribute" / form.file).write_bytes(content)
    assert form.file in refusal(form.read, root)


def test_a_file_of_another_variable(form: Format, root: Path) -> None:
    form.make(root)
    save_mat(root / "attribute" / form.file, something=np.eye(3))
    message = refusal(form.read, root)
    assert form.file in message and form.variable in message.replace(form.file, "")


@pytest.mark.parametrize("content", [3.0, "text", np.eye(3), row_of(["a", "b"]), {"a": 1.0}])
def test_a_variable_that_is_no_struct_of_halves(form: Format, root: Path, content: object) -> None:
    form.make(root)
    save_mat(root / "attribute" / form.file, **{form.variable: content})
    assert form.file in refusal(form.read, root)


@pytest.mark.parametrize("content", [3.0, "text", np.eye(3), row_of(["a", "b"]), {"hat": 1.0}])
@pytest.mark.parametrize("name", ["train", "test"])
def test_a_half_that_is_no_struct_of_fields(
    form: Format, root: Path, name: str, content: object
) -> None:
    form.make(root)
    path = root / "attribute" / form.file
    whole = scipy.io.loadmat(path)[form.variable][0][0]
    halves = {half: whole[half] for half in ("train", "test")}
    save_mat(path, **{form.variable: {**halves, name: content}})
    message = refusal(form.read, root)
    assert form.file in message and name in message.replace(form.file, "")


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_half_that_is_missing(form: Format, root: Path, missing: str) -> None:
    halves = {name: half for name, half in form.halves.items() if name != missing}
    assert missing in refused(form, root, halves)


WRONG = [0, 3, -1, 1.5, float("nan"), float("inf"), 258]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("field", ["hat", "upblack", "gender"])
@pytest.mark.parametrize("half", ["train", "test"])
def test_a_value_that_is_neither_no_nor_yes(
    form: Format, root: Path, half: str, field: str, value: float
) -> None:
    identities = form.people[half]
    values = [1, 2, 1, value, *[1] * (len(identities) - 4)]
    message = refused(form, root, form.half(half, lambda old: old.changed(field, values)))
    assert field in message or form.renamed.get(field, field) in message
    assert half in message.replace(form.file, "") or identities[3] in message
    assert mentions(message, 3, 4, int(identities[3])), message


@pytest.mark.parametrize("value", [0, 5, -1, 2.5, float("nan")])
def test_an_age_that_is_none_of_four(root: Path, value: float) -> None:
    values = [1, 2, 3, value, 4, 1]
    halves = MARKET.half("test", lambda old: old.changed("age", values))
    message = refused(MARKET, root, halves)
    assert "age" in message and mentions(message, 3, 4, int(MARKET_PEOPLE["test"][3]))


def test_a_field_of_text(form: Format, root: Path) -> None:
    count = len(form.people["train"])
    halves = form.half("train", lambda old: old.changed("hat", ["yes"] * count))
    assert "hat" in refused(form, root, halves)


@pytest.mark.parametrize("more", [-1, 1])
@pytest.mark.parametrize("half", ["train", "test"])
def test_a_field_of_another_length(form: Format, root: Path, half: str, more: int) -> None:
    values = [1] * (len(form.people[half]) + more)
    message = refused(form, root, form.half(half, lambda old: old.changed("hat", values)))
    assert "hat" in message and "image_index" in message
    assert mentions(message, len(values)) and mentions(message, len(form.people[half]))


def test_no_image_index(form: Format, root: Path) -> None:
    form.make(root)
    content = {
        name: {key: np.array([values], dtype=float) for key, values in half.values.items()}
        for name, half in form.halves.items()
    }
    save_mat(root / "attribute" / form.file, **{form.variable: content})
    message = refusal(form.read, root)
    assert form.file in message and "image_index" in message


@pytest.mark.parametrize("name", ["hat", "Rain_coat"])
@pytest.mark.parametrize("half", ["train", "test"])
def test_an_attribute_in_one_half_only(form: Format, root: Path, half: str, name: str) -> None:
    def without(old: Half) -> Half:
        return replace(old, values={key: v for key, v in old.values.items() if key != "hat"})

    def with_more(old: Half) -> Half:
        return old.changed(name, [1] * len(old.identities))

    halves = form.half(half, without if name == "hat" else with_more)
    assert name in refused(form, root, halves)


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("half", ["train", "test"])
def test_an_identity_twice(form: Format, root: Path, half: str, numbers: bool) -> None:
    identities = list(form.people[half])
    identities[4] = identities[1]
    index = np.array([[float(identity) for identity in identities]]) if numbers else identities
    halves = form.half(half, lambda old: replace(old, identities=index))
    assert mentions(refused(form, root, halves), int(identities[1]))


@pytest.mark.parametrize("identity", ["", "abcd", "12x4", "1.5"])
def test_an_identity_that_is_no_number(form: Format, root: Path, identity: str) -> None:
    identities = list(form.people["train"])
    identities[4] = identity
    halves = form.half("train", lambda old: replace(old, identities=identities))
    assert identity in refused(form, root, halves)


@pytest.mark.parametrize("identity", [1.5, float("nan"), float("inf")])
def test_an_identity_that_is_no_whole_number(form: Format, root: Path, identity: float) -> None:
    numbers = np.array([[float(person) for person in form.people["train"]]])
    numbers[0, 4] = identity
    refused(form, root, form.half("train", lambda old: replace(old, identities=numbers)))


def test_a_person_in_the_folders_of_both_splits(form: Format, root: Path) -> None:
    stray = form.pictures["query"][0].replace(".jpg", "_copy.jpg")
    folder = "bounding_box_train"
    pictures = {**form.pictures, folder: [*form.pictures[folder], stray]}
    message = refusal(form.read, form.make(root, pictures=pictures))
    assert person_of(stray) in message and "mixed up" in message
