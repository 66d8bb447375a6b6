"""Refusing pictures outside the dataset folder, whatever links there are."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from vaa_cli.core.errors import VAAError

# The endings of files with labels, and how deep formats have them.
LABEL_ENDINGS = (
    ".csv", ".tsv", ".txt", ".xlsx", ".mat", ".json", ".jsonl", ".xml", ".parquet", ".pkl"
)  # fmt: skip
_DEEPEST = 3


def require_labels_inside(folder: Path) -> None:
    """Check that no link leads a file with labels out of the dataset folder.

    Args:
        folder: the dataset folder, which may be a link itself.

    Raises:
        VAAError: a link does.
    """
    waiting = [(folder, 1)]
    while waiting:
        place, depth = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST:
                        waiting.append((Path(entry.path), depth + 1))
                elif entry.is_symlink() and entry.name.lower().endswith(LABEL_ENDINGS):
                    require_inside(folder, place, [entry.name])


def require_inside(folder: Path, root: Path, images: Iterable[str]) -> None:
    """Check that no link leads the path of a picture out of the dataset folder.

    A dataset from elsewhere could name any file of this machine. The folder may be a link itself.

    Args:
        folder: the dataset folder.
        root: the folder that paths start from.
        images: the paths.

    Raises:
        VAAError: a path leaves the folder.
    """
    real = Path(os.path.realpath(folder))
    inside: dict[str, bool] = {}
    for image in images:
        path = os.path.join(root, image)
        above = os.path.dirname(path)
        if above not in inside:
            inside[above] = Path(os.path.realpath(above)).is_relative_to(real)
        if not inside[above] or (
            os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(real)
        ):
            raise VAAError(
                f"{path} leads out of {folder}, to {os.path.realpath(path)}; if you trust the "
                "dataset, add `follow_links`"
            )
