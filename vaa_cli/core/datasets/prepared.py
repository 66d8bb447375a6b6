"""The prepared folder: what `vaa prepare` writes and all other commands read."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.groups import Groups
from vaa_cli.core.labels.label_file import (
    read_prepared_csv,
    require_column_names,
    table_cells,
)
from vaa_cli.core.labels.picture_root import DESCRIPTION
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import SPLITS, LabelTable
from vaa_cli.core.system.csv_writer import write_csv
from vaa_cli.core.system.file_cache import CachedURL, FileCache, URLFolder
from vaa_cli.core.system.files import sync_tree, write_bytes, write_text
from vaa_cli.core.system.folders import (
    remove_abandoned_folders,
    require_replaceable,
    restore_folder,
    whole_folder,
)
from vaa_cli.core.system.input_files import LARGEST_TABLE, parse_json, read_text
from vaa_cli.core.system.locks import exclusive
from vaa_cli.core.system.storage import StorageError, is_url

SCHEMA = 1
DEFAULT_FOLDER = Path("prepared")
PRIORS = "priors.csv"
STATISTICS = "statistics.png"
CROPS = "crops"
SHARDS = "shards"
CONTENTS = (DESCRIPTION, PRIORS, STATISTICS, CROPS, SHARDS, *(f"{split}.csv" for split in SPLITS))


# Pictures of which a training keeps a digest, and the bytes that are read of each.
_SAMPLED, _SAMPLED_BYTES = 256, 1 << 20


@dataclass(frozen=True)
class Origin:
    """The origin of the rows of a prepared folder.

    Attributes:
        name: name of the dataset.
        format: name of its format.
        dropped: rows that were left out.
        box_margin: context to cut out around each box, as a fraction of its width and height.
    """

    name: str
    format: str
    dropped: Sequence[Dropped] = ()
    box_margin: float = 0.0


@dataclass(frozen=True)
class StagedPictures:
    """Pictures that were written beside a prepared folder, to be moved into it.

    Attributes:
        folder: the folder that holds all of them.
        name: its name in the prepared folder: `CROPS` or `SHARDS`.
    """

    folder: Path
    name: str


@dataclass(frozen=True)
class Prepared:
    """A dataset made ready.

    Attributes:
        folder: path of the prepared folder.
        name: name of the dataset.
        splits: the rows of each split, by its name.
        priors: priors of the training split.
        box_margin: see `Origin`.
    """

    folder: Path
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


def require_writable(folder: Path) -> None:
    """Check that a prepared folder may be written at a path.

    Raises:
        VAAError: a file stands there, or a folder that holds other files, or files that are only
            named as a prepared folder's are.
    """
    require_replaceable(folder, CONTENTS)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DESCRIPTION).is_file():
        raise VAAError(
            f"{folder} holds files and is no prepared folder (no {DESCRIPTION}); name a new "
            "folder, so that nothing is lost"
        )


def is_prepared(folder: Path) -> bool:
    """Whether there is a prepared folder at a path."""
    return (folder / DESCRIPTION).is_file()


@contextmanager
def written_alone(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a prepared folder, and remove what killed ones have left.

    Raises:
        VAAError: another process is writing it.
    """
    real = folder.resolve()  # beside the folder itself, if this is a link
    in_use = (
        f"{folder} is being prepared by another process; wait for it or stop it, or name another "
        "folder"
    )
    with exclusive(real.with_name(f".{real.name}.lock"), folder, in_use):
        remove_abandoned_folders(real)
        yield


def write_prepared(
    folder: Path,
    table: LabelTable,
    origin: Origin,
    staged: StagedPictures | None = None,
    picture: bytes | None = None,
) -> Priors:
    """Write a prepared folder, whole or not at all.

    Args:
        folder: path of the folder; an earlier prepared folder there is replaced.
        table: the rows, with splits.
        origin: their origin.
        staged: the pictures, if they are to be moved in; None where they stay where they are.
        picture: a PNG file of the label statistics.

    Returns:
        The priors of the training split.

    Raises:
        VAAError: the folder cannot be written or holds other files.
    """
    require_writable(folder)
    require_column_names(table)
    parts = {split: table.split(split) for split in SPLITS}
    priors = Priors.of(parts["train"])
    description = {
        "schema": SCHEMA,
        "name": origin.name,
        "format": origin.format,
        "root": staged.name if staged else str(table.root.resolve()),
        "box_margin": origin.box_margin,
        "attributes": list(table.attributes),
        "groups": {group: list(members) for group, members in table.groups.items()},
        "counts": {split: len(part) for split, part in parts.items()},
        "dropped": [asdict(drop) for drop in origin.dropped],
    }
    with whole_folder(folder, CONTENTS) as beside:
        for split, part in parts.items():
            write_csv(beside / f"{split}.csv", table_cells(part))
        write_text(beside / PRIORS, priors.to_frame().to_csv(index=False))
        write_text(beside / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False))
        if picture is not None:
            write_bytes(beside / STATISTICS, picture)
        if staged is not None:
            sync_tree(staged.folder)
            os.rename(
                staged.folder, beside / staged.name
            )  # last: what failed before has left them there
    return priors


def read_prepared(folder: Path | str, cache: FileCache | None = None) -> Prepared:
    """Read a prepared folder.

    Args:
        folder: the folder.
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
    folder = Path(folder)
    path = folder / DESCRIPTION
    restore_folder(folder)
    if not path.exists():
        raise VAAError(
            f"{folder} is not a prepared folder (no {DESCRIPTION}); "
            f"make one with: vaa prepare DATASET_DIR {folder}"
        )
    try:
        # Paths need not be UTF-8; they are written with the bytes that they have.
        text = read_text(path, LARGEST_TABLE, errors="surrogateescape")
        description = parse_json(text)
        named, name = description["root"], str(description["name"])
        root: Path | URLFolder = folder / named
        box_margin = float(description.get("box_margin", 0.0))
        schema, attributes = description["schema"], tuple(description["attributes"])
        groups = _groups(description.get("groups", {}), attributes)
    except (ValueError, KeyError, TypeError) as error:
        raise VAAError(f"{path} is broken ({error!r}); run vaa prepare again") from error
    if is_url(named):
        root = URLFolder(named, cache or FileCache.default())
    if schema != SCHEMA:
        raise VAAError(
            f"{path} has schema {schema}, this vaa reads {SCHEMA}; run vaa prepare again"
        )
    splits = {
        split: replace(read_prepared_csv(folder / f"{split}.csv", root, attributes), groups=groups)
        for split in SPLITS
    }
    return Prepared(folder, name, splits, Priors.of(splits["train"]), box_margin)


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
