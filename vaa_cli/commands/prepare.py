"""`vaa prepare`: a dataset to label CSVs and attribute priors."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaa_cli.commands.console import quote, say, show_table, track, warn
from vaa_cli.commands.options import PREPARED, CacheDirOption, CacheSizeOption, SeedOption
from vaa_cli.commands.prepare_preview import show_preview
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.byte_sizes import DEFAULT_CACHE_SIZE

if TYPE_CHECKING:
    from vaa_cli.core.datasets.pipeline import PreparedResult
    from vaa_cli.core.labels.table import LabelTable

PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="DATASET_DIR [OUT_DIR]",
        help="The dataset folder, or a label CSV, or a URL of one; and the prepared folder to "
        "write, or its URL (default: prepared). With --merge: prepared folders, and the joined "
        "one to write.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        help="csv, wider, peta, pa100k, rap, rap2, market1501, duke, celeba, ccp, "
        "par, cvat, coco, labelstudio, roboflow, imagefolder, fiftyone, mmpretrain, paddle, "
        "folders; or auto: detected by the files in the folder.",
    ),
]
PartitionOption = Annotated[
    int | None,
    typer.Option(
        "--partition",
        min=0,
        help="Partition of a dataset that has several (PETA, RAP). Default: 0.",
        show_default=False,
    ),
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="NAME",
        help="Label of the boxes that are people, in CVAT, COCO and Label Studio exports. "
        "Default: person, or the only one.",
        show_default=False,
    ),
]
AttributesOption = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        help="Attributes to keep: names with commas between them, or a YAML or JSON file with "
        "a list of names or a mapping of new names to old ones; or all. "
        "Default: those that the dataset's benchmark scores.",
        show_default=False,
    ),
]
MergeOption = Annotated[
    bool, typer.Option("--merge", help="Join prepared folders by the names of their attributes.")
]
BoxMarginOption = Annotated[
    float | None,
    typer.Option(
        "--box-margin",
        min=0.0,
        max=10.0,
        help="Context on each side of a box, as a fraction of its width and height. Default: 0.",
        show_default=False,
    ),
]
CropsOption = Annotated[
    bool,
    typer.Option(
        "--crops",
        help="Cut the people out into small files, so that training reads little. "
        "A run that was stopped goes on where it was.",
    ),
]
ShortSideOption = Annotated[
    int | None,
    typer.Option(
        "--short-side",
        min=32,
        help="Pixels that the shorter side of larger crops is scaled down to. Default: 256.",
        show_default=False,
    ),
]
ShardsOption = Annotated[
    bool,
    typer.Option(
        "--shards",
        help="Pack the pictures into tar files of many, which training reads in order: for "
        "datasets of millions, network disks and object stores. With --crops: pack those.",
    ),
]
ShardSizeOption = Annotated[
    str | None,
    typer.Option(
        "--shard-size", metavar="SIZE", help="Size of a shard. Default: 64MB.", show_default=False
    ),
]
CheckOption = Annotated[
    Literal["quick", "full"] | None,
    typer.Option(
        "--check",
        help="quick: each picture has a right header and ends as it should. full: each is "
        "decoded. Default: quick; none with --merge, of pictures that were checked before.",
        show_default=False,
    ),
]
NoCheckOption = Annotated[
    bool, typer.Option("--no-check", help="Open no picture: all are taken to be there.")
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Stop at rows that cannot be used; do not drop them.")
]
FollowLinksOption = Annotated[
    bool, typer.Option("--follow-links", help="Allow links that lead out of the dataset folder.")
]
ValShareOption = Annotated[
    float | None,
    typer.Option(
        "--val-share",
        min=0.0,
        max=0.9,
        help="Share of train that becomes val where the dataset has no val. Default: 0.1.",
        show_default=False,
    ),
]
StatisticsOption = Annotated[
    bool,
    typer.Option(
        "--stats",
        help="Show imbalance and co-occurrence of the attributes in train; draw them too.",
    ),
]
ResplitOption = Annotated[
    bool,
    typer.Option(
        "--resplit",
        help="Split anew. Else pictures stay in the splits that they have in the folder that is "
        "written, and new ones go where a hash of their name puts them.",
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace a folder that was prepared from another dataset.")
]
ImageColumnOption = Annotated[
    str | None,
    typer.Option(
        "--image-column",
        metavar="NAME",
        help="Column of a label CSV with the pictures' paths, where it has no usual name.",
        show_default=False,
    ),
]
IgnoreOption = Annotated[
    str | None,
    typer.Option(
        "--ignore",
        metavar="NAME,NAME,...",
        help="Columns of a label CSV that are no attributes, such as note,id.",
        show_default=False,
    ),
]
SheetOption = Annotated[
    str | None,
    typer.Option(
        "--sheet",
        metavar="NAME",
        help="Sheet of an .xlsx workbook. Default: the first.",
        show_default=False,
    ),
]
EmptyOption = Annotated[
    Literal["unspecified", "absent"],
    typer.Option("--empty", help="What an empty cell of a label table means."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be read; open no picture, write nothing.")
]
# Seconds of a training from which on another backbone is suggested.
_LONG = 3600.0
# Positives of an attribute in a part below which it is named, and the number of names.
_FEW, _NAMED = 5, 10


def prepare(
    paths: PathsArgument,
    format: FormatOption = "auto",
    partition: PartitionOption = None,
    attributes: AttributesOption = None,
    merge: MergeOption = False,
    box_margin: BoxMarginOption = None,
    crops: CropsOption = False,
    short_side: ShortSideOption = None,
    shards: ShardsOption = False,
    shard_size: ShardSizeOption = None,
    check: CheckOption = None,
    no_check: NoCheckOption = False,
    strict: StrictOption = False,
    follow_links: FollowLinksOption = False,
    val_share: ValShareOption = None,
    stats: StatisticsOption = False,
    seed: SeedOption = 0,
    resplit: ResplitOption = False,
    force: ForceOption = False,
    image_column: ImageColumnOption = None,
    ignore: IgnoreOption = None,
    sheet: SheetOption = None,
    empty: EmptyOption = "unspecified",
    label: LabelOption = None,
    dry_run: DryRunOption = False,
    cache_dir: CacheDirOption = None,
    cache_size: CacheSizeOption = DEFAULT_CACHE_SIZE,
) -> None:
    """Check a dataset; write its label CSVs and attribute priors.

    Reads WIDER-Attribute, PETA, PA-100K, RAP, Market-1501, DukeMTMC, CelebA, Clothing Co-Parsing,
    UPAR and MSP60K as published; exports of CVAT, Label Studio, COCO, Roboflow, Hugging Face,
    FiftyOne, MMPretrain and PaddleClas; a folder a class; and any CSV or .xlsx that has a column
    with the pictures' paths (such as image, file or path), perhaps split, identity and box columns
    (left, top, width, height); all others are attributes: yes or no, or words that exclude each
    other. Without a split, rows are split 70/10/20 by a hash of the picture's name, so that they
    stay where they are when rows are added; a person stays in one part where there is an identity.
    """
    from vaa_cli.core.datasets.options import PrepareOptions
    from vaa_cli.core.datasets.pipeline import prepare as prepare_dataset
    from vaa_cli.core.datasets.source import preview
    from vaa_cli.core.reports.matplotlib_setup import require_matplotlib
    from vaa_cli.core.reports.statistics_figure import statistics_figure

    sources, out = _sources_and_target(paths, merge)
    if stats:
        require_matplotlib()
    options = PrepareOptions(
        format, partition, attributes, merge, box_margin, crops, short_side,
        _check(check, no_check), strict, follow_links, val_share, stats, seed, resplit, force,
        image_column, tuple(name.strip() for name in ignore.split(",")) if ignore else (), sheet,
        empty, label, shards, shard_size, cache_dir, cache_size,
    )  # fmt: skip
    if dry_run:
        show_preview(preview(sources, options))
        return
    result = prepare_dataset(sources, out, options, draw=statistics_figure, track=track)
    _print_result(result)


def _check(
    check: Literal["quick", "full"] | None, no_check: bool
) -> Literal["quick", "full", "none"] | None:
    """How pictures are checked."""
    if no_check and check is not None:
        raise VAAError("--check and --no-check contradict each other; leave out one of them")
    return "none" if no_check else check


def _sources_and_target(paths: Sequence[str], merge: bool) -> tuple[Sequence[str], Path | str]:
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


def _print_result(result: "PreparedResult") -> None:
    """Print the sizes of the splits, the spread of the labels, warnings and the next command."""
    from vaa_cli.core.labels.table import SPLITS
    from vaa_cli.core.reports.statistics_tables import priors_table, statistics_tables

    parts = {split: result.table.split(split) for split in SPLITS}
    sizes = ", ".join(f"{split} {len(part):,}" for split, part in parts.items())
    say(f"{result.name}: {sizes}")
    if result.statistics is not None:
        show_table(statistics_tables(result.statistics))
    else:
        show_table(priors_table(result.priors, parts))
    constant = list(compress(result.priors.attributes, result.priors.constant))
    if constant:
        warn(f"constant in train, so that they cannot be learned: {', '.join(constant)}")
    _warn_of_rare(result.table)
    for split in SPLITS[1:]:
        if not len(parts[split]):
            needed = "; vaa train needs one" if split == "val" else ""
            hint = (
                ": --val-share 0.1 cuts it from train" if needed and result.has_own_splits else ""
            )
            warn(f"there are no {split} pictures{needed}{hint}")
    out = result.folder
    if result.dropped:
        dropped = f"{len(result.dropped):,} of {result.rows:,} rows dropped"
        say(f"{dropped}; the reasons are in {out}/dataset.json")
    if result.staging is not None:
        say(
            f"crops of a run that was stopped are in {result.staging}; --crops goes on with them, "
            "or remove them"
        )
    where = "" if out == PREPARED else f" --data {quote(out)}"
    say(f"wrote {out}; next: vaa train{where}{_expectation(len(parts['train']))}")


def _warn_of_rare(table: "LabelTable") -> None:
    """Name the attributes that a part has few positives of, with their numbers."""
    from vaa_cli.core.labels.splits import positives_of_parts
    from vaa_cli.core.labels.table import SPLITS

    counts = positives_of_parts(table)
    there = [number for number, part in enumerate(SPLITS) if len(table.split(part))]
    few = [c for c in range(len(table.attributes)) if (counts[there, c] < _FEW).any()]
    if not few:
        return
    named = [
        f"{table.attributes[c]} ({', '.join(f'{SPLITS[p]} {counts[p, c]}' for p in there)})"
        for c in few[:_NAMED]
    ]
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    warn(
        f"fewer than {_FEW} positives in a part, on which its figures say little: "
        f"{', '.join(named)}{more}"
    )


def _expectation(pictures: int) -> str:
    """A clause on the default training: its backbone, and how long it takes here."""
    from vaa_cli.core.training.duration import duration_text, training_seconds
    from vaa_cli.core.training.options import TrainingOptions

    options = TrainingOptions()
    recipe = options.resolved()
    epochs = recipe.epochs
    seconds = training_seconds(pictures, epochs, recipe.image_size)
    about = f" ({options.backbone}, {epochs} epochs"
    if seconds is None:
        return f"{about})"
    smaller = "; --backbone resnet18 is quicker" if seconds > _LONG else ""
    return f"{about}: up to about {duration_text(seconds)} on this processor{smaller})"
