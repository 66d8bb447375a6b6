"""Labels of pictures: the table that all readers give, and the attribute priors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.system.file_cache import CachedURL
from vaa_cli.core.system.location import Location
from vaa_cli.core.system.shards import ShardMember

PRESENT, ABSENT, UNSPECIFIED = 1, 0, -1

SPLITS = ("train", "val", "test")

_MULTIPLIER = np.uint64(1_000_003)


@dataclass(frozen=True)
class DistinctImages:
    """The pictures of a table, each once, though several people may be in it.

    Attributes:
        names: `p` paths relative to the table's root, in the order of their first rows.
        row_index: `[n]` the position in `names` of each row's picture.
    """

    names: list[str]
    row_index: NDArray[np.int64]


@dataclass(frozen=True)
class LabelTable:
    """Pictures with their labels, one row a picture or a box in one.

    Attributes:
        root: the folder that the image paths start from, on this machine or at a URL.
        row_images: `n` paths relative to `root`, with forward slashes; several rows may have the
            same one. Pictures in shards are named SHARD/MEMBER.
        attributes: the `c` attribute names, in the order of the label columns.
        labels: `[n x c]` int8: 1 present, 0 absent, -1 unspecified.
        splits: `[n]` int8 positions in `SPLITS`, or None where the dataset has no split.
        boxes: `[n x 4]` left, top, width, height in pixels, NaN for the whole picture; or None.
        extents: `[n x 2]` first byte and number of bytes of each row's picture in its shard; None
            where pictures are files.
        identities: `[n]` names or numbers, the same for rows of the same person; or None where the
            dataset has no identities.
        benchmark: the attributes that the dataset's benchmark scores, where it labels more; None
            for all. These are kept where the user chooses nothing else.
        groups: names of attributes of which a row has one at most, by the name of each such group.
        notes: notes of the reader on what it left out.
        problems: the cells of an attribute's column that are no labels, by its name; the column is
            of no use then, which matters where it is chosen.
    """

    root: Location
    row_images: list[str]
    attributes: tuple[str, ...]
    labels: NDArray[np.int8]
    splits: NDArray[np.int8] | None = None
    boxes: NDArray[np.float64] | None = None
    extents: NDArray[np.int64] | None = None
    identities: NDArray[Any] | None = None
    benchmark: tuple[str, ...] | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_images)

    @cached_property
    def distinct_images(self) -> DistinctImages:
        """The pictures that the rows are in."""
        import pandas as pd  # a third of a second, which a prediction has no need of

        row_index, names = pd.factorize(np.array(self.row_images, dtype=object))
        return DistinctImages(names.tolist(), row_index.astype(np.int64, copy=False))

    @cached_property
    def shard_rows(self) -> list[NDArray[np.int64]]:
        """The rows of each shard, in the order of their pictures in it; none without shards."""
        import pandas as pd

        if self.extents is None:
            return []
        shards = np.array([name.split("/", 1)[0] for name in self.row_images], dtype=object)
        index = pd.factorize(shards)[0]
        order = np.lexsort((self.extents[:, 0], index))
        return np.split(order, np.cumsum(np.bincount(index))[:-1])

    def path(self, row: int) -> Path | CachedURL | ShardMember:
        """The path of a row's picture, or what else it is read from."""
        if self.extents is None:
            return self.root / self.row_images[row]
        return ShardMember.of(self.root, self.row_images[row], *self.extents[row].tolist())

    def box(self, row: int) -> Box | None:
        """The box of a row, None for the whole picture."""
        if self.boxes is None or np.isnan(self.boxes[row, 0]):
            return None
        return Box(*self.boxes[row].tolist())

    def select(self, positions: Sequence[int] | NDArray[np.int64]) -> "LabelTable":
        """The table of some rows, given by their positions."""
        positions = np.asarray(positions, dtype=np.int64)
        return replace(
            self,
            row_images=[self.row_images[row] for row in positions],
            labels=self.labels[positions],
            splits=None if self.splits is None else self.splits[positions],
            boxes=None if self.boxes is None else self.boxes[positions],
            extents=None if self.extents is None else self.extents[positions],
            identities=None if self.identities is None else self.identities[positions],
        )

    def labels_for(
        self, attributes: Sequence[str]
    ) -> tuple[NDArray[np.int8], list[str], list[str]]:
        """The labels in another order of attributes.

        Args:
            attributes: `k` names; those that the table does not have are unspecified.

        Returns:
            `[n x k]` labels, the asked names that the table lacks, and its names not asked for.

        Raises:
            VAAError: none of the names is the table's.
        """
        columns = {name: position for position, name in enumerate(self.attributes)}
        missing = [name for name in attributes if name not in columns]
        extra = [name for name in self.attributes if name not in attributes]
        if len(missing) == len(attributes):
            raise VAAError(
                f"none of the model's attributes ({', '.join(attributes[:3])}, …) is among the "
                f"dataset's ({', '.join(self.attributes[:3])}, …)"
            )
        labels = np.full((len(self), len(attributes)), UNSPECIFIED, dtype=np.int8)
        for position, name in enumerate(attributes):
            if name in columns:
                labels[:, position] = self.labels[:, columns[name]]
        return labels, missing, extra

    def split(self, name: str) -> "LabelTable":
        """The rows of one split; all tables have splits once they are prepared."""
        if self.splits is None:
            raise ValueError("the table has no splits yet")
        return self.select(np.flatnonzero(self.splits == SPLITS.index(name)))


def joined_boxes(tables: Sequence[LabelTable]) -> NDArray[np.float64] | None:
    """The boxes of the rows of several tables, NaN for those of one without; None if all are."""
    if all(table.boxes is None for table in tables):
        return None
    return np.concatenate(
        [np.full((len(one), 4), np.nan) if one.boxes is None else one.boxes for one in tables]
    )


def joined_extents(tables: Sequence[LabelTable]) -> NDArray[np.int64] | None:
    """The extents of the rows of several tables, of which all or none are in shards."""
    found = [table.extents for table in tables if table.extents is not None]
    return np.concatenate(found) if found else None


def leaves_folder(name: str) -> bool:
    """Whether a picture's path is absolute, or climbs out of the folder that it starts from."""
    pure = PurePosixPath(name)
    return pure.is_absolute() or ".." in pure.parts


def repeated_rows(table: LabelTable) -> NDArray[np.bool_]:
    """Whether each row `[n]` is the same picture and box as a row before it."""
    import pandas as pd

    columns = [table.distinct_images.row_index]
    if table.boxes is not None:
        columns += list(table.boxes.T + 0.0)  # so that -0 equals 0
    # Rows of the same hash are few; only these are compared, which takes a table much memory.
    hashes = np.zeros(len(table), dtype=np.uint64)
    for column in columns:
        hashes = hashes * _MULTIPLIER ^ pd.util.hash_array(column)
    alike = np.flatnonzero(pd.Series(hashes).duplicated(keep=False))
    repeated = np.zeros(len(table), dtype=bool)
    keys = pd.DataFrame({number: column[alike] for number, column in enumerate(columns)})
    repeated[alike] = keys.duplicated()
    return repeated


def attribute_tuple(names: Sequence[str], place: object) -> tuple[str, ...]:
    """The names of attributes, of which there must be some, each once.

    Args:
        names: as they were read.
        place: their origin, for the beginning of an error message.

    Raises:
        VAAError: there is none, or one stands there twice.
    """
    if not names:
        raise VAAError(f"{place} names no attributes")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise VAAError(f"{place} names the attribute {twice[0]!r} twice")
    return tuple(names)
