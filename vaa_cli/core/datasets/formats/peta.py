"""The `peta` format: PETA (Deng et al., ACM MM 2014), as PETA.mat or in its original tree."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaa_cli.core.datasets.formats.base import DatasetFormat, counts
from vaa_cli.core.datasets.matlab import values
from vaa_cli.core.datasets.matlab.reader import read_mat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.labels.table import LabelTable, leaves_folder
from vaa_cli.core.system.input_files import LARGEST_TABLE, read_text

MATLAB_FILE = "PETA.mat"
TREE = "PETA dataset"
LABELS = "Label.txt"
# The 35 of 105 attributes that are present in more than one picture of twenty, which the
# benchmark scores; the first 35 of PETA.mat.
BENCHMARK = (
    "personalLess30", "personalLess45", "personalLess60", "personalLarger60", "carryingBackpack",
    "carryingOther", "lowerBodyCasual", "upperBodyCasual", "lowerBodyFormal", "upperBodyFormal",
    "accessoryHat", "upperBodyJacket", "lowerBodyJeans", "footwearLeatherShoes", "upperBodyLogo",
    "hairLong", "personalMale", "carryingMessengerBag", "accessoryMuffler", "accessoryNothing",
    "carryingNothing", "upperBodyPlaid", "carryingPlasticBags", "footwearSandals",
    "footwearShoes", "lowerBodyShorts", "upperBodyShortSleeve", "lowerBodyShortSkirt",
    "footwearSneakers", "upperBodyThinStripes", "accessorySunglasses", "lowerBodyTrousers",
    "upperBodyTshirt", "upperBodyOther", "upperBodyVNeck",
)  # fmt: skip
# The table's columns before the labels: numbers of picture, set, person and so on.
_BEFORE_LABELS = 4

Row = tuple[str, str, frozenset[str]]


def find(root: Path) -> Path | None:
    """PETA.mat, or the first label file of the original tree."""
    if (root / MATLAB_FILE).exists():
        return root / MATLAB_FILE
    return next(iter(_label_files(root)), None)


def read(root: Path, partition: int = 0) -> LabelTable:
    """Read PETA in either form.

    Args:
        root: the dataset folder.
        partition: one of the random partitions into train, val and test of PETA.mat, counted
            from 0. The original tree has none.

    Raises:
        VAAError: a file is missing or broken, or there is no such partition.
    """
    if (root / MATLAB_FILE).exists():
        return _read_mat(root, partition)
    if partition:
        raise VAAError(f"`partition={partition}`: {root} has no {MATLAB_FILE}, so no partitions")
    return _read_tree(root)


# PETA.mat


def _read_mat(root: Path, partition: int) -> LabelTable:
    path = root / MATLAB_FILE
    # Publishers give no names that all releases have: fields are read by position.
    table, names, _, partitions = values.fields(
        values.variable(read_mat(path), "peta", path), 4, f"{path}: peta"
    )
    numbers = values.numbers(table, f"{path}: table")
    attributes = values.attribute_names(_first_column(names), f"{path}: attribute names")
    labels = values.labels(numbers[:, _BEFORE_LABELS:], attributes, None, f"{path}: labels")
    place = f"{path}: partition {partition}"
    chosen = values.fields(values.partition_of(partitions, partition, path), 3, place)
    parts = dict(zip(("train", "val", "test"), chosen, strict=True))
    splits = values.splits_of(parts, len(labels), place)
    few = len(attributes) <= len(BENCHMARK)
    return values.chosen_rows(
        LabelTable(
            root,
            [f"images/{number:05d}.png" for number in range(1, len(labels) + 1)],
            attributes,
            labels,
            splits,
            benchmark=None if few else attributes[: len(BENCHMARK)],
        ),
        place,
    )


def _first_column(names: object) -> object:
    # Some releases have translations in further columns.
    if isinstance(names, np.ndarray) and names.ndim == 2 and names.shape[0] > 1:
        return names[:, :1]
    return names


# The original tree


def _label_files(root: Path) -> list[Path]:
    for tree in (root / TREE, root):
        files = sorted(tree.glob(f"*/archive/{LABELS}"))
        if files:
            return files
    return []


def _read_tree(root: Path) -> LabelTable:
    files = _label_files(root)
    if not files:
        raise VAAError(f"{root} has neither {MATLAB_FILE} nor {TREE}/<SET>/archive/{LABELS}")
    rows: list[Row] = []
    names: set[str] = set()
    without_pictures = without_labels = 0
    for path in files:
        people = _read_labels(path)
        names |= frozenset().union(*people.values())
        pictures = sorted(entry.name for entry in path.parent.iterdir() if is_picture(entry.name))
        owners = _owners(pictures, list(people))
        folder = path.parent.relative_to(root).as_posix()
        rows += [
            (f"{folder}/{name}", f"{folder}/{person}", people[person])
            for name, person in zip(pictures, owners, strict=True)
            if person is not None
        ]
        without_labels += owners.count(None)
        without_pictures += len(people.keys() - set(owners))
    if not rows:
        raise VAAError(f"{files[0].parent.parent.parent}: no picture is named in {LABELS}")
    attributes = tuple(sorted(names))
    columns = {name: column for column, name in enumerate(attributes)}
    labels = np.zeros((len(rows), len(attributes)), dtype=np.int8)
    for row, (_, _, present) in enumerate(rows):
        labels[row, [columns[name] for name in present]] = 1
    benchmark = tuple(name for name in BENCHMARK if name in columns)
    return LabelTable(
        root,
        [name for name, _, _ in rows],
        attributes,
        labels,
        identities=np.array([identity for _, identity, _ in rows], dtype=object),
        benchmark=benchmark if 0 < len(benchmark) < len(attributes) else None,
        notes=counts(
            (without_pictures, f"lines of {LABELS} have no pictures"),
            (without_labels, f"pictures have no line in {LABELS}"),
        ),
    )


def _read_labels(path: Path) -> dict[str, frozenset[str]]:
    """The picture or person that each line names first, and the attributes that are present."""
    people: dict[str, frozenset[str]] = {}
    for number, line in enumerate(read_text(path, LARGEST_TABLE).splitlines(), start=1):
        name, *present = line.split() or [""]
        if not name:
            continue
        if name in people:
            raise VAAError(f"{path}: line {number} names {name!r} a second time; keep one")
        if "/" in name or "\\" in name or leaves_folder(name):
            raise VAAError(
                f"{path}: line {number}: {name!r} is no picture or person of this folder"
            )
        people[name] = frozenset(present)
    return people


def _owners(pictures: Sequence[str], people: Sequence[str]) -> list[str | None]:
    """The line of each picture: its own name, or a person whose id it starts with."""
    ids = {name: name for name in people}
    named = {Path(name).stem: name for name in people if is_picture(name)} | ids

    def owner(picture: str, ends: Sequence[int]) -> str | None:
        own = named.get(picture) or named.get(Path(picture).stem)
        longest = (ids.get(picture[:end]) for end in reversed(ends))
        return own or next(filter(None, longest), None)

    # 001_a.png and 001a.png are of 001; of 1, only the first would be.
    owners = [
        owner(picture, [match.start() for match in re.finditer(r"[^0-9A-Za-z]", picture)])
        for picture in pictures
    ]
    if any(owners):
        return owners
    return [owner(picture, range(1, len(picture))) for picture in pictures]


FORMAT = DatasetFormat(
    "peta",
    "PETA",
    f"{MATLAB_FILE} or {TREE}/<SET>/archive/{LABELS}",
    find,
    read,
    options=frozenset({"partition"}),
)
