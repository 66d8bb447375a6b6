"""AttributeRegions from boxes and from masks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import make_table, noise, save_oriented, write_rows
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.attribute_regions import BoxRegions, MaskRegions
from vaa_cli.core.labels.table import LabelTable

HEADER = ["image", "attribute", "left", "top", "width", "height"]
NAMES = ("hat", "bag")


def table_of(root: Path, labels: Sequence[Sequence[int]], **options: object) -> LabelTable:
    """Pictures images/0.png … of 20 x 10 (width, height), with two attributes."""
    (root / "images").mkdir(exist_ok=True)
    images = [f"images/{i}.png" for i in range(len(labels))]
    for image in images:
        noise(20, 10).save(root / image)
    return make_table(labels, images=images, attributes=NAMES, root=root, **options)  # type: ignore[arg-type]


def boxes(path: Path, table: LabelTable, margin: float = 0.0) -> BoxRegions:
    return BoxRegions(path, table, {*table.row_images, "images/elsewhere.png"}, NAMES, margin)


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    inside = np.zeros((10, 20), dtype=bool)
    inside[top:bottom, left:right] = True
    return inside


def test_boxes_of_what_is_present(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1], [1, 0], [0, 1], [-1, 1]])
    path = write_rows(
        tmp_path / "boxes.csv",
        HEADER,
        ["images/0.png", "hat", 2, 1, 5, 3],
        ["images/0.png", "bag", -4, 6, 8, 20],  # beyond the picture
        ["images/0.png", "hat", 12, 1, 2, 2],  # a second one
        ["images/1.png", "bag", 1, 1, 5, 5],  # labelled as absent
        ["images/3.png", "hat", 1, 1, 5, 5],  # not labelled
        ["images/0.png", "scarf", 1, 1, 5, 5],  # the model has no such attribute
        ["images/elsewhere.png", "hat", 1, 1, 5, 5],  # in another split
    )
    found = boxes(path, table)
    assert found.rows == [0, 1, 3]
    hat, bag = found.of(0)
    assert (hat.row, hat.attribute, bag.attribute) == (0, 0, 1)
    assert (hat.inside == (rectangle(1, 2, 4, 7) | rectangle(1, 12, 3, 14))).all()
    assert (bag.inside == rectangle(6, 0, 10, 4)).all()
    assert found.of(1) == found.of(3) == []


def test_boxes_named_from_the_folder_of_their_table(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1]])
    (tmp_path / "more").mkdir()
    path = write_rows(tmp_path / "more/b.csv", HEADER, ["../images/0.png", "hat", 0, 0, 4, 4])
    assert boxes(path, table).rows == [0]


def test_boxes_are_of_upright_pictures(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1]])
    upright = np.asarray(noise(20, 10))
    save_oriented(upright, 6, tmp_path / "images/0.png")
    path = write_rows(tmp_path / "b.csv", HEADER, ["images/0.png", "hat", 15, 2, 5, 4])
    (place,) = boxes(path, table).of(0)
    assert (place.inside == rectangle(2, 15, 6, 20)).all()


def test_places_in_the_part_that_the_model_sees(tmp_path: Path) -> None:
    """Two people of one picture: each has what is inside of its box."""
    table = table_of(tmp_path, [[1, 1], [1, 1]], boxes=[[0, 0, 10, 10], [10, 0, 10, 10]])
    table = replace(table, row_images=["images/0.png"] * 2)
    path = write_rows(
        tmp_path / "b.csv",
        HEADER,
        ["images/0.png", "hat", 8, 2, 5, 4],
        ["images/0.png", "bag", 0, 0, 3, 3],
    )
    found = boxes(path, table)
    assert found.rows == [0, 1]
    hat, bag = found.of(0)
    assert hat.inside.shape == (10, 10) and (hat.inside == rectangle(2, 8, 6, 13)[:, :10]).all()
    assert bag.attribute == 1
    (other,) = found.of(1)
    assert (other.inside == rectangle(2, 8, 6, 13)[:, 10:]).all()
    wider = boxes(path, table, margin=0.2).of(0)[0]
    assert (wider.inside == rectangle(2, 8, 6, 13)[:, :12]).all()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["images/9.png", "hat", 1, 1, 2, 2]], "row 2: 'images/9.png' is no picture"),
        ([["images/0.png", "scarf", 1, 1, 2, 2]], "no box of these pictures"),
        ([["images/elsewhere.png", "hat", 1, 1, 2, 2]], "no box of these pictures"),
        ([["images/0.png", "hat", "x", 1, 2, 2]], "row 2, column 'left'"),
    ],
)
def test_wrong_boxes(tmp_path: Path, rows: list[list[object]], message: str) -> None:
    table = table_of(tmp_path, [[1, 1]])
    with pytest.raises(VAAError, match=message):
        boxes(write_rows(tmp_path / "b.csv", HEADER, *rows), table)


def test_a_table_without_boxes(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1]])
    path = write_rows(tmp_path / "b.csv", ["image", "left"], ["images/0.png", 3])
    with pytest.raises(VAAError, match="needs the columns image, attribute"):
        boxes(path, table)


def mask_folder(root: Path, values: np.ndarray, *names: Sequence[object]) -> Path:
    (root / "masks").mkdir()
    Image.fromarray(values).save(root / "masks/0.png")
    write_rows(root / "mask_values.csv", ["value", "name"], *names)
    return root / "masks"


def test_masks(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1], [1, 1]])
    values = np.zeros((10, 20), dtype=np.uint8)
    values[:3, :4], values[5:, 10:], values[9, 0] = 7, 200, 8
    folder = mask_folder(tmp_path, values, (0, "null"), (7, "hat"), (8, "hat"), (200, "bag"))
    found = MaskRegions(folder, table, NAMES, 0.0)
    assert found.rows == [0]
    hat, bag = found.of(0)
    assert (hat.inside == ((values == 7) | (values == 8))).all()
    assert (bag.inside == (values == 200)).all()


def test_masks_in_folders_as_their_pictures(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1]])
    folder = mask_folder(tmp_path, np.full((10, 20), 1, dtype=np.uint8), (1, "hat"))
    (folder / "images").mkdir()
    Image.fromarray(np.zeros((10, 20), dtype=np.uint8)).save(folder / "images/0.png")
    assert MaskRegions(folder, table, NAMES, 0.0).of(0) == []  # the nearer name counts


def test_wrong_masks(tmp_path: Path) -> None:
    table = table_of(tmp_path, [[1, 1]])
    with pytest.raises(VAAError, match="no such folder"):
        MaskRegions(tmp_path / "nowhere", table, NAMES, 0.0)
    folder = mask_folder(tmp_path, np.zeros((9, 20), dtype=np.uint8), (1, "hat"))
    with pytest.raises(VAAError, match=r"has 20 x 9 pixels, but its picture .* 20 x 10"):
        MaskRegions(folder, table, NAMES, 0.0)
    noise(20, 10).save(folder / "0.png")
    with pytest.raises(VAAError, match="is in colour"):
        MaskRegions(folder, table, NAMES, 0.0).of(0)
    (folder / "0.png").write_bytes(b"broken")
    with pytest.raises(VAAError, match="not a picture"):
        MaskRegions(folder, table, NAMES, 0.0)
    (folder / "0.png").unlink()
    with pytest.raises(VAAError, match=r"the mask of images/0.png would be .*0\.png"):
        MaskRegions(folder, table, NAMES, 0.0)
    write_rows(tmp_path / "mask_values.csv", ["value", "name"], ("x", "hat"))
    with pytest.raises(VAAError, match="row 2: 'x' is no value"):
        MaskRegions(folder, table, NAMES, 0.0)
    write_rows(tmp_path / "mask_values.csv", ["value", "name"], (1, "scarf"))
    with pytest.raises(VAAError, match="names none of the model's attributes"):
        MaskRegions(folder, table, NAMES, 0.0)
    (tmp_path / "mask_values.csv").unlink()
    with pytest.raises(VAAError, match=r"no mask_values\.csv"):
        MaskRegions(folder, table, NAMES, 0.0)
