"""From a dataset folder, or from prepared folders, to one prepared folder."""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from vaa_cli.core.datasets.cleaning import Dropped, usable_rows
from vaa_cli.core.datasets.crops import (
    SHORT_SIDE,
    CropOptions,
    crop_names,
    cropped,
    write_crops,
)
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.prepared import (
    CROPS,
    DEFAULT_FOLDER,
    SHARDS,
    Prepared,
    is_prepared,
    read_prepared,
)
from vaa_cli.core.datasets.prepared_output import Origin, PreparedOutput, prepared_output
from vaa_cli.core.datasets.shards import Packing
from vaa_cli.core.datasets.source import Source, chosen_rows, paths_and_urls
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.check import check_pictures
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.splits import (
    EarlierSplits,
    assign_splits,
    pictures_in_two_splits,
    require_train,
)
from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.labels.table import SPLITS, LabelTable
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.folders import require_apart
from vaa_cli.core.system.location import Location, URLFolder, location, subfolder
from vaa_cli.core.system.processes import start_early
from vaa_cli.core.system.storage import is_url

# The modules that processes which check and crop pictures load.
MODULES = ("vaa_cli.core.images.check", "vaa_cli.core.datasets.crops")
# The number of dropped rows that are logged; dataset.json has all of them.
_LOGGED = 10

_LOGGER = logging.getLogger(__name__)

Item = TypeVar("Item")


class Track(Protocol):
    """Shows the progress of an iteration, as `rich.progress.track` does."""

    def __call__(self, items: Iterable[Item], doing: str, total: int, /) -> Iterable[Item]:
        """Give the same items; `doing` names the work, `total` is their number."""
        ...


@dataclass(frozen=True)
class PreparedResult:
    """A folder that was prepared.

    Attributes:
        folder: path or URL of the prepared folder.
        name: name of the dataset.
        table: the rows, with splits.
        priors: priors of the training split.
        rows: number of rows of the dataset, before any were dropped.
        dropped: the rows that were left out, and why.
        statistics: statistics of the training split, if they were asked for.
        has_own_splits: whether the dataset came with splits.
        staging: a folder with crops of an earlier run that was stopped; None if there is none.
    """

    folder: Location
    name: str
    table: LabelTable
    priors: Priors
    rows: int
    dropped: list[Dropped]
    statistics: LabelStatistics | None
    has_own_splits: bool
    staging: Path | None


def _untracked(items: Iterable[Item], doing: str, total: int, /) -> Iterable[Item]:
    return items


def prepare(
    source: Path | str | Sequence[Path | str],
    out: Path | str = DEFAULT_FOLDER,
    options: PrepareOptions | None = None,
    *,
    draw: Callable[[LabelStatistics, str], bytes] | None = None,
    track: Track = _untracked,
) -> PreparedResult:
    """Check a dataset, and write its label tables and attribute priors.

    Args:
        source: the dataset folder or a label CSV, or its URL; with `merge`, several prepared
            folders.
        out: the prepared folder to write, or its URL; an earlier one is replaced.
        options: the options; None for the defaults.
        draw: draws the statistics of the training split as a PNG file, given the dataset's name.
        track: shows the progress of long work, see `Track`.

    Raises:
        VAAError: the dataset or an option is wrong, or the folder cannot be written. Nothing is
            written then.

    Example:
        >>> import vaa_cli as vaa
        >>> result = vaa.prepare("people", "prepared-people")
        >>> result.table.attributes
        ('red', 'hat', 'striped')
        >>> result.priors.positives.tolist() > [0, 0, 0]
        True
    """
    options = options or PrepareOptions()
    sources = paths_and_urls(source)
    options.require_sound()
    # Without a home folder there is no cache, which matters for URLs alone.
    cache = FileCache.default(options.cache_dir, options.cache_size) if is_url(out) else None
    place = location(out, cache)
    output = prepared_output(place)
    output.require_writable()
    if isinstance(place, Path):
        require_apart(place, [source for source in sources if isinstance(source, Path)])
    if options.check != "none" or options.crops:
        start_early(["vaa_cli.__main__", *MODULES])
    table, origin = chosen_rows(sources, place, options)
    _require_reachable(table, place, options)
    earlier = _earlier(place)
    if earlier is not None and not options.force:
        _require_same_dataset(earlier, origin, table)
    with output.alone():
        return _prepare(table, origin, place, output, options, earlier, draw, track)


def _require_reachable(table: LabelTable, place: Location, options: PrepareOptions) -> None:
    """Check that who reads a prepared folder at a URL can read the pictures, too.

    Raises:
        VAAError: they are files of this machine, or would be many small ones at a URL.
    """
    if not isinstance(place, URLFolder) or options.shards:
        return
    if options.crops:
        raise VAAError(f"{place}: crops are written to a URL in shards; add `shards`")
    if not isinstance(table.root, URLFolder):
        raise VAAError(
            f"{place}: the pictures are in {table.root}, on this machine; add `shards` to write "
            "them there, too"
        )


def _earlier(place: Location) -> Prepared | None:
    """What was prepared in a folder before; None where that is nothing, or broken."""
    try:
        return read_prepared(place) if is_prepared(place) else None
    except VAAError as error:
        _LOGGER.warning("%s; it is replaced, and its splits are not known", error)
        return None


def _require_same_dataset(earlier: Prepared, origin: Source, table: LabelTable) -> None:
    """Check that a prepared folder may be replaced.

    Raises:
        VAAError: it is of another dataset.
    """
    root = str(next(part.root for part in earlier.splits.values()).resolve())
    if earlier.name != origin.name and root != str(table.root.resolve()):
        raise VAAError(
            f"{earlier.folder} was prepared from {earlier.name} ({root}), and this is "
            f"{origin.name}; name another folder, or replace it with `force`"
        )


def _prepare(
    table: LabelTable,
    origin: Source,
    place: Location,
    output: PreparedOutput,
    options: PrepareOptions,
    earlier: Prepared | None,
    draw: Callable[[LabelStatistics, str], bytes] | None,
    track: Track,
) -> PreparedResult:
    """Check the rows' pictures, and write the prepared folder."""
    rows = len(table)
    check = options.check or ("none" if origin.checked else "quick")
    table, dropped = _usable(table, check, options.strict, track)

    has_own_splits = table.splits is not None
    table = _with_splits(table, options, earlier)
    pictures = None
    if options.crops:
        crop_options = CropOptions(origin.box_margin, options.short_side or SHORT_SIDE)
        crops_there = place / CROPS if isinstance(place, Path) else output.crops
        table, not_cropped = _cropped(
            table, output.crops, crops_there, crop_options, options.strict, track
        )
        pictures, dropped = CROPS, dropped + not_cropped
    if options.shards:
        table, not_packed = _packed(table, output, place, options, track)
        pictures, dropped = SHARDS, dropped + not_packed
    if pictures:
        require_train(table)
    statistics = LabelStatistics.of(table.split("train")) if options.statistics else None
    picture = draw(statistics, origin.name) if draw and statistics else None
    written = Origin(origin.name, origin.format, dropped, origin.box_margin)
    priors = output.write(table, written, pictures, picture)
    if options.crops:
        shutil.rmtree(output.crops, ignore_errors=True)  # they are in the shards
    staging = output.crops if output.crops.exists() else None
    return PreparedResult(
        place, origin.name, table, priors, rows, dropped, statistics, has_own_splits, staging
    )


def _usable(
    table: LabelTable, check: str, strict: bool, track: Track
) -> tuple[LabelTable, list[Dropped]]:
    """Check the pictures, and leave out the rows that cannot be used."""
    names = table.distinct_images.names
    checked = None
    if check != "none":
        paths = (table.root / name for name in names)
        results = check_pictures(paths, decode=check == "full")
        checked = list(track(results, "checking pictures", len(names)))
    usable, dropped = usable_rows(table, checked)
    _log_dropped(dropped, len(table), strict)
    return usable, dropped


def _with_splits(
    table: LabelTable, options: PrepareOptions, earlier: Prepared | None
) -> LabelTable:
    """The table with a split for each row; where it has none, that of an earlier preparation."""
    # Folders that were prepared have the val that they should.
    leave = options.merge and options.val_share is None
    kept = None
    if table.splits is None and earlier is not None and not options.resplit:
        kept = EarlierSplits.of(
            [(part, SPLITS.index(name)) for name, part in earlier.splits.items()]
        )
        known = sum(name in kept.images for name in table.distinct_images.names)
        if known:
            _LOGGER.info(
                "%s pictures stay in the splits that they have in %s; `resplit` splits anew",
                f"{known:,}",
                earlier.folder,
            )
    share = 0.0 if leave else options.val_share
    splits = assign_splits(table, options.seed, share, kept)
    if table.splits is not None and (splits != table.splits).any():
        moved = int((splits != table.splits).sum())
        _LOGGER.info("no val split in the dataset: %s rows cut from train", f"{moved:,}")
    table = replace(table, splits=splits)
    parted = pictures_in_two_splits(table)
    if parted:
        _LOGGER.warning(
            "%s pictures are in more than one split, such as %s", f"{len(parted):,}", parted[0]
        )
    return table


def _cropped(
    table: LabelTable,
    staging: Path,
    earlier: Path,
    options: CropOptions,
    strict: bool,
    track: Track,
) -> tuple[LabelTable, list[Dropped]]:
    """Write a crop for each row: the table of the crops, and the rows without one."""
    names = crop_names(table, options)
    try:
        results = write_crops(table, names, staging, earlier, options)
        problems = list(track(results, "cutting people out", len(table.distinct_images.names)))
    except KeyboardInterrupt:
        _LOGGER.info("stopped; the same command goes on with the crops in %s", staging)
        raise
    crops, dropped = cropped(table, names, problems)
    _log_dropped(dropped, len(table), strict)
    return replace(crops, root=staging), dropped


def _packed(
    table: LabelTable,
    output: PreparedOutput,
    place: Location,
    options: PrepareOptions,
    track: Track,
) -> tuple[LabelTable, list[Dropped]]:
    """Write the pictures into shards: the table of the shards, and the rows without a picture."""
    with output.packing() as folder:
        packing = Packing(table, folder, options.of_shards)
        for _ in track(packing.run(), "packing pictures", packing.pictures):
            pass
        _log_dropped(packing.dropped, len(table), options.strict)
    return packing.table(subfolder(place, SHARDS)), packing.dropped


def _log_dropped(dropped: Sequence[Dropped], rows: int, strict: bool) -> None:
    for drop in dropped[:_LOGGED]:
        _LOGGER.warning("%s: %s", drop.image, drop.reason)
    if len(dropped) > _LOGGED:
        _LOGGER.warning("… and %s more", f"{len(dropped) - _LOGGED:,}")
    if not dropped:
        return
    first = f"such as {dropped[0].image}: {dropped[0].reason}"
    if strict:
        raise VAAError(
            f"{len(dropped):,} of {rows:,} rows cannot be used, {first}; mend them, or leave out "
            "`strict` to drop them"
        )
    if len(dropped) == rows:
        raise VAAError(f"none of the {rows:,} rows can be used, {first}")
