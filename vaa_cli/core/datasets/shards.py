"""Packing pictures into shards: tar files of many pictures each, which training reads in order.

The shards are WebDataset's: beside each picture, under the same name, stands a .json file with its
labels, for other programs. vaa itself reads the labels from the CSVs of the prepared folder.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import ImageSource, table_sources
from vaa_cli.core.labels.table import SPLITS, UNSPECIFIED, LabelTable
from vaa_cli.core.system.byte_sizes import parse_size
from vaa_cli.core.system.input_files import opened_file
from vaa_cli.core.system.location import Location
from vaa_cli.core.system.output_folder import OutputFolder
from vaa_cli.core.system.storage import LARGEST

# Large enough that a storage's answers are not waited for, small enough that some dozens of them
# fit in a cache.
DEFAULT_SHARD_SIZE = "64MB"
# A shard is put together in memory.
_SMALLEST, _LARGEST = 10_000, 4_000_000_000
# WebDataset takes all behind a name's first dot for its ending.
_NOT_IN_KEYS = re.compile(r"[^\w-]+")
_LONGEST_STEM = 60


@dataclass(frozen=True)
class ShardOptions:
    """The options of shards.

    Attributes:
        size: number of bytes of a shard, but for one that holds a single larger picture.
        seed: seed of the order of train.
    """

    size: int
    seed: int = 0

    @classmethod
    def of(cls, size: str, seed: int = 0) -> "ShardOptions":
        """The options with a size such as `64MB`.

        Raises:
            VAAError: it is no size, or too small or too large.
        """
        count = parse_size(size)
        if not _SMALLEST <= count <= _LARGEST:
            raise VAAError(f"shard_size {size} is not between 10KB and 4GB")
        return cls(count, seed)


class Packing:
    """The pictures of all splits of a table, written into shards, each picture once.

    Those of train come in a random order, so that pictures that are read one after the other are
    as good as drawn from all. Rows of the same picture stay together.

    Args:
        table: the rows, with splits.
        folder: folder of the shards.
        options: the options of shards.
    """

    def __init__(self, table: LabelTable, folder: OutputFolder, options: ShardOptions) -> None:
        self._table, self._folder, self._options = table, folder, options
        self._names = [""] * len(table)
        self._extents = np.zeros((len(table), 2), dtype=np.int64)
        self._order: list[int] = []
        self.dropped: list[Dropped] = []
        assert table.splits is not None
        self._pictures: dict[str, list[NDArray[np.int64]]] = {}
        for number, split in enumerate(SPLITS):
            rows = np.flatnonzero(table.splits == number)
            if len(rows):
                shuffled = np.random.default_rng(options.seed) if split == "train" else None
                self._pictures[split] = _rows_of_pictures(table, rows, shuffled)

    @property
    def pictures(self) -> int:
        """The number of pictures that are packed."""
        return sum(map(len, self._pictures.values()))

    def run(self) -> Iterator[None]:
        """Write the shards; yields nothing, once a picture.

        Raises:
            VAAError: a shard cannot be written.
        """
        for split, pictures in self._pictures.items():
            yield from self._pack(split, pictures)

    def table(self, root: Location) -> LabelTable:
        """The table of the shards, whose rows are in their order.

        Args:
            root: folder of the shards.
        """
        packed = replace(self._table, root=root, row_images=self._names, extents=self._extents)
        return packed.select(self._order)

    def _pack(self, split: str, groups: Sequence[NDArray[np.int64]]) -> Iterator[None]:
        """Pack pictures, each given by its rows."""
        table = self._table

        def keep(shard: str, members: Sequence[_Member]) -> None:
            for member in members:
                self._order += member.rows
                for row in member.rows:
                    self._names[row] = f"{shard}/{member.name}"
                    self._extents[row] = member.start, member.size

        shards = _ShardWriter(self._folder, split, self._options.size, keep)
        requests = requests_ahead(_sources(table.select([rows[0] for rows in groups])))
        for number, (rows, request) in enumerate(zip(groups, requests, strict=True)):
            name = table.row_images[rows[0]]
            if request.content is None:
                self.dropped += [Dropped(name, request.problem or "")] * len(rows)
            else:
                key, text = f"{number:08d}-{_stem(name)}", _description(table, rows.tolist())
                shards.add(key, name, request.content, text, rows.tolist())
            yield
        shards.finish()


def _rows_of_pictures(
    table: LabelTable, rows: NDArray[np.int64], rng: np.random.Generator | None
) -> list[NDArray[np.int64]]:
    """Some rows by their pictures, which come in a random order where one is given."""
    pictures = table.select(rows).distinct_images
    by_picture = rows[np.argsort(pictures.row_index, kind="stable")]
    groups = np.split(by_picture, np.cumsum(np.bincount(pictures.row_index))[:-1])
    order = np.arange(len(groups)) if rng is None else rng.permutation(len(groups))
    return [groups[position] for position in order]


def _sources(table: LabelTable) -> Iterator[ImageSource]:
    """The pictures of a table, to be read by many threads: a network disk takes its time, too."""
    for source in table_sources(table):
        read = source.read or partial(_read, Path(source.path))
        yield source._replace(read=read, is_remote=True)


def _read(path: Path) -> bytes:
    try:
        with opened_file(path, LARGEST) as file:
            return file.read()
    except VAAError as error:
        raise PictureError(str(error)) from error


def _stem(name: str) -> str:
    """The part of a member's name by which a person finds the picture again."""
    stem = PurePosixPath(name).stem.encode("ascii", "replace").decode()
    return _NOT_IN_KEYS.sub("_", stem)[:_LONGEST_STEM]


def _description(table: LabelTable, rows: Sequence[int]) -> bytes:
    """The labels of a picture's rows for other programs; unspecified ones are left out."""
    described = []
    for row in rows:
        labels = zip(table.attributes, table.labels[row].tolist(), strict=True)
        one: dict[str, Any] = {
            "labels": {name: label for name, label in labels if label != UNSPECIFIED}
        }
        if (box := table.box(row)) is not None:
            one["box"] = list(box)
        if table.identities is not None:
            one["identity"] = str(table.identities[row])
        described.append(one)
    text = json.dumps({"image": table.row_images[rows[0]], "rows": described}, ensure_ascii=False)
    return text.encode(errors="surrogateescape")


class _Member(NamedTuple):
    """A picture in a shard: its name, its extent, and its rows."""

    name: str
    start: int
    size: int
    rows: list[int]


class _ShardWriter:
    """Writes the shards of a split, one after the other; each is named by its content.

    Args:
        folder: their folder.
        split: name of the split.
        most: bytes of a shard.
        on_shard: called with the name and the pictures of each shard that is written.
    """

    def __init__(
        self,
        folder: OutputFolder,
        split: str,
        most: int,
        on_shard: Callable[[str, Sequence[_Member]], None],
    ) -> None:
        self._folder, self._split, self._most, self._on_shard = folder, split, most, on_shard
        self._written = 0
        self._begin()

    def _begin(self) -> None:
        self._buffer = io.BytesIO()
        self._tar = tarfile.TarFile(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._members: list[_Member] = []

    def add(self, key: str, name: str, content: bytes, description: bytes, rows: list[int]) -> None:
        """Add a picture and its description, to a new shard where this one is full."""
        if self._members and self._buffer.tell() + len(content) > self._most:
            self.finish()
            self._begin()
        member = f"{key}{PurePosixPath(name).suffix.lower() or '.jpg'}"
        self._add(member, content)
        padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        start = self._buffer.tell() - padded
        self._members.append(_Member(member, start, len(content), rows))
        self._add(f"{key}.json", description)

    def _add(self, name: str, content: bytes) -> None:
        header = tarfile.TarInfo(name)  # without time and user: the same pictures, the same shard
        header.size = len(content)
        self._tar.addfile(header, io.BytesIO(content))

    def finish(self) -> None:
        """Write the shard, if it has any picture."""
        if not self._members:
            return
        self._tar.close()
        content = self._buffer.getbuffer()
        digest = hashlib.blake2b(content, digest_size=6).hexdigest()
        name = f"{self._split}-{self._written:05d}-{digest}.tar"
        with self._folder.writing(name) as file:
            file.write(content)
        self._written += 1
        self._on_shard(name, self._members)
        self._members = []
