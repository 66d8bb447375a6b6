"""The `ccp` format: Clothing Co-Parsing as published."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests.helpers.dataset_trees import (
    CCP_CLOTHES,
    CCP_NAMES,
    Clothes,
    Mask,
    assert_consistent,
    make_ccp,
    mentions,
    picture_names,
    refusal,
    shrink,
)
from tests.helpers.matlab_files import row_of, save_mat
from vaa_cli.core.datasets.formats.ccp import read
from vaa_cli.core.labels.table import LabelTable

LEVELS = {"image-level": "tags", "pixel-level": "groundtruth"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where trees are made; its name has blanks and capitals."""
    return tmp_path / "Clothing Co-Parsing"


def expected_labels(clothes: Clothes, names: tuple[str, ...] = CCP_NAMES) -> dict[str, list[int]]:
    """The labels of each photo that has an annotation, without the first name, in order."""
    photos = sorted(clothes.tags.keys() | clothes.masks.keys())
    present = {name: {int(tag) for tag in clothes.tags.get(name, ())} for name in photos}
    for name, mask in clothes.masks.items():
        present[name] |= {int(value) for value in mask.ravel().tolist()}
    return {name: [int(i in present[name]) for i in range(1, len(names))] for name in photos}


def assert_clothes(
    table: LabelTable, root: Path, clothes: Clothes, names: tuple[str, ...] = CCP_NAMES
) -> None:
    """The table has exactly these photos, in order of their names."""
    assert_consistent(table, root)
    expected = expected_labels(clothes, names)
    assert table.row_images == [f"photos/{name}.jpg" for name in expected]
    assert table.attributes == names[1:]
    assert table.labels.tolist() == list(expected.values())
    assert table.splits is None and table.boxes is None and table.identities is None


# What is read


def test_every_value(root: Path) -> None:
    table = read(make_ccp(root))
    assert_clothes(table, root, CCP_CLOTHES)
    assert all(Path(table.path(row)).is_file() for row in range(len(table)))
    assert table.notes == ()


def test_the_default_tree_has_what_readers_trip_over(root: Path) -> None:
    photos = sorted(CCP_CLOTHES.tags.keys() | CCP_CLOTHES.masks.keys())
    assert picture_names(make_ccp(root) / "photos") == [f"{name}.jpg" for name in photos]
    assert len(set(CCP_NAMES)) == 59
    tagged, masked = set(CCP_CLOTHES.tags), set(CCP_CLOTHES.masks)
    assert tagged - masked and masked - tagged and tagged & masked
    assert any(0 in tags for tags in CCP_CLOTHES.tags.values())
    shapes = [
        scipy.io.loadmat(root / "annotations" / "image-level" / f"{name}.mat")["tags"].shape
        for name in CCP_CLOTHES.tags
    ]
    assert any(h == 1 < w for h, w in shapes) and any(w == 1 < h for h, w in shapes)
    assert scipy.io.loadmat(root / "label_list.mat")["label_list"].shape == (1, 59)


@pytest.mark.parametrize("level", LEVELS)
def test_one_level_is_enough(root: Path, level: str) -> None:
    clothes = (
        Clothes(tags=CCP_CLOTHES.tags)
        if level == "image-level"
        else Clothes(masks=CCP_CLOTHES.masks)
    )
    table = read(make_ccp(root, clothes))
    assert_clothes(table, root, clothes)
    assert table.notes == ()


def test_both_levels_are_joined(root: Path) -> None:
    mask = np.zeros((48, 24), dtype=np.uint8)
    mask[7, 5], mask[47, 23] = 3, 58
    clothes = Clothes({"0001": [1, 3, 57]}, {"0001": mask})
    table = read(make_ccp(root, clothes))
    assert_clothes(table, root, clothes)
    present = {name for name, y in zip(table.attributes, table.labels[0], strict=True) if y == 1}
    assert present == {CCP_NAMES[1], CCP_NAMES[3], CCP_NAMES[57], CCP_NAMES[58]}


def test_the_first_and_the_last_name(root: Path) -> None:
    clothes = Clothes({"0001": [0], "0002": [58], "0003": [0, 1]})
    table = read(make_ccp(root, clothes))
    assert_clothes(table, root, clothes)
    assert table.labels.sum(axis=1).tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("column", [False, True])
def test_every_type_of_number(root: Path, dtype: str, column: bool) -> None:
    make_ccp(root)
    for name, tags in CCP_CLOTHES.tags.items():
        row = np.array([tags], dtype=dtype)
        path = root / "annotations" / "image-level" / f"{name}.mat"
        save_mat(path, tags=row.T if column else row)
    for name, mask in CCP_CLOTHES.masks.items():
        path = root / "annotations" / "pixel-level" / f"{name}.mat"
        save_mat(path, groundtruth=mask.astype(dtype))
    assert_clothes(read(root), root, CCP_CLOTHES)


def test_compressed_files(root: Path) -> None:
    make_ccp(root)
    for path in root.rglob("*.mat"):
        content = {k: v for k, v in scipy.io.loadmat(path).items() if not k.startswith("__")}
        scipy.io.savemat(path, content, do_compression=True)
    assert_clothes(read(root), root, CCP_CLOTHES)


def test_other_variables_beside_it(root: Path) -> None:
    make_ccp(root)
    for level, variable in LEVELS.items():
        for path in (root / "annotations" / level).iterdir():
            content = scipy.io.loadmat(path)[variable]
            save_mat(path, author="someone", **{variable: content})
    assert_clothes(read(root), root, CCP_CLOTHES)


def test_a_tag_twice(root: Path) -> None:
    clothes = Clothes({"0001": [5, 5, 7]})
    assert_clothes(read(make_ccp(root, clothes)), root, clothes)


def test_no_tags_are_nothing_present(root: Path) -> None:
    clothes = Clothes({"0001": [], "0002": [4], "0003": []})
    assert_clothes(read(make_ccp(root, clothes)), root, clothes)


def test_names_with_blanks_and_capitals(root: Path) -> None:
    names = ("null", "Rain coat", "T-shirt", "jeans")
    clothes = Clothes({"0001": [1, 3], "0002": [2]}, {"0003": np.array([[0, 3], [2, 2]])})
    assert_clothes(read(make_ccp(root, clothes, names=names)), root, clothes, names)


def test_names_in_a_column(root: Path) -> None:
    save_mat(make_ccp(root) / "label_list.mat", label_list=row_of(CCP_NAMES).T)
    assert_clothes(read(root), root, CCP_CLOTHES)


@pytest.mark.parametrize("level", LEVELS)
def test_an_annotation_without_a_photo_is_noted(root: Path, level: str) -> None:
    clothes, gone = only(level, 30), {f"{i:04d}" for i in range(3, 30, 2)}
    photos = sorted((clothes.tags.keys() | clothes.masks.keys()) - gone)
    table = read(make_ccp(root, clothes, photos))
    kept = Clothes(
        {name: tags for name, tags in clothes.tags.items() if name not in gone},
        {name: mask for name, mask in clothes.masks.items() if name not in gone},
    )
    assert_clothes(table, root, kept)
    assert any(mentions(note, len(gone)) for note in table.notes), table.notes


def test_a_photo_without_an_annotation_is_noted(root: Path) -> None:
    photos = [*CCP_CLOTHES.tags.keys() | CCP_CLOTHES.masks.keys(), *map(str, range(2000, 2017))]
    table = read(make_ccp(root, photos=photos))
    assert_clothes(table, root, CCP_CLOTHES)
    assert any(mentions(note, 17) for note in table.notes), table.notes


def only(level: str, count: int) -> Clothes:
    """Annotations of one level."""
    names = [f"{i + 1:04d}" for i in range(count)]
    if level == "image-level":
        return Clothes(tags={name: [1 + i] for i, name in enumerate(names)})
    return Clothes(masks={name: np.full((4, 3), 1 + i) for i, name in enumerate(names)})


# What is refused

BROKEN = "0005"


def put(root: Path, level: str, **variables: object) -> None:
    """Write another annotation into a tree that is complete otherwise."""
    make_ccp(root)
    save_mat(root / "annotations" / level / f"{BROKEN}.mat", **variables)


def refused(root: Path) -> str:
    """The message about an annotation, which names it."""
    message = refusal(read, root)
    assert f"{BROKEN}.mat" in message
    return message


@pytest.mark.parametrize("value", [59, 60, 255, 256, 1000, -1, 1.5, 58.5, float("nan"), 1e30])
def test_a_tag_beyond_the_list(root: Path, value: float) -> None:
    put(root, "image-level", tags=np.array([[1.0, 2.0, value]]))
    message = refused(root)
    if abs(value) < 10**6:
        assert f"{value:g}" in message


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_a_pixel_beyond_the_list(root: Path, dtype: str) -> None:
    mask = np.zeros((48, 24), dtype=dtype)
    mask[40, 20] = 59
    put(root, "pixel-level", groundtruth=mask)
    assert mentions(refused(root), 59)


@pytest.mark.parametrize("value", [-1, 256, 1.5, float("nan"), float("inf"), 1e30])
def test_a_pixel_that_is_no_position(root: Path, value: float) -> None:
    mask = np.zeros((48, 24), dtype=np.float64)
    mask[40, 20] = value
    put(root, "pixel-level", groundtruth=mask)
    refused(root)


def test_the_list_may_be_shorter(root: Path) -> None:
    make_ccp(root, Clothes({"0001": [1], BROKEN: [4]}), names=CCP_NAMES[:4])
    assert mentions(refused(root), 4)


@pytest.mark.parametrize(
    "tags",
    ["hat", "", row_of(["hat", "bag"]), row_of([1.0, 2.0]), {"hat": 1.0}, np.array(["hat", "bag"])],
    ids=["text", "empty text", "cell of text", "cell of numbers", "struct", "lines of text"],
)
def test_tags_that_are_no_numbers(root: Path, tags: object) -> None:
    put(root, "image-level", tags=tags)
    refused(root)


@pytest.mark.parametrize(
    "mask", ["hat", row_of(["hat", "bag"]), {"hat": 1.0}], ids=["text", "cell", "struct"]
)
def test_pixels_that_are_no_numbers(root: Path, mask: object) -> None:
    put(root, "pixel-level", groundtruth=mask)
    refused(root)


@pytest.mark.parametrize(("level", "variable"), LEVELS.items())
def test_a_file_of_another_variable(root: Path, level: str, variable: str) -> None:
    put(root, level, something=np.eye(3))
    assert variable in refused(root)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.6, 0.9, 0.98])
@pytest.mark.parametrize("compressed", [False, True])
def test_an_annotation_that_is_cut(root: Path, level: str, share: float, compressed: bool) -> None:
    make_ccp(root)
    path = root / "annotations" / level / "0003.mat"
    content = scipy.io.loadmat(path)[LEVELS[level]]
    scipy.io.savemat(path, {LEVELS[level]: content}, do_compression=compressed)
    assert_clothes(read(root), root, CCP_CLOTHES)
    shrink(path, share)
    assert path.name in refusal(read, root)


@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_list_that_is_cut(root: Path, share: float, compressed: bool) -> None:
    path = make_ccp(root) / "label_list.mat"
    scipy.io.savemat(path, {"label_list": row_of(CCP_NAMES)}, do_compression=compressed)
    assert_clothes(read(root), root, CCP_CLOTHES)
    shrink(path, share)
    assert path.name in refusal(read, root)


def test_no_list(root: Path) -> None:
    (make_ccp(root) / "label_list.mat").unlink()
    assert "label_list.mat" in refusal(read, root)


@pytest.mark.parametrize(
    "names",
    [3.0, "text", np.zeros((1, 59)), row_of([1.0, 2.0]), {"null": 1.0}, row_of([])],
    ids=["number", "text", "numbers", "cell of numbers", "struct", "empty"],
)
def test_a_list_that_is_no_list_of_names(root: Path, names: object) -> None:
    path = save_mat(make_ccp(root) / "label_list.mat", label_list=names)
    assert path.name in refusal(read, root)


def test_a_list_of_another_variable(root: Path) -> None:
    path = save_mat(make_ccp(root) / "label_list.mat", labels=row_of(CCP_NAMES))
    message = refusal(read, root)
    assert path.name in message and "label_list" in message.replace(path.name, "")


def test_a_name_twice(root: Path) -> None:
    names = [*CCP_NAMES[:9], "belt", *CCP_NAMES[10:]]
    message = refusal(read, make_ccp(root, names=names))
    assert "label_list.mat" in message and "belt" in message


def test_a_mask_of_the_wrong_photo_is_not_mixed_up(root: Path) -> None:
    """Photos and annotations are joined by name, in whatever order the folder lists them."""
    masks: dict[str, Mask] = {f"{i:04d}": np.full((2, 2), i % 58 + 1) for i in (30, 4, 100, 17)}
    clothes = replace(CCP_CLOTHES, masks=masks, tags={"0050": [3], "0005": [9]})
    assert_clothes(read(make_ccp(root, clothes)), root, clothes)
