"""`vaa prepare`: a dataset to label CSVs and attribute priors."""

from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from itertools import compress
from os.path import dirname
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, quote, say, stderr, warn
from vaa_cli.commands.options import PREPARED, SeedOption
from vaa_cli.core.datasets.pipeline import _Source
from vaa_cli.core.errors import VAAError

if TYPE_CHECKING:
    from vaa_cli.core.datasets.cleaning import Dropped
    from vaa_cli.core.datasets.crops import CropOptions
    from vaa_cli.core.labels.priors import Priors
    from vaa_cli.core.labels.table import LabelTable

AUTO = "auto"
# So many dropped rows are named on the terminal; dataset.json has all of them.
_NAMED = 10


class Check(str, Enum):
    """How closely each picture is looked at."""

    QUICK = "quick"
    FULL = "full"


def prepare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET_DIR [OUT_DIR]",
            help="The dataset folder, or a label CSV; and where the prepared folder goes "
            "(default: prepared). With --merge: prepared folders, and where the joined one goes.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, wider, peta, pa100k, rap, rap2, market1501, duke, celeba, ccp; or auto: "
            "told by the files in the folder.",
        ),
    ] = AUTO,
    partition: Annotated[
        int | None,
        typer.Option(
            "--partition",
            min=0,
            help="Which of the dataset's partitions, where it has several (PETA, RAP). Default: 0.",
            show_default=False,
        ),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(
            "--attributes",
            help="Attributes to keep: names with commas between them, or a YAML or JSON file with "
            "a list of names or a mapping of new names to old ones; or all. "
            "Default: those that the dataset's benchmark scores.",
            show_default=False,
        ),
    ] = None,
    merge: Annotated[
        bool,
        typer.Option("--merge", help="Join prepared folders by the names of their attributes."),
    ] = False,
    box_margin: Annotated[
        float | None,
        typer.Option(
            "--box-margin",
            min=0.0,
            max=10.0,
            help="Context on each side of a box, as a share of its width and height. Default: 0.",
            show_default=False,
        ),
    ] = None,
    crops: Annotated[
        bool,
        typer.Option(
            "--crops",
            help="Cut the people out into small files, so that training reads little. "
            "A run that was stopped goes on where it was.",
        ),
    ] = False,
    short_side: Annotated[
        int | None,
        typer.Option(
            "--short-side",
            min=32,
            help="Pixels that the shorter side of larger crops is scaled down to. Default: 256.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        Check | None,
        typer.Option(
            "--check",
            help="quick: each picture has a right header and ends as it should. full: each is "
            "decoded. Default: quick; none with --merge, of pictures that were looked at before.",
            show_default=False,
        ),
    ] = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Open no picture: all are taken to be there.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at rows that cannot be used; do not drop them."),
    ] = False,
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Allow links that lead out of the dataset folder."),
    ] = False,
    val_share: Annotated[
        float | None,
        typer.Option(
            "--val-share",
            min=0.0,
            max=0.9,
            help="Share of train that becomes val where the dataset has no val. Default: 0.1.",
            show_default=False,
        ),
    ] = None,
    stats: Annotated[
        bool,
        typer.Option(
            "--stats",
            help="Show imbalance and co-occurrence of the attributes in train; draw them too.",
        ),
    ] = False,
    seed: SeedOption = 0,
) -> None:
    """Check a dataset; write its label CSVs and attribute priors.

    Reads WIDER-Attribute, PETA, PA-100K, RAP, Market-1501, DukeMTMC, CelebA and Clothing
    Co-Parsing as published, and any CSV that has a column with the pictures' paths (image, file,
    filename or path), perhaps one named split and box columns (left, top, width, height); all
    others are attributes with cells 1/0, true/false, yes/no, or empty for unspecified. Without a
    split, rows are split 70/10/20 so that each part has its share of every attribute; pictures
    of one person stay together where the dataset tells people apart.
    """
    from vaa_cli.core.datasets.crops import SHORT_SIDE, CropOptions, staging_folder
    from vaa_cli.core.datasets.prepared import Origin, require_writable, write_prepared
    from vaa_cli.core.datasets.safe_paths import require_inside
    from vaa_cli.core.labels.attributes import choose_attributes
    from vaa_cli.core.labels.label_csv import require_column_names
    from vaa_cli.core.labels.splits import require_train
    from vaa_cli.core.labels.statistics import LabelStatistics
    from vaa_cli.core.reports.matplotlib_setup import require_matplotlib
    from vaa_cli.core.reports.statistics_figure import statistics_picture
    from vaa_cli.core.reports.statistics_tables import statistics_tables
    from vaa_cli.core.system.files import require_apart
    from vaa_cli.core.system.processes import start_early

    folders, out_dir = _places(paths, merge)
    if no_check and check is not None:
        raise VAAError("--check and --no-check contradict each other; leave out one of them")
    if short_side is not None and not crops:
        raise VAAError("--short-side is the size of crops; add --crops, or leave it out")
    require_writable(out_dir)
    require_apart(out_dir, folders)
    if stats:
        require_matplotlib()
    if not no_check or crops:
        start_early(["vaa_cli.app", "vaa_cli.core.images.check", "vaa_cli.core.datasets.crops"])
    if merge:
        table, source = _merged(folders, format, partition, box_margin)
    else:
        table, source = _read(folders[0], format, partition, box_margin or 0.0)
    table = choose_attributes(table, attributes)
    require_column_names(table)
    require_apart(out_dir, [table.root / name for name in set(map(dirname, table.row_images))])
    if not follow_links and not source.checked:
        require_inside(source.folder, table.root, table.distinct_images.names)
    rows = len(table)
    chosen_check = None if no_check else check or (None if source.checked else Check.QUICK)
    table, dropped = _usable(table, chosen_check, strict)

    has_splits = table.splits is not None
    # Prepared folders keep no identities: to cut val from them might part the rows of a person.
    table = _with_splits(table, seed, 0.0 if merge and val_share is None else val_share)
    staged = None
    if crops:
        options = CropOptions(source.box_margin, short_side or SHORT_SIDE)
        table, staged, not_cropped = _cropped(table, out_dir, options, strict)
        dropped += not_cropped
        require_train(table)
    statistics = LabelStatistics.of(table.split("train")) if stats else None
    picture = statistics_picture(statistics, source.name) if statistics else None
    origin = Origin(source.name, source.format, dropped, source.box_margin)
    priors = write_prepared(out_dir, table, origin, staged, picture)

    tables = statistics_tables(statistics) if statistics else None
    _report(table, source.name, priors, tables, has_splits)
    if dropped:
        say(f"{len(dropped):,} of {rows:,} rows dropped; {out_dir}/dataset.json says why")
    if staging_folder(out_dir).exists():
        say(
            f"crops of a run that was stopped are in {staging_folder(out_dir)}; --crops goes on "
            "with them, or remove them"
        )
    where = "" if out_dir == PREPARED else f" --data {quote(out_dir)}"
    say(f"wrote {out_dir}; next: vaa train{where} --backbone densenet")


def _places(paths: Sequence[Path], merge: bool) -> tuple[Sequence[Path], Path]:
    """The folders to read, and the one to write."""
    if merge:
        if len(paths) < 3:
            raise VAAError(
                "--merge joins two prepared folders or more; write vaa prepare A B OUT_DIR --merge"
            )
        return paths[:-1], paths[-1]
    if len(paths) > 2:
        raise VAAError(
            f"{len(paths)} folders given; vaa prepare reads one (DATASET_DIR [OUT_DIR]), unless "
            "--merge joins prepared ones"
        )
    return paths[:1], paths[1] if len(paths) == 2 else PREPARED


def _read(
    path: Path, format: str, partition: int | None, box_margin: float
) -> tuple["LabelTable", _Source]:
    from vaa_cli.core.datasets.formats.registry import detect, format_named

    if format == AUTO:
        found = detect(path)
        chosen = found.format
        say(
            f"reading {path} as {chosen.name} ({chosen.title}): found {found.evidence}; --format "
            "chooses another"
        )
    else:
        chosen = format_named(format)
    if partition is None:
        table = chosen.read(path)
    elif chosen.read_partition is None:
        raise VAAError(f"--partition {partition}: {chosen.title} has one partition only")
    else:
        table = chosen.read_partition(path, partition)
    for note in table.notes:
        say(f"note: {note}")
    folder = path.parent if path.is_file() else path
    return table, _Source(folder.resolve().name, chosen.name, folder, box_margin)


def _merged(
    folders: Sequence[Path],
    format: str,
    partition: int | None,
    box_margin: float | None,
) -> tuple["LabelTable", _Source]:
    from vaa_cli.core.datasets.merge import merged_margin, merged_table
    from vaa_cli.core.datasets.prepared import read_prepared

    if format != AUTO or partition is not None or box_margin is not None:
        raise VAAError(
            "--format, --partition and --box-margin are for datasets; --merge joins prepared "
            "folders, which have them already"
        )
    prepared = [read_prepared(folder) for folder in folders]
    table = merged_table(prepared)
    name = " + ".join(dict.fromkeys(folder.name for folder in prepared))
    source = _Source(name, "merged", table.root, merged_margin(prepared), checked=True)
    return table, source


def _usable(
    table: "LabelTable", check: Check | None, strict: bool
) -> tuple["LabelTable", list["Dropped"]]:
    """Look at the pictures, and leave out the rows that cannot be used; says which."""
    from vaa_cli.core.datasets.cleaning import usable_rows
    from vaa_cli.core.images.check import check_pictures

    names = table.distinct_images.names
    checked = None
    if check is not None:
        paths = (str(table.root / name) for name in names)
        with _bar("checking pictures") as bar:
            looks = check_pictures(paths, decode=check is Check.FULL)
            checked = list(bar.track(looks, total=len(names)))
    usable, dropped = usable_rows(table, checked)
    _tell_dropped(dropped, len(table), strict)
    return usable, dropped


def _with_splits(table: "LabelTable", seed: int, val_share: float | None) -> "LabelTable":
    """The table with a split for each row; says what may surprise."""
    from vaa_cli.core.labels.splits import assign_splits, pictures_in_two_splits

    splits = assign_splits(table, seed, val_share)
    if table.splits is not None and (splits != table.splits).any():
        say(f"no val split in the dataset: {(splits != table.splits).sum():,} rows cut from train")
    table = replace(table, splits=splits)
    parted = pictures_in_two_splits(table)
    if parted:
        warn(f"{len(parted):,} pictures are in more than one split, such as {parted[0]}")
    return table


def _cropped(
    table: "LabelTable", out_dir: Path, options: "CropOptions", strict: bool
) -> tuple["LabelTable", Path, list["Dropped"]]:
    """Cut out each row's crop; says which could not be."""
    from vaa_cli.core.datasets.crops import crop_names, cropped, staging_folder, write_crops
    from vaa_cli.core.datasets.prepared import CROPS

    staging = staging_folder(out_dir)
    names = crop_names(table, options)
    try:
        with _bar("cutting people out") as bar:
            done = write_crops(table, names, staging, out_dir / CROPS, options)
            problems = list(bar.track(done, total=len(table.distinct_images.names)))
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on with the crops in {staging}")
        raise
    crops, dropped = cropped(table, names, problems)
    _tell_dropped(dropped, len(table), strict)
    return crops, staging, dropped


def _bar(doing: str) -> Progress:
    return progress(TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


def _tell_dropped(dropped: Sequence["Dropped"], rows: int, strict: bool) -> None:
    for drop in dropped[:_NAMED]:
        warn(f"{drop.image}: {drop.reason}")
    if len(dropped) > _NAMED:
        warn(f"… and {len(dropped) - _NAMED:,} more")
    if not dropped:
        return
    first = f"such as {dropped[0].image}: {dropped[0].reason}"
    if strict:
        raise VAAError(
            f"{len(dropped):,} of {rows:,} rows cannot be used, {first}; mend them, or leave out "
            "--strict to drop them"
        )
    if len(dropped) == rows:
        raise VAAError(f"none of the {rows:,} rows can be used, {first}")


def _report(
    table: "LabelTable",
    name: str,
    priors: "Priors",
    statistics: RenderableType | None,
    has_splits: bool,
) -> None:
    """Say how large the splits are, how the labels are spread, and what may surprise.

    `has_splits` tells whether the dataset has its own, from which val can be cut.
    """
    from vaa_cli.core.labels.table import SPLITS
    from vaa_cli.core.reports.statistics_tables import priors_table

    parts = {split: table.split(split) for split in SPLITS}
    sizes = ", ".join(f"{split} {len(part):,}" for split, part in parts.items())
    say(f"{name}: {sizes}")
    stderr.print(priors_table(priors, parts) if statistics is None else statistics)
    constant = list(compress(priors.attributes, priors.constant))
    if constant:
        warn(f"constant in train, so that nothing about them can be learnt: {', '.join(constant)}")
    for split in SPLITS[1:]:
        if not len(parts[split]):
            needed = "; vaa train needs one" if split == "val" else ""
            hint = ": --val-share 0.1 cuts it from train" if needed and has_splits else ""
            warn(f"there are no {split} pictures{needed}{hint}")
