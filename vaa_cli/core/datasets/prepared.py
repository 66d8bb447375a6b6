"""The prepared folder: what `vaa prepare` writes and all other commands read."""

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.groups import Groups
from vaa_cli.core.labels.label_file import read_prepared_csv
from vaa_cli.core.labels.picture_root import DESCRIPTION
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import SPLITS, LabelTable
from vaa_cli.core.system.file_cache import CachedURL, FileCache
from vaa_cli.core.system.folders import restore_folder
from vaa_cli.core.system.input_files import LARGEST_TABLE, parse_json, read_text
from vaa_cli.core.system.location import Location, URLFolder, local_file, location, subfolder
from vaa_cli.core.system.storage import MISSING, StorageError, is_url

SCHEMA = 1
DEFAULT_FOLDER = Path("prepared")
PRIORS = "priors.csv"
# Folders of the pictures, where they are in the prepared folder.
CROPS, SHARDS = "crops", "shards"
# The entry of a description that stands there alone while a folder at a URL is written.
UNFINISHED = "unfinished"
# Pictures of which a training keeps a digest, and the bytes that are read of each.
_SAMPLED, _SAMPLED_BYTES = 256, 1 << 20


@dataclass(frozen=True)
class Prepared:
    """A dataset made ready.

    Attributes:
        folder: path or URL of the prepared folder.
        name: name of the dataset.
        splits: the rows of each split, by its name.
        priors: priors of the training split.
        box_margin: context to cut out around each box, as a fraction of its width and height.
    """

    folder: Location
    name: str
    splits: dict[str, LabelTable]
    priors: Priors
    box_margin: float = 0.0

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes, in the order of the label columns."""
        return self.priors.attributes

    @property
    def groups(self) -> Groups:
        """Names of attributes of which a person has one at most, by the name of each group."""
        return self.splits["train"].groups

    def split(self, name: str) -> LabelTable:
        """The rows of a split.

        Raises:
            VAAError: there is no such split, or no picture in it.
        """
        sizes = ", ".join(f"{split} ({len(table)})" for split, table in self.splits.items())
        if name not in self.splits:
            raise VAAError(f"no split {name!r} in {self.folder}; it has {sizes}")
        if not len(self.splits[name]):
            raise VAAError(f"the split {name!r} of {self.folder} has no pictures; it has {sizes}")
        return self.splits[name]


def is_prepared(folder: Location) -> bool:
    """Whether there is a prepared folder at a path or a URL.

    Raises:
        StorageError: the URL may not be read.
    """
    return _description_file(folder) is not None


def _description_file(folder: Location) -> Path | None:
    """The description of a prepared folder, on this machine's disk; None where there is none."""
    try:
        path = local_file(folder, DESCRIPTION)
    except StorageError as error:
        if error.problem == MISSING:
            return None
        raise
    return path if path.is_file() else None


def read_prepared(folder: Location | str, cache: FileCache | None = None) -> Prepared:
    """Read a prepared folder.

    Args:
        folder: the folder, or its URL.
        cache: what pictures at a URL are read through; None for the cache of the user.

    Raises:
        VAAError: it is no prepared folder, or one of its files is missing or broken.

    Example:
        >>> import vaa_cli as vaa
        >>> data = vaa.read_prepared("prepared")
        >>> data.attributes
        ('red', 'hat', 'striped')
        >>> data.split("train").labels.shape[1]
        3
    """
    folder = location(folder, cache)
    if isinstance(folder, Path):
        restore_folder(folder)
    file = _description_file(folder)
    if file is None:
        raise VAAError(
            f"{folder} is not a prepared folder (no {DESCRIPTION}); "
            f"make one with: vaa prepare DATASET_DIR {folder}"
        )
    path = folder / DESCRIPTION
    try:
        # Paths need not be UTF-8; they are written with the bytes that they have.
        text = read_text(file, LARGEST_TABLE, errors="surrogateescape")
        description = parse_json(text)
        if UNFINISHED in description:
            raise VAAError(
                f"{folder} is being prepared, or was not prepared to its end; run vaa prepare again"
            )
        named, name = description["root"], str(description["name"])
        box_margin = float(description.get("box_margin", 0.0))
        schema, attributes = description["schema"], tuple(description["attributes"])
        groups = _groups(description.get("groups", {}), attributes)
        root = _root(folder, named, cache)
    except (ValueError, KeyError, TypeError) as error:
        raise VAAError(f"{path} is broken ({error!r}); run vaa prepare again") from error
    if schema != SCHEMA:
        raise VAAError(
            f"{path} has schema {schema}, this vaa reads {SCHEMA}; run vaa prepare again"
        )
    splits = {
        split: replace(_read_split(folder, split, root, attributes), groups=groups)
        for split in SPLITS
    }
    return Prepared(folder, name, splits, Priors.of(splits["train"]), box_margin)


def _root(folder: Location, named: str, cache: FileCache | None) -> Location:
    """The folder that the names of pictures start from."""
    if is_url(named):
        return URLFolder(named, cache or FileCache.default())
    return Path(named) if os.path.isabs(named) else subfolder(folder, named)


def _read_split(
    folder: Location, split: str, root: Location, attributes: tuple[str, ...]
) -> LabelTable:
    """The rows of a split; messages name its table as the user knows it."""
    table = local_file(folder, f"{split}.csv")
    try:
        return read_prepared_csv(table, root, attributes)
    except VAAError as error:
        message = str(error).replace(str(table), str(folder / f"{split}.csv"))
        raise VAAError(message) from error


def _groups(found: Any, attributes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The groups of a description.

    Raises:
        ValueError: they are of another form, or hold what is no attribute.
    """
    groups = {str(name): tuple(members) for name, members in dict(found).items()}
    for name, members in groups.items():
        if not set(members) <= set(attributes):
            raise ValueError(f"the group {name!r} holds what is no attribute")
    return groups


def picture_digests(data: Prepared) -> dict[str, str]:
    """Digests of the content of some of the training pictures, by their names.

    A resumed training finds other pictures under the same names by them, as far as these are among
    the sample. Pictures that cannot be read are left out.
    """
    table = data.splits["train"]
    if table.extents is not None:
        return {}  # shards are named by their content
    names = table.distinct_images.names
    digests = {}
    for name in names[:: max(1, len(names) // _SAMPLED)]:
        with contextlib.suppress(OSError, ValueError, StorageError):
            content, size = _start_and_size(table.root / name)
            digests[name] = hashlib.sha256(b"%d " % size + content).hexdigest()[:16]
    return digests


def _start_and_size(path: Path | CachedURL) -> tuple[bytes, int]:
    """The first bytes of a file, and its number of bytes."""
    if isinstance(path, CachedURL):
        content = path.content()
        return content[:_SAMPLED_BYTES], len(content)
    with path.open("rb") as file:
        return file.read(_SAMPLED_BYTES), os.fstat(file.fileno()).st_size


def data_fingerprint(data: Prepared) -> str:
    """A digest of the names, boxes and labels, which a resumed training must find unchanged."""
    digest = hashlib.sha256(repr((data.attributes, data.box_margin)).encode())
    for split in ("train", "val"):
        table = data.split(split)
        digest.update("\0".join(table.row_images).encode(errors="surrogateescape"))
        digest.update(table.labels.tobytes())
        digest.update(b"" if table.boxes is None else table.boxes.tobytes())
    return digest.hexdigest()
