"""Small trees in the layouts in which the publishers ship their datasets, with real pictures."""

import csv
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers.matlab_files import row_of, save_mat
from tests.helpers.pictures import plain, write_rows
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import LabelTable

SIZE = (24, 48)  # width and height of the pictures


# For the tests of all readers


def save_picture(path: Path, size: tuple[int, int] = SIZE) -> Path:
    """Save a picture of a colour that its name gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    red, green, blue = (sum(path.name.encode()) * k % 256 for k in (1, 7, 31))
    plain((red, green, blue), size).save(path)
    return path


def save_pictures(folder: Path, names: Iterable[str]) -> None:
    """Save pictures under a folder, which is there even when no name is given."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        save_picture(folder / name)


def refusal(read: Callable[[Path], object], source: Path) -> str:
    """The message, without the path of the source, of the one-line error that reading ends with."""
    with pytest.raises(VAAError) as caught:
        read(source)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    return message.replace(str(source), "")


def mentions(text: str, *numbers: int) -> bool:
    """Whether one of the numbers stands in the text, with leading zeros or not."""
    return any(re.search(rf"(?<!\d)0*{number}(?!\d)", text) for number in numbers)


def named_labels(table: LabelTable) -> list[dict[str, int]]:
    """The labels of each row by the attribute's name."""
    assert len(set(table.attributes)) == len(table.attributes)
    return [dict(zip(table.attributes, row, strict=True)) for row in table.labels.tolist()]


def assert_consistent(table: LabelTable, root: Path) -> None:
    """The table starts at the root, and its arrays have one row a picture and the right types."""
    assert table.root == root
    assert isinstance(table.attributes, tuple)
    assert table.labels.shape == (len(table.row_images), len(table.attributes))
    assert table.labels.dtype == np.int8
    for array, dtype, shape in (
        (table.splits, np.int8, (len(table),)),
        (table.boxes, np.float64, (len(table), 4)),
        (table.identities, np.int64, (len(table),)),
    ):
        assert array is None or (array.dtype == dtype and array.shape == shape)
    assert table.benchmark is None
    assert all(isinstance(note, str) and len(note.splitlines()) == 1 for note in table.notes)


# WIDER-Attribute

WIDER_ATTRIBUTES = (
    "Male", "LongHair", "Sunglass", "Hat", "TShirt", "LongSleeve", "Formal", "Shorts", "Jeans",
    "LongPants", "Skirt", "FaceMask", "Logo", "Stripe",
)  # fmt: skip
WIDER_TRAINVAL = "wider_attribute_trainval.json"
WIDER_TEST = "wider_attribute_test.json"
WIDER_SCENES = ("0--Parade", "10--People Marching", "61--Street_Battle")


@dataclass(frozen=True)
class Person:
    """A target of WIDER-Attribute: 14 of 1, -1 and 0, and left, top, width, height."""

    attribute: Sequence[int]
    bbox: Sequence[float]


People = Mapping[str, Sequence[Person]]


def wider_people(part: str, count: int, seed: int) -> dict[str, list[Person]]:
    """One to three people in each of some pictures, all of them inside; none in the fourth."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    people = {}
    for i in range(count):
        scene = WIDER_SCENES[i % len(WIDER_SCENES)]
        name = f"{part}/{scene}/{(f'{i}_a.jpg', f'IMG {i}.JPG')[i % 2]}"
        people[name] = [
            Person(
                attribute=rng.choice([1, -1, 0], 14, p=[0.4, 0.45, 0.15]).tolist(),
                bbox=[
                    *rng.uniform(0, (width / 2, height / 2)).round(2).tolist(),
                    *rng.uniform(4, (width / 2, height / 2)).round(2).tolist(),
                ],
            )
            for _ in range(0 if i == 3 else rng.integers(1, 4))
        ]
    return people


WIDER_TRAINVAL_PEOPLE: People = {**wider_people("train", 14, 1), **wider_people("val", 6, 2)}
WIDER_TEST_PEOPLE: People = wider_people("test", 8, 3)


def wider_json(people: People) -> dict[str, list[dict[str, object]]]:
    """What the annotation file of some people says."""
    return {
        "images": [
            {
                "file_name": name,
                "scene_id": int(name.split("/")[1].split("-")[0]),
                "targets": [
                    {"attribute": list(person.attribute), "bbox": list(person.bbox)}
                    for person in persons
                ],
            }
            for name, persons in people.items()
        ]
    }


def make_wider(
    folder: Path,
    trainval: People | None = WIDER_TRAINVAL_PEOPLE,
    test: People | None = WIDER_TEST_PEOPLE,
    annotations: str = "wider_attribute_annotation",
    pictures: str = "Image",
) -> Path:
    """A WIDER-Attribute tree.

    Args:
        folder: where it is made.
        trainval: the people of the first annotation file; None for no such file.
        test: the people of the second.
        annotations: the folder of these files; empty for the root.
        pictures: the folder of the pictures; empty for the root.
    """
    (folder / annotations).mkdir(parents=True, exist_ok=True)
    for name, people in ((WIDER_TRAINVAL, trainval), (WIDER_TEST, test)):
        if people is not None:
            text = json.dumps(wider_json(people))
            (folder / annotations / name).write_text(text, encoding="utf-8")
            save_pictures(folder / pictures, people)
    return folder


# Market-1501 and DukeMTMC with attributes

MARKET_FIELDS = (
    "gender", "hair", "up", "down", "clothes", "hat", "backpack", "bag", "handbag", "age",
    "upblack", "upwhite", "upred", "uppurple", "upyellow", "upgray", "upblue", "upgreen",
    "downblack", "downwhite", "downpink", "downpurple", "downyellow", "downgray", "downblue",
    "downgreen", "downbrown",
)  # fmt: skip
DUKE_FIELDS = (
    "backpack", "bag", "handbag", "boots", "gender", "hat", "shoes", "top", "upblack", "upwhite",
    "upred", "uppurple", "upgray", "upblue", "upgreen", "upbrown", "downblack", "downwhite",
    "downred", "downgray", "downblue", "downgreen", "downbrown",
)  # fmt: skip
REID_FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
MARKET_PEOPLE = {
    "train": ("0002", "0007", "0010", "0011", "0012", "0020", "0022", "0023", "0027", "1500"),
    "test": ("0001", "0003", "0004", "0005", "0006", "1501"),
}
DUKE_PEOPLE = {
    "train": ("0001", "0002", "0005", "0007", "0009", "0011", "0013", "0014", "0015", "7140"),
    "test": ("0003", "0004", "0006", "0008", "0010", "7139"),
}
MARKET_JUNK = ("-1_c1s1_000401_03.jpg", "-1_c6s3_097017_02.jpg")
MARKET_DISTRACTORS = (
    "0000_c1s1_000151_01.jpg", "0000_c3s2_000376_03.jpg", "0000_c6s4_001877_02.jpg"
)  # fmt: skip


@dataclass(frozen=True)
class Half:
    """The train or test half of an attribute file, one value an identity and field.

    Attributes:
        identities: what image_index says: a cell of strings, or an array of numbers.
        values: the fields in their order in the file.
    """

    identities: Sequence[str] | NDArray[np.generic]
    values: Mapping[str, Sequence[object]]

    def changed(self, name: str, values: Sequence[object]) -> "Half":
        """The half with other values of a field, which may be a new one."""
        return replace(self, values={**self.values, name: values})


def reid_half(fields: Sequence[str], identities: Sequence[str], seed: int) -> Half:
    """Random values of the fields, in random order; every one of them occurs."""
    rng = np.random.default_rng(seed)
    values = {}
    for name in rng.permutation(fields).tolist():
        top = 4 if name == "age" else 2
        column = rng.integers(1, top + 1, len(identities))
        column[rng.permutation(len(identities))[:top]] = range(1, top + 1)
        values[name] = column.tolist()
    return Half(identities, values)


MARKET_HALVES = {
    "test": reid_half(MARKET_FIELDS, MARKET_PEOPLE["test"], 1),
    "train": reid_half(MARKET_FIELDS, MARKET_PEOPLE["train"], 2),
}
DUKE_HALVES = {
    "train": reid_half(DUKE_FIELDS, DUKE_PEOPLE["train"], 3),
    "test": reid_half(DUKE_FIELDS, DUKE_PEOPLE["test"], 4),
}


def market_names(identities: Sequence[str], seed: int, most: int = 3) -> list[str]:
    """Names of one or more pictures of each person, in no order."""
    rng = np.random.default_rng(seed)
    names = [
        f"{identity}_c{rng.integers(1, 7)}s1_{rng.integers(10**6):06d}_{i:02d}.jpg"
        for identity in identities
        for i in range(rng.integers(1, most + 1))
    ]
    return [names[i] for i in rng.permutation(len(names))]


def duke_names(identities: Sequence[str], seed: int, most: int = 3) -> list[str]:
    """Names of one or more pictures of each person, in no order."""
    rng = np.random.default_rng(seed)
    names = [
        f"{identity}_c{i + 1}_f{rng.integers(10**7):07d}.jpg"
        for identity in identities
        for i in range(rng.integers(1, most + 1))
    ]
    return [names[i] for i in rng.permutation(len(names))]


MARKET_PICTURES: dict[str, Sequence[str]] = {
    "bounding_box_train": market_names(MARKET_PEOPLE["train"], 5),
    "query": market_names(MARKET_PEOPLE["test"], 6, most=1),
    "bounding_box_test": [
        *market_names(MARKET_PEOPLE["test"], 7), *MARKET_JUNK, *MARKET_DISTRACTORS
    ],
}  # fmt: skip
DUKE_PICTURES: dict[str, Sequence[str]] = {
    "bounding_box_train": duke_names(DUKE_PEOPLE["train"], 8),
    "query": duke_names(DUKE_PEOPLE["test"], 9, most=1),
    "bounding_box_test": duke_names(DUKE_PEOPLE["test"], 10),
}


def save_halves(path: Path, variable: str, halves: Mapping[str, Half]) -> Path:
    """Save an attribute file; the halves come in the order given."""
    content = {}
    for name, half in halves.items():
        named = half.identities
        index = named if isinstance(named, np.ndarray) else row_of(named)
        rows = {key: np.array([row]) for key, row in half.values.items()}
        # As the published file has it, all numbers are doubles.
        rows = {
            key: row.astype(np.float64) if row.dtype.kind in "iu" else row
            for key, row in rows.items()
        }
        content[name] = {**rows, "image_index": index}
    return save_mat(path, **{variable: content})


def make_market(
    folder: Path,
    halves: Mapping[str, Half] = MARKET_HALVES,
    pictures: Mapping[str, Sequence[str]] = MARKET_PICTURES,
    attributes: str = "attribute",
) -> Path:
    """A Market-1501 tree, the attribute file in a folder `attributes`; empty for the root."""
    return make_reid(folder, "market_attribute", halves, pictures, attributes)


def make_duke(
    folder: Path,
    halves: Mapping[str, Half] = DUKE_HALVES,
    pictures: Mapping[str, Sequence[str]] = DUKE_PICTURES,
    attributes: str = "attribute",
) -> Path:
    """A DukeMTMC tree, the attribute file in a folder `attributes`; empty for the root."""
    return make_reid(folder, "duke_attribute", halves, pictures, attributes)


def make_reid(
    folder: Path,
    variable: str,
    halves: Mapping[str, Half],
    pictures: Mapping[str, Sequence[str]],
    attributes: str,
) -> Path:
    """A tree of pictures named by identity, and the attribute file of a variable."""
    save_halves(folder / attributes / f"{variable}.mat", variable, halves)
    for name, pictured in pictures.items():
        save_pictures(folder / name, pictured)
    return folder


# CelebA

CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
    "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows",
    "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup",
    "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard",
    "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns",
    "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat",
    "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip


@dataclass(frozen=True)
class Faces:
    """What the files of CelebA say: 1 or -1 of 40 a picture, and 0, 1 or 2 for its part."""

    labels: Mapping[str, Sequence[object]]
    parts: Mapping[str, object]
    attributes: Sequence[str] = CELEBA_ATTRIBUTES


def celeba_faces(count: int = 30, seed: int = 0) -> Faces:
    """Random labels of some pictures, in all three parts."""
    rng = np.random.default_rng(seed)
    names = [f"{i:06d}.jpg" for i in range(1, count + 1)]
    labels = dict(zip(names, rng.choice([1, -1], (count, 40)).tolist(), strict=True))
    parts = dict(zip(names, (np.arange(count) * 5 // count).clip(2) - 2, strict=True))
    return Faces(labels, {name: int(part) for name, part in parts.items()})


CELEBA_FACES = celeba_faces()


def celeba_txt(faces: Faces) -> str:
    """`list_attr_celeba.txt`: numbers stand in columns, and the names end with a blank."""
    rows = [
        f"{name} " + " ".join(f"{value!s:>2}" for value in row)
        for name, row in faces.labels.items()
    ]
    return "\n".join([str(len(rows)), " ".join(faces.attributes) + " ", *rows]) + "\n"


def make_celeba(
    folder: Path,
    faces: Faces = CELEBA_FACES,
    form: str = "txt",
    attributes: str = "",
    partition: str = "",
    pictures: str = "img_align_celeba",
) -> Path:
    """A CelebA tree.

    Args:
        folder: where it is made.
        faces: what its files say.
        form: `txt`, as its publishers have it, or `csv`.
        attributes: the folder of the attribute file; empty for the root.
        partition: the folder of the partition file.
        pictures: the folder of the pictures.
    """
    for name in (attributes, partition):
        (folder / name).mkdir(parents=True, exist_ok=True)
    attributes_path = folder / attributes / f"list_attr_celeba.{form}"
    partition_path = folder / partition / f"list_eval_partition.{form}"
    if form == "txt":
        attributes_path.write_text(celeba_txt(faces), encoding="utf-8")
        lines = [f"{name} {part}\n" for name, part in faces.parts.items()]
        partition_path.write_text("".join(lines), encoding="utf-8")
    else:
        with attributes_path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", *faces.attributes])
            writer.writerows([name, *row] for name, row in faces.labels.items())
        with partition_path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", "partition"])
            writer.writerows(faces.parts.items())
    save_pictures(folder / pictures, faces.labels)
    return folder


# Clothing Co-Parsing

CCP_NAMES = (
    "null", "accessories", "bag", "belt", "blazer", "blouse", "bodysuit", "boots", "bra",
    "bracelet", "cape", "cardigan", "clogs", "coat", "dress", "earrings", "flats", "glasses",
    "gloves", "hair", "hat", "heels", "hoodie", "intimate", "jacket", "jeans", "jumper",
    "leggings", "loafers", "necklace", "panties", "pants", "pumps", "purse", "ring", "romper",
    "sandals", "scarf", "shirt", "shoes", "shorts", "skin", "skirt", "sneakers", "socks",
    "stockings", "suit", "sunglasses", "sweater", "sweatshirt", "swimwear", "t-shirt", "tie",
    "tights", "top", "vest", "wallet", "watch", "wedges",
)  # fmt: skip

Mask = NDArray[np.generic]


@dataclass(frozen=True)
class Clothes:
    """What the annotations of Clothing Co-Parsing say, by photo: `0001`.

    Attributes:
        tags: the positions of the names of what is there; every other file has them in a column.
        masks: the position of the name of what each pixel shows.
    """

    tags: Mapping[str, Sequence[int]] = field(default_factory=dict)
    masks: Mapping[str, Mask] = field(default_factory=dict)


def ccp_clothes(count: int = 30, seed: int = 0) -> Clothes:
    """Random annotations: a third of the photos has tags, a third a mask, a third has both."""
    rng = np.random.default_rng(seed)
    tags: dict[str, list[int]] = {}
    masks: dict[str, Mask] = {}
    for i in range(count):
        name = f"{i + 1:04d}"
        if i % 3 != 1:
            tags[name] = rng.permutation(len(CCP_NAMES))[: rng.integers(3, 20)].tolist()
        if i % 3 != 0:
            mask = np.zeros((SIZE[1], SIZE[0]), dtype=np.uint8)
            for value in rng.integers(1, len(CCP_NAMES), rng.integers(2, 12)):
                mask[rng.integers(SIZE[1]), rng.integers(SIZE[0])] = value
            masks[name] = mask
    return Clothes(tags, masks)


CCP_CLOTHES = ccp_clothes()


def make_ccp(
    folder: Path,
    clothes: Clothes = CCP_CLOTHES,
    photos: Iterable[str] | None = None,
    names: Sequence[str] = CCP_NAMES,
) -> Path:
    """A Clothing Co-Parsing tree; photos of all that is annotated unless others are named."""
    save_mat(folder / "label_list.mat", label_list=row_of(names))
    for i, (name, tags) in enumerate(clothes.tags.items()):
        row = np.array([tags], dtype=np.float64)
        path = folder / "annotations" / "image-level" / f"{name}.mat"
        save_mat(path, tags=row.T if i % 2 else row)
    for name, mask in clothes.masks.items():
        save_mat(folder / "annotations" / "pixel-level" / f"{name}.mat", groundtruth=mask)
    if photos is None:
        photos = clothes.tags.keys() | clothes.masks.keys()
    save_pictures(folder / "photos", [f"{name}.jpg" for name in photos])
    return folder


def shrink(path: Path, share: float = 0.5) -> Path:
    """Cut a file, of which only the first part is left."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def picture_names(folder: Path) -> list[str]:
    """The pictures that Pillow can open under a folder, as paths from there."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".jpg":
            with Image.open(path) as picture:
                picture.load()
            found.append(path.relative_to(folder).as_posix())
    return found


# A small tree of each format, in each layout that it is seen in


def make_csv(folder: Path, name: str = "labels.csv") -> Path:
    """A folder of one picture with a label table."""
    save_pictures(folder, ["a.jpg"])
    write_rows(folder / name, ["image", "hat"], ["a.jpg", 1])
    return folder


def make_peta(folder: Path) -> Path:
    """PETA in its first form: one struct of table, names and partitions."""
    rng = np.random.default_rng(0)
    table = np.hstack([np.ones((4, 4)), rng.integers(0, 2, (4, 105))])
    names = row_of([f"attribute{c}" for c in range(105)]).T
    part = {"train": np.array([[1.0], [2]]), "val": np.array([[3.0]]), "test": np.array([[4.0]])}
    partitions = row_of([part] * 5).T
    content = {"attribute": table, "names": names, "unused": 0.0, "partitions": partitions}
    save_mat(folder / "PETA.mat", peta=content)
    save_pictures(folder / "images", [f"{i:05d}.png" for i in range(1, 5)])
    return folder


def make_peta_original(folder: Path) -> Path:
    """PETA in its second form: a folder and a list for each set."""
    for name in ("CUHK", "PRID"):
        archive = folder / "PETA dataset" / name / "archive"
        save_pictures(archive, ["0001_a.png", "0002_a.png"])
        (archive / "Label.txt").write_text("0001_a.png upperBodyRed\n0002_a.png accessoryHat\n")
    return folder


def make_pa100k(folder: Path, annotation: str = "", pictures: str = "data") -> Path:
    """PA-100K: names and labels of three parts."""
    content: dict[str, object] = {"attributes": row_of([f"attribute{c}" for c in range(26)]).T}
    for i, part in enumerate(("train", "val", "test")):
        content[f"{part}_images_name"] = row_of([f"{i + 1:06d}.jpg"]).T
        content[f"{part}_label"] = np.zeros((1, 26), dtype=np.uint8)
    save_mat(folder / annotation / "annotation.mat", **content)
    save_pictures(folder / pictures, [f"{i:06d}.jpg" for i in range(1, 4)])
    return folder


def make_rap(folder: Path) -> Path:
    """RAP v1: fields by their position."""
    parts = row_of([{"trainval": np.array([[1.0, 2]]), "test": np.array([[3.0]])}] * 5).T
    content = {
        "partion": parts,
        "label": np.zeros((3, 92)),
        "attribute_chinese": row_of([f"c{c}" for c in range(92)]).T,
        "attribute_eng": row_of([f"attribute{c}" for c in range(92)]).T,
        "position": np.zeros((3, 16)),
        "imagesname": row_of([f"{i}.png" for i in range(3)]).T,
    }
    save_mat(folder / "RAP_annotation" / "RAP_annotation.mat", RAP_annotation=content)
    save_pictures(folder / "RAP_dataset", [f"{i}.png" for i in range(3)])
    return folder


def make_rap2(folder: Path) -> Path:
    """RAP v2: the same file name, fields by name."""
    part = {
        "train_index": np.array([[1.0]]),
        "val_index": np.array([[2.0]]),
        "test_index": np.array([[3.0]]),
    }
    content = {
        "name": row_of([f"{i}.png" for i in range(3)]).T,
        "attribute": row_of([f"attribute{c}" for c in range(152)]).T,
        "data": np.zeros((3, 152)),
        "selected_attribute": np.arange(1.0, 55)[None],
        "partition_attribute": row_of([part] * 5).T,
    }
    save_mat(folder / "RAP_annotation" / "RAP_annotation.mat", RAP_annotation=content)
    save_pictures(folder / "RAP_dataset", [f"{i}.png" for i in range(3)])
    return folder


Make = Callable[[Path], Path]

# The format's name, the tree, and the file that tells it.
TREES: dict[str, tuple[str, Make, str]] = {
    "csv": ("csv", make_csv, "labels.csv"),
    "csv of another name": ("csv", lambda f: make_csv(f, "People.csv"), "People.csv"),
    "wider": ("wider", make_wider, "wider_attribute_annotation/wider_attribute_trainval.json"),
    "wider in Anno": (
        "wider", lambda f: make_wider(f, annotations="Anno"),
        "Anno/wider_attribute_trainval.json",
    ),
    "wider at the root": (
        "wider", lambda f: make_wider(f, annotations="", pictures=""),
        "wider_attribute_trainval.json",
    ),
    "wider's test part": (
        "wider", lambda f: make_wider(f, trainval=None),
        "wider_attribute_annotation/wider_attribute_test.json",
    ),
    "peta": ("peta", make_peta, "PETA.mat"),
    "peta as it was": ("peta", make_peta_original, "PETA dataset/CUHK/archive/Label.txt"),
    "pa100k": ("pa100k", make_pa100k, "annotation.mat"),
    "pa100k in folders": (
        "pa100k", lambda f: make_pa100k(f, "annotation", "release_data/release_data"),
        "annotation/annotation.mat",
    ),
    "rap": ("rap", make_rap, "RAP_annotation/RAP_annotation.mat"),
    "rap2": ("rap2", make_rap2, "RAP_annotation/RAP_annotation.mat"),
    "market1501": ("market1501", make_market, "attribute/market_attribute.mat"),
    "market1501 at the root": (
        "market1501", lambda f: make_market(f, attributes=""), "market_attribute.mat"
    ),
    "duke": ("duke", make_duke, "attribute/duke_attribute.mat"),
    "duke at the root": ("duke", lambda f: make_duke(f, attributes=""), "duke_attribute.mat"),
    "celeba": ("celeba", make_celeba, "list_attr_celeba.txt"),
    "celeba as csv": (
        "celeba", lambda f: make_celeba(f, form="csv"), "list_attr_celeba.csv"
    ),
    "celeba in folders": (
        "celeba", lambda f: make_celeba(f, CELEBA_FACES, "txt", "Anno", "Eval"),
        "Anno/list_attr_celeba.txt",
    ),
    "ccp": ("ccp", make_ccp, "label_list.mat"),
}  # fmt: skip
