"""The `folders` format: a folder a class, perhaps below a folder a split."""

from pathlib import Path

from vaa_cli.core.datasets.formats.annotations import AnnotatedRows
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.labels.label_header import SPLIT_NAMES
from vaa_cli.core.labels.table import LabelTable

GROUP = "class"


def find(source: Path) -> Path | None:
    """The first folder of a class, if all folders are such."""
    trees = _trees(source)
    return None if trees is None else _folders(trees[0][0])[0]


def read(source: Path) -> LabelTable:
    """Read a tree of classes, which exclude each other.

    Raises:
        VAAError: it is none.
    """
    trees = _trees(source)
    if trees is None:
        raise VAAError(f"{source} does not hold two folders of pictures or more, one a class")
    rows = AnnotatedRows(source)
    for tree, split in trees:
        for folder in _folders(tree):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and is_picture(path.name) and not path.name.startswith("."):
                    name = path.relative_to(source).as_posix()
                    rows.add(name, {GROUP: folder.name}, split=split)
    return rows.finish(source)


def _trees(source: Path) -> list[tuple[Path, int | None]] | None:
    """The folders that hold folders of classes, each with its split; None if there are none."""
    if not source.is_dir():
        return None
    below = _folders(source)
    names = [SPLIT_NAMES.get(folder.name.lower()) for folder in below]
    if below and None not in names and len(set(names)) == len(names):
        trees = [(folder, split) for folder, split in zip(below, names, strict=True)]
        return trees if all(_are_classes(folder) for folder in below) else None
    return [(source, None)] if _are_classes(source) else None


def _are_classes(tree: Path) -> bool:
    classes = _folders(tree)
    if len(classes) < 2 or _has_pictures(tree):
        return False
    return all(_has_pictures(folder) and not _folders(folder) for folder in classes)


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))
    )


def _has_pictures(folder: Path) -> bool:
    return any(is_picture(path.name) and path.is_file() for path in folder.iterdir())


FORMAT = DatasetFormat(
    "folders", "a folder a class", "two folders of pictures or more, and no table", find, read,
    is_last=True,
)  # fmt: skip
