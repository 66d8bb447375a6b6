"""Crops: each is what its box shows, is written once, and goes on where a run stopped."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import make_table, noise, quarters, save_oriented
from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.datasets.crops import (
    CropOptions,
    crop_names,
    cropped,
    write_crops,
)
from vaa_cli.core.datasets.prepared_output import prepared_output
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.table import LabelTable

OPTIONS = CropOptions(margin=0.1, short_side=32)
WHOLE = (np.nan,) * 4


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    """Five people in three pictures, of which the last is missing; one person is all of one."""
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    for name, size, seed in (("a.png", (120, 90), 1), ("sub/a.png", (80, 200), 2)):
        noise(12, 10, seed).resize(size, Image.Resampling.BICUBIC).save(root / name)
    return make_table(
        [[1], [0], [1], [0], [1]],
        images=["a.png", "sub/a.png", "a.png", "gone.png", "sub/a.png"],
        splits=[0, 1, 2, 0, 1],
        boxes=[(10, 10, 60, 40), WHOLE, (100, 50, 10, 20), (0, 0, 5, 5), (0, 0, 40, 100)],
        root=root,
    )


def crop(
    table: LabelTable, folder: Path, options: CropOptions = OPTIONS, earlier: Path | None = None
) -> tuple[LabelTable, list[Dropped]]:
    """All crops of a table."""
    names = crop_names(table, options)
    problems = list(write_crops(table, names, folder, earlier or folder / "none", options, 2))
    return cropped(table, names, problems)


def files(folder: Path) -> dict[str, int]:
    """The files below a folder, and when each was written."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_rows_of_crops(table: LabelTable, tmp_path: Path) -> None:
    crops, dropped = crop(table, tmp_path / "crops")
    assert dropped == [Dropped("gone.png", "no such file")]
    assert crops.boxes is None
    assert crops.labels.tolist() == [[1], [0], [1], [1]]
    assert crops.splits is not None and crops.splits.tolist() == [0, 1, 2, 1]
    assert len(set(crops.row_images)) == 4
    assert sorted(files(tmp_path / "crops")) == sorted(crops.row_images)


def test_what_a_crop_shows(table: LabelTable, tmp_path: Path) -> None:
    crops, _ = crop(table, tmp_path / "crops", CropOptions(0.1, 1000))
    for name, row in zip(crops.row_images, (0, 1, 2, 4), strict=True):
        expected = open_picture(table.path(row), table.box(row), margin=0.1)
        with Image.open(tmp_path / "crops" / name) as picture:
            assert picture.format == "JPEG" and picture.size == expected.size
            far = np.abs(np.asarray(picture, dtype=int) - np.asarray(expected, dtype=int))
            assert far.mean() < 4


def test_larger_crops_are_scaled_to_the_short_side(table: LabelTable, tmp_path: Path) -> None:
    crops, _ = crop(table, tmp_path / "crops", CropOptions(0.0, 32))
    sizes = []
    for name in crops.row_images:
        with Image.open(tmp_path / "crops" / name) as picture:
            sizes.append(picture.size)
    # 60 x 40, 80 x 200, 10 x 20 (already smaller), 40 x 100.
    assert sizes == [(48, 32), (32, 80), (10, 20), (32, 80)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_crops_are_upright(tmp_path: Path, orientation: int) -> None:
    save_oriented(quarters(64, 48), orientation, tmp_path / "a.jpg")
    table = make_table([[1]], ["a.jpg"], boxes=[(34, 2, 28, 20)], root=tmp_path)
    crops, _ = crop(table, tmp_path / "crops")
    with Image.open(tmp_path / "crops" / crops.row_images[0]) as picture:
        assert picture.getexif().get(0x0112, 1) == 1
        np.testing.assert_allclose(np.asarray(picture).mean(axis=(0, 1)), (0, 255, 0), atol=30)


# Once


def test_what_is_there_is_not_written_again(table: LabelTable, tmp_path: Path) -> None:
    crop(table, tmp_path / "crops")
    before = files(tmp_path / "crops")
    (tmp_path / "data" / "a.png").chmod(0o444)
    missing = sorted(before)[0]
    (tmp_path / "crops" / missing).unlink()
    crop(table, tmp_path / "crops")
    after = files(tmp_path / "crops")
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == [missing]


def test_a_crop_that_a_power_cut_left_empty_is_written_again(
    table: LabelTable, tmp_path: Path
) -> None:
    crops, _ = crop(table, tmp_path / "crops")
    whole = (tmp_path / "crops" / crops.row_images[0]).read_bytes()
    (tmp_path / "crops" / crops.row_images[0]).write_bytes(b"")
    (tmp_path / "crops" / crops.row_images[1]).write_bytes(whole[: len(whole) // 2])
    crop(table, tmp_path / "crops")
    assert (tmp_path / "crops" / crops.row_images[0]).read_bytes() == whole
    with Image.open(tmp_path / "crops" / crops.row_images[1]) as picture:
        picture.load()


def test_crops_of_an_earlier_folder_are_taken_over(table: LabelTable, tmp_path: Path) -> None:
    crop(table, tmp_path / "earlier")
    first = crop(table, tmp_path / "crops", earlier=tmp_path / "earlier")
    assert files(tmp_path / "crops") == files(tmp_path / "earlier")
    # Each of its own: what removes the earlier folder leaves these.
    for name in files(tmp_path / "earlier"):
        (tmp_path / "earlier" / name).unlink()
    again = crop(table, tmp_path / "crops")
    assert again[0].row_images == first[0].row_images


@pytest.mark.parametrize("change", ["margin", "short side", "box", "content"])
def test_whatever_changes_a_crop_changes_its_name(
    table: LabelTable, tmp_path: Path, change: str
) -> None:
    before = crop_names(table, OPTIONS)
    options = OPTIONS
    if change == "margin":
        options = CropOptions(0.2, OPTIONS.short_side)
    elif change == "short side":
        options = CropOptions(OPTIONS.margin, 64)
    elif change == "box":
        assert table.boxes is not None
        table.boxes[0, 0] += 1
    else:
        noise(120, 90, 7).save(tmp_path / "data" / "a.png")
        os.utime(tmp_path / "data" / "a.png", (1, 1))
    after = crop_names(table, options)
    changed = [row for row in range(5) if before[row] != after[row]]
    everything = list(range(5))
    assert changed == {"box": [0], "content": [0, 2]}.get(change, everything)


def test_files_of_other_names_are_removed(table: LabelTable, tmp_path: Path) -> None:
    crop(table, tmp_path / "crops", CropOptions(0.5, 16))
    first = next(iter(files(tmp_path / "crops")))
    half = tmp_path / "crops" / Path(first).with_name(f".{Path(first).name}.123.tmp")
    half.write_bytes(b"half")
    crops, _ = crop(table, tmp_path / "crops")
    assert sorted(files(tmp_path / "crops")) == sorted(crops.row_images)


def test_files_that_are_no_crops_are_left_alone(table: LabelTable, tmp_path: Path) -> None:
    (tmp_path / "crops").mkdir()
    (tmp_path / "crops" / "thesis.tex").write_text("dear")
    with pytest.raises(VAAError, match=r"thesis\.tex"):
        crop(table, tmp_path / "crops")
    assert list(files(tmp_path / "crops")) == ["thesis.tex"]


def test_a_name_that_is_long_in_bytes(tmp_path: Path) -> None:
    name = "画" * 80 + ".png"
    noise(40, 30).save(tmp_path / name)
    crops, dropped = crop(make_table([[1]], [name], root=tmp_path), tmp_path / "crops")
    assert not dropped and "画" in crops.row_images[0]


# What goes wrong


def test_a_box_outside_and_a_broken_picture(tmp_path: Path) -> None:
    noise(40, 30).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    boxes = [(1, 1, 9, 9), (50, 50, 9, 9), (1, 1, 9, 9)]
    table = make_table([[1]] * 3, ["a.png", "a.png", "b.png"], boxes=boxes, root=tmp_path)
    crops, dropped = crop(table, tmp_path / "crops")
    assert len(crops) == 1
    assert [drop.image for drop in dropped] == ["a.png", "b.png"]
    assert "40 x 30" in dropped[0].reason and "broken" in dropped[1].reason


def test_many_pictures_on_all_cores(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(30):
        noise(40, 60, i).save(tmp_path / f"{i}.png")
    images = [f"{i}.png" for i in rng.permutation(np.repeat(np.arange(30), 3))]
    boxes = rng.uniform((0, 0, 5, 5), (20, 30, 20, 30), (90, 4)).round(1)
    table = make_table([[1]] * 90, images, boxes=boxes.tolist(), root=tmp_path)
    crops, dropped = crop(table, tmp_path / "crops", CropOptions(0.0, 500))
    assert not dropped
    for row in range(0, 90, 7):
        expected = open_picture(table.path(row), Box(*boxes[row]))
        with Image.open(tmp_path / "crops" / crops.row_images[row]) as picture:
            assert picture.size == expected.size


def test_the_staging_folder_is_the_same_for_every_run(tmp_path: Path) -> None:
    def staging(name: str) -> Path:
        return prepared_output(tmp_path / name).crops

    assert staging("out") == staging("out")
    assert staging("out").parent == tmp_path
    assert staging("out") != staging("out2")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "out")
    assert staging("link").parent == tmp_path / "elsewhere"
