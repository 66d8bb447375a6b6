"""Exports of annotation tools, each in its layout and with every value checked."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.dataset_trees import named_labels, save_pictures
from vaa_cli.core.datasets.formats.registry import detect
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS, LabelTable

YES, NO, UNKNOWN = 1, 0, -1


def read(folder: Path, format: str, **options: object) -> LabelTable:
    """Read a folder as the format that it is detected as."""
    found = detect(folder)
    assert found.format.name == format
    return found.format.read_with(folder, **options)


def rows(table: LabelTable) -> list[tuple[str, dict[str, int]]]:
    return list(zip(table.row_images, named_labels(table), strict=True))


def splits(table: LabelTable) -> list[str]:
    assert table.splits is not None
    return [SPLITS[split] for split in table.splits]


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "people"
    path.mkdir()
    return path


# Folders of classes


def test_folders(folder: Path) -> None:
    save_pictures(folder, ["coat/1.jpg", "coat/2.jpg", "no hat/1.jpg", "dress/x.png"])
    (folder / "coat" / "Thumbs.db").write_bytes(b"")
    table = read(folder, "folders")
    words = ("class=coat", "class=dress", "class=no hat")
    assert table.groups == {"class": words}
    assert table.splits is None
    expected = {"coat/1.jpg": 0, "coat/2.jpg": 0, "dress/x.png": 1, "no hat/1.jpg": 2}
    assert rows(table) == [
        (name, {word: int(k == position) for k, word in enumerate(words)})
        for name, position in expected.items()
    ]


def test_folders_of_splits(folder: Path) -> None:
    save_pictures(folder, ["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/4.jpg"])
    table = read(folder, "folders")
    assert table.row_images == ["train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/4.jpg"]
    assert splits(table) == ["train", "train", "val", "val"]


@pytest.mark.parametrize(
    "names",
    [
        ["a/1.jpg"],
        ["1.jpg", "a/1.jpg", "b/1.jpg"],
        ["a/1.jpg", "b/c/1.jpg"],
        ["a/1.jpg", "b/x.txt"],
    ],
)
def test_what_is_no_tree_of_classes(folder: Path, names: Sequence[str]) -> None:
    save_pictures(folder, [name for name in names if not name.endswith("txt")])
    for name in names:
        if name.endswith("txt"):
            write(folder / name, "x")
    with pytest.raises(VAAError, match="in no known format"):
        detect(folder)


def test_a_table_comes_before_folders(folder: Path) -> None:
    save_pictures(folder, ["a/1.jpg", "b/2.jpg"])
    write(folder / "labels.csv", "image,hat\na/1.jpg,1\nb/2.jpg,0\n")
    assert detect(folder).format.name == "csv"


# Roboflow


def test_roboflow(folder: Path) -> None:
    for split, name in (("train", "a_jpg.rf.0123.jpg"), ("valid", "b.jpg"), ("test", "c.jpg")):
        save_pictures(folder / split, [name])
        value = {"train": "1, 0", "valid": "0, 1", "test": "0, 0"}[split]
        write(folder / split / "_classes.csv", f"filename, hat, red bag\n{name}, {value}\n")
    table = read(folder, "roboflow")
    assert dict(zip(table.row_images, splits(table), strict=True)) == {
        "test/c.jpg": "test", "train/a_jpg.rf.0123.jpg": "train", "valid/b.jpg": "val",
    }  # fmt: skip
    assert rows(table) == [
        ("test/c.jpg", {"hat": NO, "red bag": NO}),
        ("train/a_jpg.rf.0123.jpg", {"hat": YES, "red bag": NO}),
        ("valid/b.jpg", {"hat": NO, "red bag": YES}),
    ]


def test_roboflow_with_other_columns(folder: Path) -> None:
    for split, columns in (("train", "hat"), ("valid", "bag")):
        save_pictures(folder / split, ["a.jpg"])
        write(folder / split / "_classes.csv", f"filename, {columns}\na.jpg, 1\n")
    with pytest.raises(VAAError, match=r"valid/_classes\.csv has other columns"):
        read(folder, "roboflow")


# Hugging Face


def test_imagefolder(folder: Path) -> None:
    save_pictures(folder, ["train/1.jpg", "train/sub/2.jpg", "validation/3.jpg"])
    lines = [
        {"file_name": "1.jpg", "labels": ["hat", "bag"], "age": "young", "male": True},
        {"file_name": "sub/2.jpg", "labels": [], "age": "old", "male": False},
    ]
    write(folder / "train" / "metadata.jsonl", "\n".join(map(json.dumps, lines)) + "\n")
    last = {"file_name": "3.jpg", "labels": ["bag"], "age": None, "male": None, "box": {"x": 1}}
    write(folder / "validation" / "metadata.jsonl", json.dumps(last))
    table = read(folder, "imagefolder")
    assert splits(table) == ["train", "train", "val"]
    assert table.groups == {"age": ("age=old", "age=young")}
    assert rows(table) == [
        ("train/1.jpg", {"bag": YES, "hat": YES, "age=old": NO, "age=young": YES, "male": YES}),
        ("train/sub/2.jpg", {"bag": NO, "hat": NO, "age=old": YES, "age=young": NO, "male": NO}),
        (
            "validation/3.jpg",
            {"bag": YES, "hat": NO, "age=old": UNKNOWN, "age=young": UNKNOWN, "male": UNKNOWN},
        ),
    ]
    assert any("box" in note for note in table.notes)


def test_imagefolder_as_csv(folder: Path) -> None:
    save_pictures(folder, ["1.jpg", "2.jpg"])
    write(folder / "metadata.csv", "file_name,hat,text\n1.jpg,1,\n2.jpg,0,\n")
    table = read(folder, "imagefolder")
    assert table.splits is None
    assert [labels["hat"] for _, labels in rows(table)] == [YES, NO]


def test_imagefolder_as_parquet(folder: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    save_pictures(folder, ["1.jpg", "2.jpg"])
    columns = {"file_name": ["1.jpg", "2.jpg"], "labels": [["hat"], []]}
    pq.write_table(pa.table(columns), folder / "metadata.parquet")
    assert rows(read(folder, "imagefolder")) == [("1.jpg", {"hat": YES}), ("2.jpg", {"hat": NO})]
    (folder / "metadata.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(VAAError, match="no Parquet file"):
        read(folder, "imagefolder")


# CVAT

CVAT_META = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels>
<label><name>person</name><type>any</type><attributes>
<attribute><name>hat</name><mutable>False</mutable><input_type>checkbox</input_type>
<default_value>false</default_value><values>false</values></attribute>
<attribute><name>age</name><input_type>select</input_type><values>young
adult
old</values></attribute>
<attribute><name>plate</name><input_type>text</input_type><values></values></attribute>
<attribute><name>height</name><input_type>number</input_type><values>0;300;1</values></attribute>
</attributes></label>
<label><name>car</name><attributes></attributes></label>
<label><name>outdoors</name><attributes></attributes></label>
</labels></task></meta>
"""
PERSON = (
    '<attribute name="hat">{hat}</attribute><attribute name="age">{age}</attribute>'
    '<attribute name="plate">x</attribute><attribute name="height">170</attribute>'
)


def cvat_box(hat: str, age: str, label: str = "person", sides: str = "") -> str:
    sides = sides or 'xtl="1.50" ytl="2.00" xbr="6.00" ybr="7.25"'
    attributes = PERSON.format(hat=hat, age=age) if label == "person" else ""
    return f'<box label="{label}" occluded="0" source="manual" {sides}>{attributes}</box>'


def cvat_image(number: int, name: str, *children: str, subset: str = "") -> str:
    attribute = f' subset="{subset}"' if subset else ""
    start = f'<image id="{number}" name="{name}"{attribute} width="8" height="8">'
    return f"{start}{''.join(children)}</image>"


def test_cvat_boxes_and_tags(folder: Path) -> None:
    save_pictures(folder / "images", ["a.jpg", "b.jpg", "c.jpg"])
    tag = '<tag label="outdoors" source="manual"></tag>'
    polygon = '<polygon label="person" points="1,1;2,2;3,1"></polygon>'
    text = CVAT_META + "".join(
        (
            cvat_image(0, "a.jpg", cvat_box("true", "young"), cvat_box("false", "old"), tag),
            cvat_image(
                1, "b.jpg", cvat_box("", "", label="car"), cvat_box("false", "old"), polygon
            ),
            cvat_image(2, "c.jpg"),
            "</annotations>",
        )
    )
    write(folder / "annotations.xml", text)
    table = read(folder, "cvat")
    assert table.root == folder / "images"
    assert table.groups == {"age": ("age=old", "age=young")}
    old, young = {"age=old": YES, "age=young": NO}, {"age=old": NO, "age=young": YES}
    assert rows(table) == [
        ("a.jpg", {"outdoors": YES, "hat": YES, **young}),
        ("a.jpg", {"outdoors": YES, "hat": NO, **old}),
        ("b.jpg", {"outdoors": NO, "hat": NO, **old}),
    ]
    assert table.boxes is not None
    assert table.boxes.tolist() == [[1.5, 2.0, 4.5, 5.25]] * 3
    assert any("plate" in note for note in table.notes)
    assert any("height" in note for note in table.notes)


def test_cvat_tags_alone(folder: Path) -> None:
    save_pictures(folder, ["a.jpg", "b.jpg", "c.jpg"])
    tag = '<tag label="person" source="manual"><attribute name="hat">{}</attribute></tag>'
    outdoors = '<tag label="outdoors"></tag>'
    text = CVAT_META + "".join(
        (
            cvat_image(0, "a.jpg", tag.format("true"), outdoors, subset="Train"),
            cvat_image(1, "b.jpg", tag.format("false"), subset="Validation"),
            cvat_image(2, "c.jpg", subset="Test"),
            "</annotations>",
        )
    )
    write(folder / "annotations.xml", text)
    table = read(folder, "cvat")
    assert table.boxes is None
    assert splits(table) == ["train", "val", "test"]
    assert rows(table) == [
        ("a.jpg", {"outdoors": YES, "hat": YES}),
        ("b.jpg", {"outdoors": NO, "hat": NO}),
        ("c.jpg", {"outdoors": NO, "hat": UNKNOWN}),
    ]


def test_cvat_of_a_video(folder: Path) -> None:
    save_pictures(folder / "images", ["frame_000000.jpg", "frame_000003.jpg"])
    sides = 'occluded="0" keyframe="1" xtl="1" ytl="1" xbr="5" ybr="6"'
    hat = '<attribute name="hat">{}</attribute>'
    text = CVAT_META + (
        '<track id="0" label="person" source="manual">'
        f'<box frame="0" outside="0" {sides}>{hat.format("true")}</box>'
        f'<box frame="3" outside="0" {sides}>{hat.format("false")}</box>'
        f'<box frame="4" outside="1" {sides}>{hat.format("false")}</box></track></annotations>'
    )
    write(folder / "annotations.xml", text)
    assert rows(read(folder, "cvat")) == [
        ("images/frame_000000.jpg", {"hat": YES}),
        ("images/frame_000003.jpg", {"hat": NO}),
    ]


def test_cvat_of_another_label(folder: Path) -> None:
    save_pictures(folder, ["a.jpg"])
    text = CVAT_META.replace(">person<", ">pedestrian<") + cvat_image(
        0,
        "a.jpg",
        cvat_box("true", "old").replace('"person"', '"pedestrian"'),
        cvat_box("", "", label="car"),
    )
    write(folder / "annotations.xml", text + "</annotations>")
    with pytest.raises(VAAError, match="boxes labelled car, pedestrian; choose"):
        read(folder, "cvat")
    assert rows(read(folder, "cvat", label="pedestrian"))[0][1]["hat"] == YES
    with pytest.raises(VAAError, match="none is 'dog'"):
        read(folder, "cvat", label="dog")


ENTITIES = """<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<annotations><image id="0" name="&b;"/></annotations>"""
FILE_ENTITY = """<?xml version="1.0"?>
<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<annotations><image id="0" name="&f;"/></annotations>"""


@pytest.mark.parametrize("text", [ENTITIES, FILE_ENTITY])
def test_entities_in_xml_are_refused(folder: Path, text: str) -> None:
    write(folder / "annotations.xml", text)
    with pytest.raises(VAAError, match="entities") as error:
        read(folder, "cvat")
    assert "\n" not in str(error.value)


# COCO


def coco(images: Sequence[str], annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "info": {"year": 2026},
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
        "images": [
            {"id": i, "width": 8, "height": 8, "file_name": name, "license": 0}
            for i, name in enumerate(images, start=10)
        ],
        "annotations": [
            {"id": i, "iscrowd": 0, "category_id": 1, "area": 4.0, "segmentation": [], **one}
            for i, one in enumerate(annotations, start=1)
        ],
    }


def test_coco(folder: Path) -> None:
    save_pictures(folder / "images", ["a.jpg", "sub/b.jpg", "c.jpg"])
    attributes = {"hat": True, "age": "young", "occluded": False, "rotation": 0.0, "height": 1.7}
    rle = {"counts": "fF5", "size": [8, 8]}
    annotations = [
        {"image_id": 10, "bbox": [1, 2.5, 3, 4], "attributes": attributes},
        {"image_id": 11, "bbox": [0, 0, 8, 8], "attributes": {"hat": False, "age": "old"},
         "segmentation": [[0, 0, 8, 0, 8, 8]]},
        {"image_id": 11, "bbox": [0, 0, 8, 8], "iscrowd": 1, "segmentation": rle},
        {"image_id": 11, "bbox": [0, 0, 2, 2], "category_id": 2, "attributes": {"red": True}},
        {"image_id": 10, "bbox": [2, 2, 2, 2]},
    ]  # fmt: skip
    content = coco(["a.jpg", "sub/b.jpg", "c.jpg"], annotations)
    write(folder / "annotations" / "instances_default.json", content)
    table = read(folder, "coco")
    assert table.root == folder / "images"
    assert table.splits is None
    assert table.groups == {"age": ("age=old", "age=young")}
    assert rows(table) == [
        ("a.jpg", {"hat": YES, "age=old": NO, "age=young": YES}),
        ("sub/b.jpg", {"hat": NO, "age=old": YES, "age=young": NO}),
        ("a.jpg", {"hat": UNKNOWN, "age=old": UNKNOWN, "age=young": UNKNOWN}),
    ]
    assert table.boxes is not None
    assert table.boxes.tolist() == [[1, 2.5, 3, 4], [0, 0, 8, 8], [2, 2, 2, 2]]


def test_coco_of_splits(folder: Path) -> None:
    for split, name in (("train", "a.jpg"), ("valid", "b.jpg")):
        save_pictures(folder / split, [name])
        one = {"image_id": 10, "bbox": [1, 1, 4, 4], "attributes": {"hat": split == "train"}}
        write(folder / split / "_annotations.coco.json", coco([name], [one]))
    table = read(folder, "coco")
    assert splits(table) == ["train", "val"]
    assert rows(table) == [("train/a.jpg", {"hat": YES}), ("valid/b.jpg", {"hat": NO})]


# Label Studio


def choice(name: str, choices: Sequence[str], **more: Any) -> dict[str, Any]:
    region = {"x": 0, "y": 0, "width": 50, "height": 50, "rotation": 0} if "id" in more else {}
    return {
        "id": "own" + name, "from_name": name, "to_name": "image", "type": "choices",
        "value": {"choices": list(choices), **region}, **more,
    }  # fmt: skip


def rectangle(id: str, x: float, rotation: float = 0, **more: Any) -> dict[str, Any]:
    value = {"x": x, "y": 25, "width": 50, "height": 25, "rotation": rotation}
    return {
        "id": id, "type": "rectanglelabels", "from_name": "label", "to_name": "image",
        "original_width": 200, "original_height": 400, "image_rotation": 0,
        "value": {**value, "rectanglelabels": ["person"]}, **more,
    }  # fmt: skip


def task(image: str, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(results)}], **more}


def test_labelstudio_choices_of_pictures(folder: Path) -> None:
    save_pictures(folder / "images", ["a.jpg", "b 1.jpg", "c.jpg", "d.jpg"])
    tasks = [
        task(
            "/data/upload/1/0123abcd-a.jpg", choice("wears", ["hat", "bag"]), choice("age", ["old"])
        ),
        task("/data/local-files/?d=images%2Fb%201.jpg", choice("age", ["young"])),
        task("c.jpg", choice("wears", ["bag"]), choice("male", ["yes"])),
        task("d.jpg", choice("male", ["no"]), was_cancelled=True),
        {"id": 9, "data": {"image": "e.jpg"}, "annotations": []},
    ]
    write(folder / "export.json", tasks)
    table = read(folder, "labelstudio")
    assert table.groups == {"age": ("age=old", "age=young")}
    names = ("hat", "bag", "age=old", "age=young", "male")
    assert [(name, tuple(labels[key] for key in names)) for name, labels in rows(table)] == [
        ("images/a.jpg", (YES, YES, YES, NO, UNKNOWN)),
        ("images/b 1.jpg", (NO, NO, NO, YES, UNKNOWN)),
        ("images/c.jpg", (NO, YES, UNKNOWN, UNKNOWN, YES)),
        ("images/d.jpg", (NO, NO, UNKNOWN, UNKNOWN, NO)),
    ]
    assert table.boxes is None


def test_labelstudio_regions(folder: Path) -> None:
    save_pictures(folder, ["a.jpg"])
    results = [
        rectangle("r1", 10), choice("hat", ["yes"], id="r1"),
        rectangle("r2", 50, rotation=90), choice("hat", ["no"], id="r2"),
        choice("place", ["street"]),
    ]  # fmt: skip
    write(folder / "export.json", [task("a.jpg", *results), task("a.jpg", rectangle("r", 0))])
    table = read(folder, "labelstudio")
    assert [labels["hat"] for _, labels in rows(table)] == [YES, NO, UNKNOWN]
    assert table.boxes is not None
    # Percents of 200 x 400; the second is turned by 90 degrees about its left top corner.
    expected = [[20, 100, 100, 100], [0, 100, 100, 100], [0, 100, 100, 100]]
    np.testing.assert_allclose(table.boxes, expected, atol=1e-9)


def test_labelstudio_boxes_without_a_size_are_of_the_picture(folder: Path) -> None:
    save_pictures(folder, ["a.jpg"])
    size = (12, 8)
    from tests.helpers.pictures import plain

    plain(size=size).save(folder / "a.jpg")
    box = rectangle("r1", 50)
    del box["original_width"], box["original_height"]
    write(folder / "export.json", [task("a.jpg", box, choice("hat", ["yes"], id="r1"))])
    table = read(folder, "labelstudio")
    assert table.boxes is not None
    assert table.boxes.tolist() == [[6.0, 2.0, 6.0, 2.0]]


# FiftyOne, MMPretrain, Paddle


def test_fiftyone(folder: Path) -> None:
    save_pictures(folder / "data", ["a.jpg", "b.png", "c.jpg"])
    labels = {"a": [0, 2], "b": [], "c": None}
    write(folder / "labels.json", {"classes": ["hat", "bag", "boots"], "labels": labels})
    names = ("hat", "bag", "boots")
    found = rows(read(folder, "fiftyone"))
    assert found == [
        ("a.jpg", dict(zip(names, (YES, NO, YES), strict=True))),
        ("b.png", dict(zip(names, (NO, NO, NO), strict=True))),
        ("c.jpg", dict(zip(names, (UNKNOWN,) * 3, strict=True))),
    ]


def test_fiftyone_with_one_class_each(folder: Path) -> None:
    save_pictures(folder / "data", ["a.jpg", "b.jpg"])
    write(folder / "labels.json", {"classes": ["young", "old"], "labels": {"a": 0, "b": 1}})
    table = read(folder, "fiftyone")
    assert table.groups == {"label": ("label=old", "label=young")}
    assert [labels["label=old"] for _, labels in rows(table)] == [NO, YES]


def test_mmpretrain(folder: Path) -> None:
    save_pictures(folder, ["x/a.jpg", "b.jpg"])
    for split, name, label in (("train", "x/a.jpg", [0, 2]), ("val", "b.jpg", [])):
        entries = [{"img_path": name, "gt_label": label}]
        content = {"metainfo": {"classes": ["hat", "bag", "boots"]}, "data_list": entries}
        write(folder / f"{split}.json", content)
    table = read(folder, "mmpretrain")
    assert splits(table) == ["train", "val"]
    assert rows(table) == [
        ("x/a.jpg", {"hat": YES, "bag": NO, "boots": YES}),
        ("b.jpg", {"hat": NO, "bag": NO, "boots": NO}),
    ]


def test_paddle(folder: Path) -> None:
    save_pictures(folder, ["train/a.jpg", "val/b.jpg"])
    write(folder / "train_list.txt", "train/a.jpg\t0,1,1\n")
    write(folder / "val_list.txt", "val/b.jpg\t1,-1,0\n\n")
    with pytest.raises(VAAError, match="no names of the attributes"):
        read(folder, "paddle")
    write(folder / "attributes.txt", "0 hat\n1 red bag\n2 boots\n")
    table = read(folder, "paddle")
    assert splits(table) == ["train", "val"]
    assert rows(table) == [
        ("train/a.jpg", {"hat": NO, "red bag": YES, "boots": YES}),
        ("val/b.jpg", {"hat": YES, "red bag": UNKNOWN, "boots": NO}),
    ]


# What is broken


def cvat_tree(folder: Path) -> Path:
    text = CVAT_META + cvat_image(0, "a.jpg", cvat_box("true", "young")) + "</annotations>"
    return write(folder / "annotations.xml", text)


def coco_tree(folder: Path) -> Path:
    one = {"image_id": 10, "bbox": [1, 1, 4, 4], "attributes": {"hat": True}}
    return write(folder / "people.json", coco(["a.jpg"], [one]))


def labelstudio_tree(folder: Path) -> Path:
    tasks = [task("a.jpg", rectangle("r1", 10), choice("hat", ["yes"], id="r1"))]
    return write(folder / "export.json", tasks)


def fiftyone_tree(folder: Path) -> Path:
    save_pictures(folder / "data", ["a.jpg"])
    return write(folder / "labels.json", {"classes": ["hat"], "labels": {"a": [0]}})


def mmpretrain_tree(folder: Path) -> Path:
    entries = [{"img_path": "a.jpg", "gt_label": [0]}]
    return write(folder / "all.json", {"metainfo": {"classes": ["hat"]}, "data_list": entries})


MAKERS = [cvat_tree, coco_tree, labelstudio_tree, fiftyone_tree, mmpretrain_tree]


@pytest.mark.parametrize("make", MAKERS)
def test_files_that_are_cut_are_named_in_one_line(
    folder: Path, make: Callable[[Path], Path]
) -> None:
    save_pictures(folder, ["a.jpg"])
    path = make(folder)
    form, whole = detect(folder).format, path.read_text()
    assert len(form.read(folder)) == 1
    for size in range(20, len(whole) - 1, max(1, len(whole) // 37)):
        path.write_text(whole[:size])
        with pytest.raises(VAAError) as error:
            form.read(folder)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("make", [cvat_tree, coco_tree, labelstudio_tree, mmpretrain_tree])
def test_pictures_outside_the_folder_are_refused(
    folder: Path, make: Callable[[Path], Path]
) -> None:
    save_pictures(folder, ["a.jpg"])
    save_pictures(folder.parent, ["a.jpg"])
    path = make(folder)
    form = detect(folder).format
    path.write_text(path.read_text().replace("a.jpg", "../a.jpg"))
    with pytest.raises(VAAError, match="leaves the dataset folder"):
        form.read(folder)


@pytest.mark.parametrize("make", [coco_tree, labelstudio_tree, mmpretrain_tree, fiftyone_tree])
def test_values_of_other_kinds_are_refused_in_one_line(
    folder: Path, make: Callable[[Path], Path]
) -> None:
    save_pictures(folder, ["a.jpg"])
    path = make(folder)
    form, content = detect(folder).format, json.loads(path.read_text())

    def places(value: Any) -> list[tuple[Any, Any]]:
        items = (
            value.items() if isinstance(value, dict)
            else enumerate(value) if isinstance(value, list) else ()
        )  # fmt: skip
        return [found for key, one in list(items) for found in [(value, key), *places(one)]]

    for holder, key in places(content):
        kept = holder[key]
        others: tuple[Any, ...] = (None, 3, "x", [], {}, [[]], -1, True)
        for other in others:
            holder[key] = other
            path.write_text(json.dumps(content))
            try:
                form.read(folder)
            except VAAError as error:
                assert "\n" not in str(error)
        holder[key] = kept
