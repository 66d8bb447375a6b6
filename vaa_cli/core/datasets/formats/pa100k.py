"""The `pa100k` format: PA-100K (Liu et al., ICCV 2017)."""

from pathlib import Path

import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat, first_there, picture_folder
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS, LabelTable

FILE = "annotation.mat"
PICTURES = ("release_data/release_data", "data")


def find(root: Path) -> Path | None:
    """The annotation file, if it is there."""
    return first_there(root / FILE, root / "annotation" / FILE)


def read(root: Path) -> LabelTable:
    """Read a PA-100K folder.

    Raises:
        VAAError: the annotation file is missing or broken.
    """
    path = find(root)
    if path is None:
        raise VAAError(f"{root} has no {FILE}; looked in annotation too")
    content = read_mat(path)
    attributes = values.attribute_names(
        values.variable(content, "attributes", path), f"{path}: attributes"
    )
    folder = picture_folder(root, PICTURES)
    images: list[str] = []
    labels, splits = [], []
    seen: dict[str, str] = {}
    for position, split in enumerate(SPLITS):
        variable = f"{split}_images_name"
        cells = values.variable(content, variable, path)
        names = values.picture_names(cells, f"{path}: {variable}", seen)
        images += [f"{folder}/{name}" for name in names]
        variable = f"{split}_label"
        table = values.variable(content, variable, path)
        labels.append(values.labels(table, attributes, len(names), f"{path}: {variable}"))
        splits.append(np.full(len(names), position, dtype=np.int8))
    return LabelTable(root, images, attributes, np.concatenate(labels), np.concatenate(splits))


FORMAT = DatasetFormat("pa100k", "PA-100K", FILE, find, read)
