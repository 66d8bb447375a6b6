"""The `rap` format: RAP v1 (Li et al., 2016)."""

from pathlib import Path

from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.datasets.formats.rap_common import (
    FILE,
    annotation,
    find_release,
    image_paths,
    labels_of,
    rap_table,
)
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.labels.table import LabelTable

# So many of the attributes come first that the benchmark scores.
BENCHMARK = 51


def find(root: Path) -> Path | None:
    """The annotation file, if it is of the first release.

    Raises:
        VAAError: it is broken.
    """
    return find_release(root, second=False)


def read(root: Path, partition: int = 0) -> LabelTable:
    """Read a RAP v1 folder.

    Args:
        root: the dataset folder.
        partition: one of its partitions into train and test, counted from 0.

    Raises:
        VAAError: the annotation file is missing or broken, or there is no such partition.
    """
    path, content = annotation(root)
    # Releases spell the names of fields in several ways (partion): they are read by position.
    partitions, numbers, _, names, _, files = values.fields(content, 6, f"{path}: RAP_annotation")
    attributes = values.attribute_names(names, f"{path}: attribute names")
    images = image_paths(files, f"{path}: image names")
    labels = labels_of(numbers, attributes, images, f"{path}: labels")
    place = f"{path}: partition {partition}"
    train, test = values.fields(values.partition_of(partitions, partition, path), 2, place)
    table = LabelTable(root, images, attributes, labels)
    return rap_table(table, attributes[:BENCHMARK], {"train": train, "test": test}, place)


FORMAT = DatasetFormat(
    "rap",
    "RAP v1",
    f"{FILE} with fields by position",
    find,
    read,
    options=frozenset({"partition"}),
)
