"""The `wider` format: WIDER-Attribute as its publishers ship it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.dataset_trees import (
    WIDER_ATTRIBUTES,
    WIDER_TEST,
    WIDER_TEST_PEOPLE,
    WIDER_TRAINVAL,
    WIDER_TRAINVAL_PEOPLE,
    People,
    Person,
    assert_consistent,
    make_wider,
    mentions,
    picture_names,
    refusal,
    save_pictures,
    wider_json,
)
from vaa_cli.core.datasets.formats.wider import read
from vaa_cli.core.labels.table import LabelTable

MEANING = {1: 1, -1: 0, 0: -1}
SPLIT_POSITIONS = {"train": 0, "val": 1, "test": 2}
ALL_PEOPLE: People = {**WIDER_TRAINVAL_PEOPLE, **WIDER_TEST_PEOPLE}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "WIDER Attribute"


def assert_people(table: LabelTable, root: Path, people: People, prefix: str = "Image/") -> None:
    """The table has exactly these people, in order."""
    assert_consistent(table, root)
    rows = [(name, person) for name, persons in people.items() for person in persons]
    assert table.row_images == [prefix + name for name, _ in rows]
    assert table.attributes == WIDER_ATTRIBUTES
    expected = [[MEANING[value] for value in person.attribute] for _, person in rows]
    assert table.labels.tolist() == expected
    assert table.splits is not None and table.boxes is not None
    assert table.splits.tolist() == [SPLIT_POSITIONS[name.split("/")[0]] for name, _ in rows]
    assert table.boxes.tolist() == [list(person.bbox) for _, person in rows]
    assert table.identities is None


def persons(count: int = 1, bbox: tuple[float, ...] = (1, 2, 8, 16)) -> list[Person]:
    return [Person([1] * 14, bbox) for _ in range(count)]


# What is read


@pytest.mark.parametrize("annotations", ["wider_attribute_annotation", "Anno", ""])
@pytest.mark.parametrize(("pictures", "prefix"), [("Image", "Image/"), ("", "")])
def test_every_value_in_every_layout(
    root: Path, annotations: str, pictures: str, prefix: str
) -> None:
    make_wider(root, annotations=annotations, pictures=pictures)
    table = read(root)
    assert_people(table, root, ALL_PEOPLE, prefix)
    assert all(Path(table.path(row)).is_file() for row in range(len(table)))


def test_the_default_tree_has_what_readers_trip_over(root: Path) -> None:
    names = picture_names(make_wider(root) / "Image")
    assert sorted(names) == sorted(ALL_PEOPLE)
    assert any(" " in name for name in names) and any(name.endswith("JPG") for name in names)
    assert {len(people) for people in ALL_PEOPLE.values()} == {0, 1, 2, 3}
    values = np.array([p.attribute for people in ALL_PEOPLE.values() for p in people])
    assert all(set(column) == {-1, 0, 1} for column in values.T.tolist())


@pytest.mark.parametrize(
    ("missing", "people"),
    [("trainval", WIDER_TEST_PEOPLE), ("test", WIDER_TRAINVAL_PEOPLE)],
)
def test_one_annotation_file_is_enough(root: Path, missing: str, people: People) -> None:
    if missing == "trainval":
        make_wider(root, trainval=None)
    else:
        make_wider(root, test=None)
    assert_people(read(root), root, people)


def test_minus_one_is_absent_even_where_there_is_no_zero(root: Path) -> None:
    people = {"train/0--Parade/a.jpg": [Person([1, -1] * 7, (0, 0, 4, 4))]}
    assert_people(read(make_wider(root, people, None)), root, people)


def test_zero_is_unspecified_even_where_there_is_no_minus_one(root: Path) -> None:
    people = {"train/0--Parade/a.jpg": [Person([1, 0] * 7, (0, 0, 4, 4))]}
    assert_people(read(make_wider(root, people, None)), root, people)


def test_boxes_stay_as_they_are(root: Path) -> None:
    boxes = [
        (0.125, 3.75, 7.0625, 10.1),  # fractional
        (-5.5, -7, 20, 30),  # outside at the top left
        (20, 40, 1000, 2000),  # outside at the bottom right
        (500, 600, 10, 20),  # altogether outside
        (3, 4, 0, 10),  # degenerate
        (3, 4, 10, 0),
        (3, 4, 0, 0),
        (10, 20, -4, -8),
        (0.1, 0.2, 0.3, 1e-9),
        (0.1 + 0.2, 1 / 3, 2 / 3, 123456.789),
    ]
    people = {
        "train/0--Parade/a.jpg": [Person([1] * 14, box) for box in boxes[:5]],
        "val/0--Parade/b.jpg": [Person([-1] * 14, box) for box in boxes[5:]],
    }
    assert_people(read(make_wider(root, people, None)), root, people)


def test_the_same_box_twice_is_two_rows(root: Path) -> None:
    people = {"train/0--Parade/a.jpg": persons(2)}
    assert_people(read(make_wider(root, people, None)), root, people)


def test_the_split_is_the_first_folder_in_either_file(root: Path) -> None:
    trainval = {"val/1--Handshaking/a.jpg": persons(), "train/0--Parade/b.jpg": persons(2)}
    test = {"test/2--Demonstration/test/a.jpg": persons(), "test/0--train/b.jpg": persons()}
    assert_people(read(make_wider(root, trainval, test)), root, {**trainval, **test})


def test_missing_pictures_are_no_error(root: Path) -> None:
    make_wider(root)
    for name in list(ALL_PEOPLE)[1::2]:
        (root / "Image" / name).unlink()
    assert_people(read(root), root, ALL_PEOPLE)


def test_the_folder_image_is_taken_when_the_root_has_other_folders(root: Path) -> None:
    make_wider(root)
    (root / "train").mkdir()
    assert_people(read(root), root, ALL_PEOPLE)


def test_names_in_other_scripts(root: Path) -> None:
    people = {"train/0--Parade/Café 日本.jpg": persons()}
    assert_people(read(make_wider(root, people, None)), root, people)
    content = json.dumps(wider_json(people), ensure_ascii=False).encode()
    (root / "wider_attribute_annotation" / WIDER_TRAINVAL).write_bytes(content)
    assert_people(read(root), root, people)


def test_keys_that_the_format_does_not_tell_of(root: Path) -> None:
    make_wider(root)
    path = root / "wider_attribute_annotation" / WIDER_TEST
    content = json.loads(path.read_text())
    content["attribute_id_map"] = {"0": "Male"}
    content["scene_id_map"] = {"0": "Parade"}
    content["images"][0]["targets"][0]["score"] = "high"
    path.write_text(json.dumps(content))
    assert_people(read(root), root, ALL_PEOPLE)


# What is refused

BROKEN_IMAGE, BROKEN_PERSON = 7, 3
BROKEN = "train/0--Parade/broken.jpg"


def crowd() -> dict[str, Any]:
    """A JSON of nine pictures with six people each."""
    names = [f"train/0--Parade/{letter}.jpg" for letter in "abcdefg"]
    people = {name: persons(6) for name in [*names, BROKEN, "train/0--Parade/z.jpg"]}
    return wider_json(people)


def write(root: Path, content: object, name: str = WIDER_TRAINVAL) -> None:
    """Write an annotation file into a tree that is complete otherwise."""
    make_wider(root)
    text = content if isinstance(content, str) else json.dumps(content)
    (root / "wider_attribute_annotation" / name).write_text(text, encoding="utf-8")


def refused_name(root: Path, name: str) -> str:
    """The message about a picture of a name that is refused."""
    content = crowd()
    content["images"][BROKEN_IMAGE]["file_name"] = name
    write(root, content)
    return refusal(read, root)


def test_no_annotation_file(root: Path) -> None:
    save_pictures(root / "Image", ["train/0--Parade/a.jpg"])
    message = refusal(read, root)
    assert WIDER_TRAINVAL in message and WIDER_TEST in message


@pytest.mark.parametrize("name", [WIDER_TRAINVAL, WIDER_TEST])
@pytest.mark.parametrize("share", [0, 0.1, 0.37, 0.5, 0.73, 0.99])
def test_a_file_that_is_cut(root: Path, name: str, share: float) -> None:
    text = json.dumps(crowd(), indent=1)
    write(root, text[: int(share * len(text))], name)
    assert name in refusal(read, root)


def test_the_place_where_a_file_is_cut(root: Path) -> None:
    lines = json.dumps(crowd(), indent=1).splitlines()
    write(root, "\n".join([*lines[:40], "oops", *lines[40:]]))
    message = refusal(read, root)
    # Published files are one long line: picture and person tell more than its number would.
    assert WIDER_TRAINVAL in message and "train/0--Parade/a.jpg" in message
    assert mentions(message, 2), message


@pytest.mark.parametrize("content", [b"\xff\xfe\x00{", b"\x89PNG\r\n", b'{"images": ["\xe9"]}'])
def test_a_file_that_is_no_text(root: Path, content: bytes) -> None:
    make_wider(root)
    (root / "wider_attribute_annotation" / WIDER_TEST).write_bytes(content)
    assert WIDER_TEST in refusal(read, root)


def test_a_folder_in_the_place_of_a_file(root: Path) -> None:
    make_wider(root, test=None)
    (root / "wider_attribute_annotation" / WIDER_TEST).mkdir()
    try:
        table = read(root)
    except Exception:
        assert WIDER_TEST in refusal(read, root)
    else:
        assert_people(table, root, WIDER_TRAINVAL_PEOPLE)


@pytest.mark.parametrize(
    "content",
    [
        [], {}, 3, None, "images", [{"file_name": "train/0--Parade/a.jpg", "targets": []}],
        {"Images": []}, {"images": None}, {"images": {}}, {"images": "a"}, {"images": 3},
        {"images": [[]]}, {"images": ["train/0--Parade/a.jpg"]}, {"images": [None]},
        "[" * 100_000, '{"images": ' * 100_000,
    ],
    ids=lambda content: json.dumps(content)[:40],
)  # fmt: skip
def test_another_shape(root: Path, content: object) -> None:
    write(root, content)
    assert WIDER_TRAINVAL in refusal(read, root)


@pytest.mark.parametrize("name", [None, 3, [], {}, "", "missing"], ids=repr)
def test_an_image_without_a_file_name(root: Path, name: object) -> None:
    content = crowd()
    if name == "missing":
        del content["images"][BROKEN_IMAGE]["file_name"]
    else:
        content["images"][BROKEN_IMAGE]["file_name"] = name
    write(root, content)
    message = refusal(read, root)
    assert WIDER_TRAINVAL in message
    assert mentions(message, BROKEN_IMAGE, BROKEN_IMAGE + 1), message


@pytest.mark.parametrize(
    "name",
    [
        "../../x.jpg", "/etc/x.jpg", "train/../../x.jpg", "train/../../../etc/x.jpg",
        "../train/x.jpg", "train/0--Parade/../../../x.jpg",
    ],
)  # fmt: skip
def test_a_file_name_that_leaves_the_folder(root: Path, name: str) -> None:
    message = refused_name(root, name)
    assert WIDER_TRAINVAL in message and name in message


@pytest.mark.parametrize(
    "name", ["x.jpg", "0--Parade/x.jpg", "trainval/0--Parade/x.jpg", "Image/train/x.jpg"]
)
def test_a_first_folder_that_is_no_split(root: Path, name: str) -> None:
    message = refused_name(root, name)
    assert WIDER_TRAINVAL in message and name in message
    assert all(split in message for split in SPLIT_POSITIONS)


@pytest.mark.parametrize("name", ["no\nsplit/x.jpg", "../a\r\nb.jpg", "no\u2028split/x.jpg"])
def test_a_message_is_one_line_whatever_the_name(root: Path, name: str) -> None:
    assert WIDER_TRAINVAL in refused_name(root, name)


@pytest.mark.parametrize("targets", [None, 3, "two", {}, {"bbox": [0, 0, 1, 1]}], ids=repr)
def test_targets_that_are_no_list(root: Path, targets: object) -> None:
    content = crowd()
    content["images"][BROKEN_IMAGE]["targets"] = targets
    write(root, content)
    message = refusal(read, root)
    assert WIDER_TRAINVAL in message and BROKEN in message


def put(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda target: target.update({key: value})


def put_attribute(value: object) -> Callable[[dict[str, Any]], None]:
    """Put a value in the place of one of the 14."""
    return put("attribute", [1, -1, 0, value, *[1] * 10])


def put_side(value: object) -> Callable[[dict[str, Any]], None]:
    """Put a value in the place of one of the four."""
    return put("bbox", [1, 2, value, 16])


# What is wrong in the place of the 14 values, of one of them, of the box, and of one side of it.
WRONG_ATTRIBUTES: list[object] = [
    None, 1, [], [1] * 13, [1] * 15, [[1] * 14], {"Male": 1}, "1" * 14
]  # fmt: skip
WRONG_VALUES: list[object] = [2, -2, 0.5, "1", None, [1], 257, -255, 10**30, float("nan")]
WRONG_BOXES: list[object] = [
    None, 3, [], [1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4]], "1234", {}, {"x": 1}
]  # fmt: skip
WRONG_SIDES: list[object] = [
    "8", "", None, float("nan"), float("inf"), -float("inf"), [8], 10**400
]  # fmt: skip


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda target: target.pop("bbox"), id="no bbox"),
        pytest.param(lambda target: target.pop("attribute"), id="no attribute"),
        *(pytest.param(put("attribute", v), id=f"attribute {v}") for v in WRONG_ATTRIBUTES),
        *(pytest.param(put_attribute(v), id=f"one attribute {v}") for v in WRONG_VALUES),
        *(pytest.param(put("bbox", v), id=f"bbox {v}") for v in WRONG_BOXES),
        *(pytest.param(put_side(v), id=f"side {str(v)[:9]}") for v in WRONG_SIDES),
    ],
)
@pytest.mark.parametrize("name", [WIDER_TRAINVAL, WIDER_TEST])
def test_a_person_of_another_shape(
    root: Path, harm: Callable[[dict[str, Any]], object], name: str
) -> None:
    content = crowd()
    harm(content["images"][BROKEN_IMAGE]["targets"][BROKEN_PERSON])
    write(root, content, name)
    message = refusal(read, root)
    assert name in message and BROKEN in message
    assert mentions(message.replace(BROKEN, ""), BROKEN_PERSON, BROKEN_PERSON + 1), message


@pytest.mark.parametrize("target", [None, 3, "person", [], [1, 2, 3, 4]], ids=repr)
def test_a_person_that_is_no_object(root: Path, target: object) -> None:
    content = crowd()
    content["images"][BROKEN_IMAGE]["targets"][BROKEN_PERSON] = target
    write(root, content)
    message = refusal(read, root)
    assert WIDER_TRAINVAL in message and BROKEN in message
    assert mentions(message.replace(BROKEN, ""), BROKEN_PERSON, BROKEN_PERSON + 1), message


def test_a_huge_number_written_with_an_exponent(root: Path) -> None:
    write(root, json.dumps(crowd()).replace("[1, 2, 8, 16]", "[1, 2, 1e999, 16]", 1))
    message = refusal(read, root)
    assert WIDER_TRAINVAL in message and "train/0--Parade/a.jpg" in message


def test_a_number_of_more_digits_than_python_reads(root: Path) -> None:
    write(root, json.dumps(crowd()).replace("[1, 2, 8, 16]", f"[1, 2, {'9' * 5000}, 16]", 1))
    assert WIDER_TRAINVAL in refusal(read, root)
