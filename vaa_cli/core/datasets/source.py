"""The rows of a dataset, or of prepared folders that are joined, before a picture is opened."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os.path import dirname
from pathlib import Path

from vaa_cli.core.datasets.formats import csv_folder
from vaa_cli.core.datasets.formats.base import dataset_folder
from vaa_cli.core.datasets.formats.registry import detect, format_named
from vaa_cli.core.datasets.merge import merged_margin, merged_table
from vaa_cli.core.datasets.mirror import mirrored_labels
from vaa_cli.core.datasets.options import AUTO, PrepareOptions
from vaa_cli.core.datasets.prepared import Prepared, read_prepared
from vaa_cli.core.datasets.safe_paths import require_inside, require_labels_inside
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes
from vaa_cli.core.labels.label_file import require_column_names
from vaa_cli.core.labels.label_header import TableOptions
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.folders import require_apart
from vaa_cli.core.system.location import Location, URLFolder
from vaa_cli.core.system.storage import is_url, shown_url

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The origin of the rows.

    Attributes:
        name: name of the dataset.
        format: name of its format.
        folder: the dataset folder, which no picture may leave; or its URL.
        box_margin: context around boxes.
        checked: whether the pictures were checked before.
    """

    name: str
    format: str
    folder: Location
    box_margin: float
    checked: bool = False


@dataclass(frozen=True)
class Preview:
    """What would be prepared.

    Attributes:
        name: name of the dataset.
        format: name of its format.
        table: the rows with the chosen attributes, before any picture is opened.
    """

    name: str
    format: str
    table: LabelTable


def preview(
    source: Path | str | Sequence[Path | str], options: PrepareOptions | None = None
) -> Preview:
    """Read a dataset as `prepare` does, without opening a picture or writing anything.

    Args:
        source: see `prepare`.
        options: see `prepare`.

    Raises:
        VAAError: the dataset or an option is wrong.
    """
    options = options or PrepareOptions()
    options.require_sound()
    table, origin = chosen_rows(paths_and_urls(source), None, options)
    return Preview(origin.name, origin.format, table)


def paths_and_urls(source: Path | str | Sequence[Path | str]) -> list[Path | str]:
    """Names of datasets, with those that are no URLs as paths."""
    named = [source] if isinstance(source, str | Path) else source
    return [one if is_url(one) else Path(one) for one in named]


def chosen_rows(
    sources: Sequence[Path | str], out: Location | None, options: PrepareOptions
) -> tuple[LabelTable, Source]:
    """Read the rows with the chosen attributes; no picture is opened.

    Args:
        sources: the dataset folder or table, or its URL as a string; with `merge`, several prepared
            folders.
        out: the folder that will be written, which must not hold the pictures; None for none.
        options: the options.

    Raises:
        VAAError: the dataset or an option is wrong.
    """
    urls = [source for source in sources if isinstance(source, str)]
    if urls and (options.merge or len(sources) > 1):
        raise VAAError(f"{shown_url(urls[0])}: only one dataset is read from a URL, and not joined")
    if urls:
        table, origin = _read_url(urls[0], options)
    else:
        read = _merge if options.merge else _read
        table, origin = read([Path(source) for source in sources], options)
    table = choose_attributes(table, options.attributes)
    require_column_names(table)
    if isinstance(table.root, URLFolder) or isinstance(origin.folder, URLFolder):
        return table, origin  # where there are no links, and nothing of this machine
    if isinstance(out, Path):
        folders = set(map(dirname, table.row_images))
        require_apart(out, [table.root / name for name in folders])
    if not options.follow_links:
        require_inside(origin.folder, table.root, table.distinct_images.names)
    return table, origin


def _read_url(url: str, options: PrepareOptions) -> tuple[LabelTable, Source]:
    """The rows of a dataset at a URL, whose pictures are read from there when they are needed."""
    _LOGGER.info("reading the labels at %s …", shown_url(url))
    cache = FileCache.default(options.cache_dir, options.cache_size)
    with mirrored_labels(url) as mirror:

        def as_named(text: str) -> str:
            return text.replace(str(mirror.folder), mirror.url.rstrip("/"))

        try:
            table, source = _read([mirror.source], options, as_named)
        except VAAError as error:
            raise VAAError(as_named(str(error))) from error
        assert isinstance(table.root, Path)
        below = table.root.resolve().relative_to(mirror.folder.resolve()).as_posix()
    root = URLFolder(mirror.url if below == "." else f"{mirror.url}{below}", cache)
    return replace(table, root=root), replace(source, folder=root)


def _read(
    sources: Sequence[Path], options: PrepareOptions, as_named: Callable[[str], str] = str
) -> tuple[LabelTable, Source]:
    """The rows of a dataset on this machine; `as_named` makes paths in messages the user's."""
    if len(sources) != 1:
        raise VAAError(
            f"{len(sources)} folders given; one is prepared, unless `merge` joins several"
        )
    (path,) = sources
    if options.format == AUTO and (options.image_column or options.sheet):
        chosen = csv_folder.FORMAT  # the others have no such thing
    elif options.format == AUTO:
        detection = detect(path)
        chosen = detection.format
        _LOGGER.info(
            "reading %s as %s (%s): found %s; `format` chooses another",
            as_named(str(path)), chosen.name, chosen.title, as_named(str(detection.evidence)),
        )  # fmt: skip
    else:
        chosen = format_named(options.format)
    of_format = {"partition": options.partition, "label": options.label}
    if options.of_table != TableOptions() and chosen is not csv_folder.FORMAT:
        raise VAAError(
            "`image_column`, `ignore`, `sheet` and `empty` are for label tables, not for "
            f"{chosen.title}"
        )
    if chosen is csv_folder.FORMAT and set(of_format.values()) == {None}:
        table = csv_folder.read(path, options.of_table)
    else:
        table = chosen.read_with(path, **of_format)
    for note in table.notes:
        _LOGGER.info("note: %s", note)
    folder = dataset_folder(path)
    if path.is_dir() and not options.follow_links:
        require_labels_inside(folder)
    margin = options.box_margin or 0.0
    return table, Source(folder.resolve().name, chosen.name, folder, margin)


def _merge(sources: Sequence[Path], options: PrepareOptions) -> tuple[LabelTable, Source]:
    prepared = [read_prepared(folder) for folder in sources]
    _require_files(prepared)
    if not options.follow_links:
        for folder in prepared:
            for part in folder.splits.values():
                if isinstance(part.root, Path):
                    require_inside(part.root, part.root, part.distinct_images.names)
    table = merged_table(prepared)
    name = " + ".join(dict.fromkeys(folder.name for folder in prepared))
    return table, Source(name, "merged", table.root, merged_margin(prepared), checked=True)


def _require_files(prepared: Sequence[Prepared]) -> None:
    """Check that pictures are files, which can be joined.

    Raises:
        VAAError: a folder has them in shards.
    """
    for folder in prepared:
        if any(part.extents is not None for part in folder.splits.values()):
            raise VAAError(
                f"{folder.folder} has its pictures in shards, which are not joined; prepare it "
                "without `shards`, and pack what is joined"
            )
