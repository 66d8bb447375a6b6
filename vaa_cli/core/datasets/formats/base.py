"""The interface of the readers of dataset formats."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.labels.table import LabelTable


@dataclass(frozen=True)
class DatasetFormat:
    """A dataset format.

    Attributes:
        name: name of the format, as `vaa prepare` takes it.
        title: name of the dataset for people.
        looks_for: the files that it is detected by, in words.
        find: gives the file or folder by which a dataset folder is of this format, or None.
        read: reads a dataset folder.
        read_partition: reads a dataset folder with one of its partitions, counted from 0; None
            for formats that have one only.
    """

    name: str
    title: str
    looks_for: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path], LabelTable]
    read_partition: Callable[[Path, int], LabelTable] | None = None


def counts(*counted: tuple[int, str]) -> tuple[str, ...]:
    """Notes of what was left out: how many, and of what; without those that are none."""
    return tuple(f"{count:,} {what}" for count, what in counted if count)


def picture_folder(root: Path, names: Sequence[str]) -> str:
    """The first of the folders that a dataset's pictures may be in; the last if none is there."""
    return next((name for name in names if (root / name).is_dir()), names[-1])


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder that fit a pattern, sorted, without hidden ones.

    macOS leaves a ._NAME beside each NAME on disks of other systems.
    """
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def first_there(*paths: Path) -> Path | None:
    """The first of the paths that exists, if any."""
    return next((path for path in paths if path.exists()), None)
