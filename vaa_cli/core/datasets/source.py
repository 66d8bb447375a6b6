"""The rows of a dataset, or of prepared folders that are joined, before a picture is opened."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import dirname
from pathlib import Path

from vaa_cli.core.datasets.formats import csv_folder
from vaa_cli.core.datasets.formats.base import dataset_folder
from vaa_cli.core.datasets.formats.registry import detect, format_named
from vaa_cli.core.datasets.merge import merged_margin, merged_table
from vaa_cli.core.datasets.options import AUTO, PrepareOptions
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.datasets.safe_paths import require_inside, require_labels_inside
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import choose_attributes
from vaa_cli.core.labels.label_file import require_column_names
from vaa_cli.core.labels.label_header import TableOptions
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.folders import require_apart

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """The origin of the rows.

    Attributes:
        name: name of the dataset.
        format: name of its format.
        folder: the dataset folder, which no picture may leave.
        box_margin: context around boxes.
        checked: whether the pictures were checked before.
    """

    name: str
    format: str
    folder: Path
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
    sources = [Path(source)] if isinstance(source, str | Path) else [Path(one) for one in source]
    options.require_sound()
    table, origin = chosen_rows(sources, None, options)
    return Preview(origin.name, origin.format, table)


def chosen_rows(
    sources: Sequence[Path], out: Path | None, options: PrepareOptions
) -> tuple[LabelTable, Source]:
    """Read the rows with the chosen attributes; no picture is opened.

    Args:
        sources: the dataset folder or table; with `merge`, several prepared folders.
        out: the folder that will be written, which must not hold the pictures; None for none.
        options: the options.

    Raises:
        VAAError: the dataset or an option is wrong.
    """
    read = _merge if options.merge else _read
    table, origin = read(sources, options)
    table = choose_attributes(table, options.attributes)
    require_column_names(table)
    if out is not None:
        require_apart(out, [table.root / name for name in set(map(dirname, table.row_images))])
    if not options.follow_links:
        require_inside(origin.folder, table.root, table.distinct_images.names)
    return table, origin


def _read(sources: Sequence[Path], options: PrepareOptions) -> tuple[LabelTable, Source]:
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
            path, chosen.name, chosen.title, detection.evidence,
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
    if not options.follow_links:
        for folder in prepared:
            for part in folder.splits.values():
                require_inside(part.root, part.root, part.distinct_images.names)
    table = merged_table(prepared)
    name = " + ".join(dict.fromkeys(folder.name for folder in prepared))
    return table, Source(name, "merged", table.root, merged_margin(prepared), checked=True)
