"""The options of preparing a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vaa_cli.core.datasets.shards import DEFAULT_SHARD_SIZE, ShardOptions
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_header import EmptyMeaning, TableOptions
from vaa_cli.core.system.byte_sizes import DEFAULT_CACHE_SIZE

AUTO = "auto"
CheckName = Literal["quick", "full", "none"]


@dataclass(frozen=True)
class PrepareOptions:
    """The options of preparing a dataset.

    Attributes:
        format: name of the dataset's format, or `auto` to detect it by the files in the folder.
        partition: number of the partition, from 0, where the dataset has several.
        label: label of the boxes that are rows, where boxes have labels; None for `person`, or the
            only one there is.
        attributes: attributes to keep, see `choose_attributes`.
        merge: join prepared folders by the names of their attributes.
        box_margin: context on each side of a box, as a fraction of its width and height; None is 0.
        crops: cut people out into small files.
        short_side: pixels of the shorter side of larger crops; None for 256.
        check: `quick` reads how each picture begins and ends, `full` decodes it, `none` opens none.
            None is `quick`, and `none` for folders that are merged, which were checked before.
        strict: refuse rows that cannot be used instead of dropping them.
        follow_links: allow links that lead out of the dataset folder.
        val_share: fraction of train that becomes val where the dataset has no val; None for 0.1.
        statistics: count the co-occurrence of labels, too.
        seed: seed of the splits.
        resplit: split anew where the folder to write was prepared before, whose splits stay else.
        force: replace a folder that was prepared from another dataset.
        image_column: name of the column of a label CSV with the pictures' paths; None for a usual
            name, see `label_header.IMAGE_COLUMNS`.
        ignore: names of columns of a label table that are no attributes.
        sheet: name of the sheet of a workbook with labels; None for the first.
        empty: what an empty cell of a label table means, `unspecified` or `absent`.
        shards: pack the pictures into shards, which training reads in order.
        shard_size: size of a shard, such as `256MB`; None for `shards.DEFAULT_SHARD_SIZE`.
        cache_dir: folder that keeps pictures of a dataset at a URL; None for the user's cache.
        cache_size: size that it may have, such as `200GB`.

    Example:
        >>> from vaa_cli.core.datasets.options import PrepareOptions
        >>> PrepareOptions(attributes="hat,striped", check="full").check
        'full'
    """

    format: str = AUTO
    partition: int | None = None
    attributes: str | None = None
    merge: bool = False
    box_margin: float | None = None
    crops: bool = False
    short_side: int | None = None
    check: CheckName | None = None
    strict: bool = False
    follow_links: bool = False
    val_share: float | None = None
    statistics: bool = False
    seed: int = 0
    resplit: bool = False
    force: bool = False
    image_column: str | None = None
    ignore: tuple[str, ...] = ()
    sheet: str | None = None
    empty: EmptyMeaning = "unspecified"
    label: str | None = None
    shards: bool = False
    shard_size: str | None = None
    cache_dir: Path | None = None
    cache_size: str = DEFAULT_CACHE_SIZE

    @property
    def of_table(self) -> TableOptions:
        """How a label CSV is read."""
        return TableOptions(self.image_column, self.ignore, self.sheet, self.empty)

    @property
    def of_shards(self) -> ShardOptions:
        """How pictures are packed."""
        return ShardOptions.of(self.shard_size or DEFAULT_SHARD_SIZE, self.seed)

    def require_sound(self) -> None:
        """Check the options against each other.

        Raises:
            VAAError: an option is unknown, out of range, or of no use beside the others.
        """
        if self.check is not None and self.check not in get_args(CheckName):
            names = ", ".join(get_args(CheckName))
            raise VAAError(f"unknown check {self.check!r}; use {names}")
        if self.box_margin is not None and not 0 <= self.box_margin <= 10:
            raise VAAError(f"box_margin {self.box_margin:g} is not between 0 and 10")
        if self.val_share is not None and not 0 <= self.val_share <= 0.9:
            raise VAAError(f"val_share {self.val_share:g} is not between 0 and 0.9")
        if self.short_side is not None and self.short_side < 32:
            raise VAAError(f"short_side {self.short_side} is less than 32")
        if self.short_side is not None and not self.crops:
            raise VAAError("`short_side` is the size of crops; add `crops`, or leave it out")
        if self.shard_size is not None and not self.shards:
            raise VAAError("`shard_size` is the size of shards; add `shards`, or leave it out")
        self.of_shards  # noqa: B018, which checks the size
        of_datasets = (self.format != AUTO, self.partition is not None, self.box_margin is not None)
        if self.merge and any(of_datasets):
            raise VAAError(
                "`format`, `partition` and `box_margin` are for datasets; `merge` joins prepared "
                "folders, which have them already"
            )
