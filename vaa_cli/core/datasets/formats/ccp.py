"""The `ccp` format: Clothing Co-Parsing (Yang et al., CVPR 2014)."""

from pathlib import Path
from typing import Any

import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat, counts, visible_files
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import ABSENT, PRESENT, LabelTable

LIST = "label_list.mat"
PHOTOS = "photos"
# Where annotations are, and the variable that each file has: the names of what is there as
# positions in the list, or one for each pixel.
LEVELS = {"image-level": "tags", "pixel-level": "groundtruth"}


def find(root: Path) -> Path | None:
    """The list of names, if it is there."""
    return root / LIST if (root / LIST).exists() else None


def read(root: Path) -> LabelTable:
    """Read a Clothing Co-Parsing folder: what an annotation of either level shows is present.

    Raises:
        VAAError: the list of names or an annotation is missing or broken.
    """
    path = root / LIST
    names = values.attribute_names(values.variable(read_mat(path), "label_list", path), path)
    present: dict[str, set[int]] = {}
    for level, variable in LEVELS.items():
        for file in visible_files(root / "annotations" / level, "*.mat"):
            content = values.variable(read_mat(file), variable, file)
            found = _positions(content, len(names), f"{file}: {variable}")
            present.setdefault(file.stem, set()).update(found)
    photos = {photo.stem for photo in visible_files(root / PHOTOS, "*.jpg")}
    rows = sorted(present.keys() & photos)
    if not rows:
        raise VAAError(f"{root}: no photo in {PHOTOS} has an annotation in annotations/*-level")
    labels = np.full((len(rows), len(names)), ABSENT, dtype=np.int8)
    for row, photo in enumerate(rows):
        labels[row, sorted(present[photo])] = PRESENT
    notes = counts(
        (len(photos - present.keys()), "photos have no annotation"),
        (len(present.keys() - photos), "annotations have no photo"),
    )
    # The first name, null, is what shows nothing.
    images = [f"{PHOTOS}/{photo}.jpg" for photo in rows]
    return LabelTable(root, images, names[1:], labels[:, 1:], notes=notes)


def _positions(value: Any, count: int, place: str) -> list[int]:
    found = np.unique(values.numbers(value, place))
    wrong = found[~np.isin(found, np.arange(count))]
    if len(wrong):
        names = f"{count} names of {LIST}, 0 to {count - 1}"
        raise VAAError(f"{place}: {wrong[0]:g} is none of the {names}")
    return [int(position) for position in found]


FORMAT = DatasetFormat("ccp", "Clothing Co-Parsing", LIST, find, read)
