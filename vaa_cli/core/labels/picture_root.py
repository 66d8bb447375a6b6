"""The folder that the picture names of a table start from, and how they are spelt there."""

import re
from collections.abc import Sequence
from os.path import isfile
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import SPLITS
from vaa_cli.core.system.input_files import LARGEST_TABLE, parse_json, read_text
from vaa_cli.core.system.storage import (
    MISSING,
    StorageError,
    is_url,
    parent_url,
    read_url,
    shown_url,
)

# Where tables keep their pictures when paths do not start at the table's own folder.
PICTURE_FOLDERS = ("", "images", "image", "imgs", "img", "pictures", "photos", "data")
# The description of a prepared folder, which names the root of its tables.
DESCRIPTION = "dataset.json"
_PROBES = 50


def find_pictures(table: Path, images: Sequence[str]) -> tuple[Path, list[str]] | None:
    """Find the pictures that a table names.

    Names may start at the table's folder, or at a folder in it that is called as such folders
    are; and be written with backslashes, as on Windows, or with spaces around them. A file of the
    very name comes first.

    Args:
        table: path of the table.
        images: the names in it.

    Returns:
        The root, and the names of all pictures below it; None if none of a sample is there.
    """
    root = prepared_root(str(table))
    if isinstance(root, Path):
        return root, list(images)
    step = max(1, len(images) // _PROBES)
    for spelt in (str, _respelt):
        probes = [spelt(name) for name in images[::step]]
        found = {
            folder: sum(isfile(table.parent / folder / name) for name in probes)
            for folder in PICTURE_FOLDERS
        }
        best = max(found, key=lambda folder: found[folder])
        if found[best]:
            root = table.parent / best
            return root, [_as_it_is(root, name) for name in images]
    return None


def prepared_root(table: str) -> Path | str | None:
    """The root of the pictures of a table in a prepared folder; None for other tables.

    Args:
        table: path or URL of the table.

    Returns:
        A folder on this machine, or its URL.

    Raises:
        VAAError: the folder's description cannot be read.
    """
    name = re.split(r"[\\/]", table)[-1]
    if name.removesuffix(".csv") not in SPLITS:
        return None
    try:
        if is_url(table):
            description = parent_url(table) + DESCRIPTION
            root = str(parse_json(read_url(description))["root"])
            return root if is_url(root) else parent_url(table) + root
        path = Path(table).parent / DESCRIPTION
        description = str(path)
        if not path.is_file():
            return None
        text = read_text(path, LARGEST_TABLE, errors="surrogateescape")
        root = str(parse_json(text)["root"])
        return root if is_url(root) else path.parent / root
    except StorageError as error:
        if error.problem == MISSING:
            return None
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise VAAError(
            f"{shown_url(description)} is broken ({error!r}); run vaa prepare again"
        ) from error


def _as_it_is(root: Path, name: str) -> str:
    respelt = _respelt(name)
    return name if respelt == name or isfile(root / name) else respelt


def _respelt(name: str) -> str:
    return name.strip().replace("\\", "/")
