"""The interface of the readers of dataset formats."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import LabelTable

# The label of people in boxes.
PERSON = "person"


@dataclass(frozen=True)
class DatasetFormat:
    """A dataset format.

    Attributes:
        name: name of the format, as `vaa prepare` takes it.
        title: name of the dataset for people.
        looks_for: the files that it is detected by, in words.
        find: gives the file or folder by which a dataset folder is of this format, or None.
        read: reads a dataset folder, with those of the options that it knows.
        options: names of the options that it knows.
        reads_files: whether a single file of it can be read, too.
        is_last: whether it is only meant where no other format is found.
    """

    name: str
    title: str
    looks_for: str
    find: Callable[[Path], Path | None]
    read: Callable[..., LabelTable]
    options: frozenset[str] = frozenset()
    reads_files: bool = False
    is_last: bool = False

    def read_with(self, source: Path, **options: object) -> LabelTable:
        """Read a dataset.

        Args:
            source: the folder or file.
            options: `partition`, the number of one where a dataset has several, and `label`, that
                of the boxes that are rows; None where they are not asked for.

        Raises:
            VAAError: an option is none of the format, or the dataset is broken.
        """
        asked = {name: value for name, value in options.items() if value is not None}
        for name, value in asked.items():
            if name not in self.options:
                kinds = {"partition": "has one partition only", "label": "has no labels of boxes"}
                raise VAAError(f"`{name}={value}`: {self.title} {kinds[name]}")
        return self.read(source, **asked)


def chosen_label(wanted: str | None, there: Set[str], path: Path) -> str:
    """The label of the boxes that are rows.

    Args:
        wanted: the one asked for; None for `person`, or the only one.
        there: the labels of boxes.
        path: the file, for messages.

    Raises:
        VAAError: it is not there, or none is asked for and there are several.
    """
    chosen = wanted
    if chosen is None:
        chosen = PERSON if PERSON in there else next(iter(there)) if len(there) == 1 else None
    if chosen is None or chosen not in there:
        asked = "choose the people's" if wanted is None else f"none is {wanted!r}; choose one"
        raise VAAError(
            f"{path} has boxes labelled {', '.join(sorted(there))}; {asked} with `label`"
        )
    return chosen


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


def dataset_folder(source: Path) -> Path:
    """The folder of a dataset, of which one file may be named."""
    return source.parent if source.is_file() else source


def first_there(*paths: Path) -> Path | None:
    """The first of the paths that exists, if any."""
    return next((path for path in paths if path.exists()), None)
