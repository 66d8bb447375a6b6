"""A small tree of each dataset format, in each layout that it is seen in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.helpers.dataset_trees import (
    CELEBA_FACES,
    cell,
    make_ccp,
    make_celeba,
    make_duke,
    make_market,
    make_wider,
    save_mat,
    save_pictures,
)
from tests.helpers.pictures import write_rows


def make_csv(folder: Path, name: str = "labels.csv") -> Path:
    """A folder of one picture with a label table."""
    save_pictures(folder, ["a.jpg"])
    write_rows(folder / name, ["image", "hat"], ["a.jpg", 1])
    return folder


def make_peta(folder: Path) -> Path:
    """PETA in its first form: one struct of table, names and partitions."""
    rng = np.random.default_rng(0)
    table = np.hstack([np.ones((4, 4)), rng.integers(0, 2, (4, 105))])
    names = cell([f"attribute{c}" for c in range(105)]).T
    part = {"train": np.array([[1.0], [2]]), "val": np.array([[3.0]]), "test": np.array([[4.0]])}
    partitions = cell([part] * 5).T
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
    content: dict[str, object] = {"attributes": cell([f"attribute{c}" for c in range(26)]).T}
    for i, part in enumerate(("train", "val", "test")):
        content[f"{part}_images_name"] = cell([f"{i + 1:06d}.jpg"]).T
        content[f"{part}_label"] = np.zeros((1, 26), dtype=np.uint8)
    save_mat(folder / annotation / "annotation.mat", **content)
    save_pictures(folder / pictures, [f"{i:06d}.jpg" for i in range(1, 4)])
    return folder


def make_rap(folder: Path) -> Path:
    """RAP v1: fields by their position."""
    parts = cell([{"trainval": np.array([[1.0, 2]]), "test": np.array([[3.0]])}] * 5).T
    content = {
        "partion": parts,
        "label": np.zeros((3, 92)),
        "attribute_chinese": cell([f"c{c}" for c in range(92)]).T,
        "attribute_eng": cell([f"attribute{c}" for c in range(92)]).T,
        "position": np.zeros((3, 16)),
        "imagesname": cell([f"{i}.png" for i in range(3)]).T,
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
        "name": cell([f"{i}.png" for i in range(3)]).T,
        "attribute": cell([f"attribute{c}" for c in range(152)]).T,
        "data": np.zeros((3, 152)),
        "selected_attribute": np.arange(1.0, 55)[None],
        "partition_attribute": cell([part] * 5).T,
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
