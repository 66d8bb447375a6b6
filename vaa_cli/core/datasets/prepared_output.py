"""Writing a prepared folder, whole or not at all, on this machine or at a URL."""

import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.datasets.prepared import CROPS, PRIORS, SCHEMA, SHARDS, UNFINISHED
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_file import require_column_names, table_cells
from vaa_cli.core.labels.picture_root import DESCRIPTION
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import SPLITS, LabelTable
from vaa_cli.core.system.csv_writer import write_csv
from vaa_cli.core.system.files import sync_tree, write_bytes, write_text
from vaa_cli.core.system.folders import (
    make_folder,
    remove_abandoned_folders,
    require_replaceable,
    whole_folder,
)
from vaa_cli.core.system.interruption import cleanup
from vaa_cli.core.system.location import Location, URLFolder
from vaa_cli.core.system.locks import exclusive
from vaa_cli.core.system.output_folder import OutputFolder, output_folder
from vaa_cli.core.system.storage import put_url, read_url, write_url

STATISTICS = "statistics.png"
CONTENTS = (DESCRIPTION, PRIORS, STATISTICS, CROPS, SHARDS, *(f"{split}.csv" for split in SPLITS))
# The names of shards, which begin with those of the splits.
_SHARD = re.compile(r"[a-z]+-\d{5,}-[0-9a-f]{12}\.tar")


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


def require_writable(folder: Path) -> None:
    """Check that a prepared folder may be written at a path.

    Raises:
        VAAError: a file stands there, or a folder that holds other files, or files that are only
            named as a prepared folder's are.
    """
    require_replaceable(folder, CONTENTS)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / DESCRIPTION).is_file():
        raise _no_prepared_folder(folder)


def _no_prepared_folder(folder: Location) -> VAAError:
    return VAAError(
        f"{folder} holds files and is no prepared folder (no {DESCRIPTION}); name a new folder, so "
        "that nothing is lost"
    )


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
    with whole_folder(folder, CONTENTS) as beside:
        root = staged.name if staged else str(table.root.resolve())
        priors = _write_tables(beside, table, origin, root, picture)
        if staged is not None:
            sync_tree(staged.folder)
            os.rename(staged.folder, beside / staged.name)  # last: what failed before has left them
    return priors


def _write_tables(
    folder: Path, table: LabelTable, origin: Origin, root: str, picture: bytes | None
) -> Priors:
    """Write all of a prepared folder but pictures."""
    parts = {split: table.split(split) for split in SPLITS}
    priors = Priors.of(parts["train"])
    description = {
        "schema": SCHEMA,
        "name": origin.name,
        "format": origin.format,
        "root": root,
        "box_margin": origin.box_margin,
        "attributes": list(table.attributes),
        "groups": {group: list(members) for group, members in table.groups.items()},
        "counts": {split: len(part) for split, part in parts.items()},
        "dropped": [asdict(drop) for drop in origin.dropped],
    }
    for split, part in parts.items():
        write_csv(folder / f"{split}.csv", table_cells(part))
    write_text(folder / PRIORS, priors.to_frame().to_csv(index=False))
    write_text(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False))
    if picture is not None:
        write_bytes(folder / STATISTICS, picture)
    return priors


class PreparedOutput(Protocol):
    """A prepared folder that is being made."""

    def require_writable(self) -> None:
        """Check that it may be written.

        Raises:
            VAAError: something else is there.
        """
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from writing it, as far as the storage can.

        Raises:
            VAAError: another process is writing it.
        """
        ...

    @property
    def crops(self) -> Path:
        """The folder on this machine in which crops are gathered before they are moved in."""
        ...

    def packing(self) -> AbstractContextManager[OutputFolder]:
        """The folder to write shards into; what a failed block has written is of no effect."""
        ...

    def write(
        self, table: LabelTable, origin: Origin, pictures: str | None, statistics: bytes | None
    ) -> Priors:
        """Write it, whole or not at all.

        Args:
            table: the rows, with splits.
            origin: their origin.
            pictures: `CROPS` or `SHARDS`, where these were made; None where pictures stay where
                they are.
            statistics: a PNG file of the label statistics.

        Returns:
            The priors of the training split.

        Raises:
            VAAError: it cannot be written.
        """
        ...


def prepared_output(folder: Location) -> PreparedOutput:
    """The prepared folder to write at a path or a URL."""
    return _URLOutput(folder) if isinstance(folder, URLFolder) else _LocalOutput(folder)


class _LocalOutput:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def require_writable(self) -> None:
        require_writable(self._folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with written_alone(self._folder):
            shutil.rmtree(self._beside(SHARDS), ignore_errors=True)  # of a run that was killed
            yield

    @property
    def crops(self) -> Path:
        return self._beside(CROPS)

    @contextmanager
    def packing(self) -> Iterator[OutputFolder]:
        staging = self._beside(SHARDS)
        make_folder(staging)
        with cleanup():
            try:
                yield output_folder(staging)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise

    def write(
        self, table: LabelTable, origin: Origin, pictures: str | None, statistics: bytes | None
    ) -> Priors:
        staged = StagedPictures(self._beside(pictures), pictures) if pictures else None
        return write_prepared(self._folder, table, origin, staged, statistics)

    def _beside(self, name: str) -> Path:
        folder = self._folder.resolve()  # beside the folder itself, if this is a link
        return folder.with_name(f".{folder.name}.{name}")


class _URLOutput:
    """A prepared folder at a URL, where its description is written last.

    While it is written, the description holds a mark, by which readers find it unfinished and of
    two writers the first finds the other.
    """

    def __init__(self, folder: URLFolder) -> None:
        self._folder = folder
        self._crops: Path | None = None

    def require_writable(self) -> None:
        found = output_folder(str(self._folder)).names()
        foreign = [name for name in found if name not in CONTENTS]
        if foreign:
            raise VAAError(
                f"{self._folder} holds other files ({foreign[0]}); name a new folder, so that "
                "nothing is lost"
            )
        if DESCRIPTION in found or not found:
            return
        # Shards alone are of a run that was stopped: no other file has such a name.
        shards = output_folder(str(self._folder / SHARDS)).names() if found == [SHARDS] else [""]
        if not all(map(_SHARD.fullmatch, shards)):
            raise _no_prepared_folder(self._folder)

    @contextmanager
    def alone(self) -> Iterator[None]:
        with tempfile.TemporaryDirectory(prefix="vaa-crops-") as crops:
            self._crops = Path(crops) / CROPS
            yield

    @property
    def crops(self) -> Path:
        assert self._crops is not None
        return self._crops

    def packing(self) -> AbstractContextManager[OutputFolder]:
        # Their names are of their content, so that those of an earlier preparation stay right.
        return nullcontext(output_folder(str(self._folder / SHARDS)))

    def write(
        self, table: LabelTable, origin: Origin, pictures: str | None, statistics: bytes | None
    ) -> Priors:
        require_column_names(table)
        root = pictures or str(table.root)
        description = str(self._folder / DESCRIPTION)
        mark = json.dumps({UNFINISHED: secrets.token_hex(8)}).encode()
        shards = {name.split("/", 1)[0] for name in table.row_images} if pictures else set()
        with tempfile.TemporaryDirectory(prefix="vaa-prepared-") as made:
            folder = Path(made)
            priors = _write_tables(folder, table, origin, root, statistics)
            write_url(description, mark)
            for path in sorted(folder.iterdir()):
                if path.name != DESCRIPTION:
                    put_url(path, str(self._folder / path.name))
            # Who is done removes the shards of others.
            missing = shards.difference(output_folder(str(self._folder / SHARDS)).names())
            if missing or read_url(description) != mark:
                raise VAAError(
                    f"{self._folder} is being prepared by another process, too; wait for it, and "
                    "run this again"
                )
            put_url(folder / DESCRIPTION, description)
            written = {path.name for path in folder.iterdir()}
        self._remove_others(written, shards)
        return priors

    def _remove_others(self, files: Collection[str], shards: Collection[str]) -> None:
        """Remove what is left of an earlier preparation, but these files and shards."""
        folder, of_shards = (output_folder(str(self._folder / name)) for name in ("", SHARDS))
        if STATISTICS in folder.names() and STATISTICS not in files:
            folder.remove(STATISTICS)
        for name in of_shards.names():
            if _SHARD.fullmatch(name) and name not in shards:
                of_shards.remove(name)
