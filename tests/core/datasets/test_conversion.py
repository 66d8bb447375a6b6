"""Prepared folders in the forms of other tools, read back as vaa reads those."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.dataset_trees import named_labels, save_pictures
from tests.helpers.pictures import make_table
from vaa_cli.core.datasets.conversion import FORMS, convert
from vaa_cli.core.datasets.formats.registry import detect
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS

NAMES = ["a.jpg", "b c.jpg", "d.jpg", "e.jpg", "ü.jpg"]
LABELS = [[1, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]]
ATTRIBUTES = ("hat", "age=young", "age=old")


def prepared(folder: Path, boxes: bool = False, unknown: bool = False) -> Prepared:
    save_pictures(folder / "pictures", NAMES)
    labels = [row[:] for row in LABELS]
    if unknown:
        labels[2] = [-1, -1, -1]
    sides = [[1.0, 2.0, 3.0, 4.0 + row] for row in range(len(NAMES))] if boxes else None
    table = make_table(labels, NAMES, [0, 0, 0, 1, 2], sides, ATTRIBUTES, root=folder / "pictures")
    table = replace(table, groups={"age": ("age=young", "age=old")})
    write_prepared(folder / "prepared", table, Origin("people", "csv"))
    return read_prepared(folder / "prepared")


def by_picture(folder: Path) -> dict[str, tuple[str, dict[str, int]]]:
    """The split and labels of each picture, as vaa reads the form."""
    table = detect(folder).format.read(folder)
    assert table.splits is not None
    parts = [SPLITS[part] for part in table.splits]
    names = [name.rsplit("/", 1)[-1] for name in table.row_images]
    for row in range(len(table)):
        assert Path(table.path(row)).is_file()
    return dict(zip(names, zip(parts, named_labels(table), strict=True), strict=True))


@pytest.mark.parametrize("form", ["csv", "imagefolder", "coco"])
@pytest.mark.parametrize("unknown", [False, True])
def test_what_comes_back(tmp_path: Path, form: str, unknown: bool) -> None:
    data = prepared(tmp_path, unknown=unknown)
    assert convert(data, tmp_path / "out", form) == []
    assert detect(tmp_path / "out").format.name == form
    expected = {
        name: (split, labels)
        for split in SPLITS
        for name, labels in zip(
            data.splits[split].row_images, named_labels(data.splits[split]), strict=True
        )
    }
    assert by_picture(tmp_path / "out") == expected
    assert set(detect(tmp_path / "out").format.read(tmp_path / "out").groups) == {"age"}


def test_fiftyone(tmp_path: Path) -> None:
    data = prepared(tmp_path, unknown=True)
    (note,) = convert(data, tmp_path / "out", "fiftyone")
    assert "3 unspecified labels of train" in note
    found: dict[str, list[int]] = {}
    for split in SPLITS:
        table = detect(tmp_path / "out" / split).format.read(tmp_path / "out" / split)
        assert table.attributes == ATTRIBUTES
        found |= dict(zip(table.row_images, table.labels.tolist(), strict=True))
    assert found == dict(zip(NAMES, [*LABELS[:2], [0, 0, 0], *LABELS[3:]], strict=True))


@pytest.mark.parametrize("form", ["csv", "coco"])
def test_boxes_come_back(tmp_path: Path, form: str) -> None:
    data = prepared(tmp_path, boxes=True)
    convert(data, tmp_path / "out", form)
    table = detect(tmp_path / "out").format.read(tmp_path / "out")
    assert table.boxes is not None
    found = {
        name.rsplit("/", 1)[-1]: box
        for name, box in zip(table.row_images, table.boxes, strict=True)
    }
    for row, name in enumerate(NAMES):
        np.testing.assert_array_equal(found[name], [1.0, 2.0, 3.0, 4.0 + row])


@pytest.mark.parametrize("form", ["imagefolder", "fiftyone"])
def test_forms_without_boxes_refuse_them(tmp_path: Path, form: str) -> None:
    with pytest.raises(VAAError, match=f"{form} has no boxes"):
        convert(prepared(tmp_path, boxes=True), tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_replaced_or_half_written(tmp_path: Path, form: str) -> None:
    data = prepared(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "labels.csv").write_text("image,hat\n")
    with pytest.raises(VAAError, match="name a new folder"):
        convert(data, tmp_path / "mine", form)
    assert (tmp_path / "mine" / "labels.csv").read_text() == "image,hat\n"
    (tmp_path / "pictures" / NAMES[-1]).unlink()
    with pytest.raises(VAAError):
        convert(data, tmp_path / "out", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "pictures", "prepared"]


def test_an_unknown_form(tmp_path: Path) -> None:
    with pytest.raises(VAAError, match="unknown form 'yolo'; use csv"):
        convert(prepared(tmp_path), tmp_path / "out", "yolo")
