"""Joining prepared folders to one dataset, by the names of their attributes."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.splits import pictures_in_two_splits
from vaa_cli.core.labels.table import SPLITS, LabelTable, joined_boxes, repeated_rows
from vaa_cli.core.system.location import Location, URLFolder


def merged_table(folders: Sequence[Prepared]) -> LabelTable:
    """The rows of several prepared folders, each in the split that it is in.

    Attributes are joined by name; what a folder does not have is unspecified in its rows.

    Raises:
        VAAError: no attribute is in two of the folders, or a row is, or a picture is in two
            splits.
    """
    parts = [
        (folder.splits[split], position, folder)
        for position, split in enumerate(SPLITS)
        for folder in folders
        if len(folder.splits[split])
    ]
    attributes = tuple(dict.fromkeys(name for folder in folders for name in folder.attributes))
    _require_shared(folders, attributes)
    root = _root_of([table.root.resolve() for table, _, _ in parts])
    images: list[str] = []
    labels, splits, owners = [], [], []
    for table, position, folder in parts:
        prefix = _below(root, table.root.resolve())
        images += (
            table.row_images if prefix == "." else [f"{prefix}/{name}" for name in table.row_images]
        )
        labels.append(table.labels_for(attributes)[0])
        splits.append(np.full(len(table), position, dtype=np.int8))
        owners += [folder.folder] * len(table)
    merged = LabelTable(
        root,
        images,
        attributes,
        np.concatenate(labels),
        np.concatenate(splits),
        boxes=joined_boxes([table for table, _, _ in parts]),
        identities=_identities(parts),
        groups=_groups(folders),
    )
    repeats = np.flatnonzero(repeated_rows(merged))
    if len(repeats):
        raise VAAError(
            f"{owners[repeats[0]]}: {images[repeats[0]]!r} is in another folder too "
            f"({len(repeats):,} such rows); the same people would be trained and tested on"
        )
    parted = pictures_in_two_splits(merged)
    if parted:
        raise VAAError(
            f"{parted[0]!r} is in one split of one folder and in another of another "
            f"({len(parted):,} such pictures); a model would be tested on what it was trained on"
        )
    return merged


def _root_of(roots: Sequence[Location]) -> Location:
    """The folder that all pictures are below, which must be one where any is at a URL."""
    paths = [root for root in roots if isinstance(root, Path)]
    if len(paths) == len(roots):
        return _common_root(paths)
    first = next(root for root in roots if isinstance(root, URLFolder))
    other = next((root for root in roots if root != first), None)
    if other is not None:
        raise VAAError(f"pictures below {first} and below {other} cannot be joined; copy them")
    return first


def _below(root: Location, folder: Location) -> str:
    if isinstance(root, URLFolder) or isinstance(folder, URLFolder):
        return "."
    return folder.relative_to(root).as_posix()


def _identities(parts: Sequence[tuple[LabelTable, int, Prepared]]) -> NDArray[np.object_] | None:
    """The people of all rows, if each folder has some; numbers of two folders are other people."""
    found = []
    for table, _, folder in parts:
        if table.identities is None:
            return None
        found += [f"{folder.name}/{person}" for person in table.identities.tolist()]
    return np.array(found, dtype=object)


def _groups(folders: Sequence[Prepared]) -> dict[str, tuple[str, ...]]:
    """The groups of all folders; those of the same name are joined."""
    groups: dict[str, tuple[str, ...]] = {}
    for folder in folders:
        for name, members in folder.groups.items():
            groups[name] = tuple(dict.fromkeys((*groups.get(name, ()), *members)))
    return groups


def merged_margin(folders: Sequence[Prepared]) -> float:
    """The context around boxes, which must be the same in all folders that have any.

    Raises:
        VAAError: it is not.
    """
    margins = {
        folder.box_margin: folder.folder
        for folder in folders
        if folder.box_margin or any(table.boxes is not None for table in folder.splits.values())
    }
    if len(margins) > 1:
        each = ", ".join(f"{folder} {margin:g}" for margin, folder in margins.items())
        raise VAAError(f"the folders have different box margins ({each}); prepare them alike")
    return next(iter(margins), 0.0)


def _require_shared(folders: Sequence[Prepared], attributes: Sequence[str]) -> None:
    if all(sum(name in folder.attributes for folder in folders) < 2 for name in attributes):
        names = "; ".join(
            f"{folder.folder}: {', '.join(folder.attributes[:3])}, …" for folder in folders
        )
        raise VAAError(
            f"the folders have no attribute in common ({names}); prepare them with `attributes` "
            "that map their names to the same ones"
        )


def _common_root(roots: Sequence[Path]) -> Path:
    try:
        return Path(os.path.commonpath(roots))
    except ValueError as error:
        raise VAAError("the folders' pictures are on different drives; move them to one") from error
