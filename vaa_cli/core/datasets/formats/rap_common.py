"""The common parts of the two releases of RAP: file, picture folder, rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.formats.base import first_there
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import LabelTable

FILE = "RAP_annotation.mat"
FOLDER, PICTURES = "RAP_annotation", "RAP_dataset"
# This field is in the second release only, as the first has no such names.
SECOND_RELEASE = "partition_attribute"


def find_release(root: Path, second: bool) -> Path | None:
    """The annotation file, if it is there and of the second release, or else of the first.

    Raises:
        VAAError: it is broken.
    """
    if _annotation_file(root) is None:
        return None
    path, content = annotation(root)
    return path if (SECOND_RELEASE in content) == second else None


def annotation(root: Path) -> tuple[Path, dict[str, Any]]:
    """The annotation file, and the struct that it holds.

    Raises:
        VAAError: it is missing or broken.
    """
    path = _annotation_file(root)
    if path is None:
        raise VAAError(f"{root} has no {FILE}; looked in {FOLDER} too")
    content = values.variable(read_mat(path), "RAP_annotation", path)
    return path, values.struct(content, f"{path}: RAP_annotation")


def _annotation_file(root: Path) -> Path | None:
    return first_there(root / FOLDER / FILE, root / FILE)


def image_paths(names: Any, place: str) -> list[str]:
    """The paths of pictures, of which the file has the names.

    Raises:
        VAAError: one is no name, leaves the folder, or stands there twice.
    """
    return [f"{PICTURES}/{name}" for name in values.picture_names(names, place, {})]


def labels_of(
    value: Any, attributes: Sequence[str], images: Sequence[str], place: str
) -> NDArray[np.int8]:
    """The labels, of which 2 is unspecified.

    Raises:
        VAAError: they are of another size or another kind.
    """
    return values.labels(value, attributes, len(images), place, values.YES_NO_UNKNOWN)


def rap_table(
    table: LabelTable, benchmark: Sequence[str], parts: Mapping[str, Any], place: str
) -> LabelTable:
    """The rows that are in one partition.

    Args:
        table: all rows.
        benchmark: the attributes that the benchmark scores.
        parts: 1-based indices by the name of the split.
        place: the partition and its file, for messages.

    Raises:
        VAAError: an index is none of a picture, or a picture is in two splits.
    """
    splits = values.splits_of(parts, len(table), place)
    chosen = tuple(dict.fromkeys(benchmark))
    scored = None if chosen in ((), table.attributes) else chosen
    return values.chosen_rows(replace(table, splits=splits, benchmark=scored), place)
