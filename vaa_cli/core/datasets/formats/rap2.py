"""The `rap2` format: RAP v2 (Li et al., IEEE TIP 2018)."""

from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.datasets.formats.rap_common import (
    FILE,
    SECOND_RELEASE,
    annotation,
    find_release,
    image_paths,
    labels_of,
    rap_table,
)
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.labels.table import SPLITS, LabelTable


def find(root: Path) -> Path | None:
    """The annotation file, if it is of the second release.

    Raises:
        VAAError: it is broken.
    """
    return find_release(root, second=True)


def read(root: Path, partition: int = 0) -> LabelTable:
    """Read a RAP v2 folder.

    Args:
        root: the dataset folder.
        partition: one of its partitions into train, val and test, counted from 0.

    Raises:
        VAAError: the annotation file is missing or broken, or there is no such partition.
    """
    path, content = annotation(root)

    def field(name: str) -> tuple[Any, str]:
        return values.variable(content, name, path), f"{path}: {name}"

    attributes = values.attribute_names(*field("attribute"))
    images = image_paths(*field("name"))
    numbers, place = field("data")
    labels = labels_of(numbers, attributes, images, place)
    selected, place = field("selected_attribute")
    chosen = values.positions(selected, len(attributes), place, "attributes")
    partitions, _ = field(SECOND_RELEASE)
    part = values.partition_of(partitions, partition, path)
    place = f"{path}: partition {partition}"
    parts = {split: values.variable(part, f"{split}_index", place) for split in SPLITS}
    table = LabelTable(root, images, attributes, labels)
    return rap_table(table, [attributes[position] for position in chosen], parts, place)


FORMAT = DatasetFormat(
    "rap2",
    "RAP v2",
    f"{FILE} with {SECOND_RELEASE}",
    find,
    read,
    options=frozenset({"partition"}),
)
