"""`vaa prepare`: a dataset to label CSVs and attribute priors."""

from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, quote, say, stderr, warn
from vaa_cli.commands.options import PREPARED, SeedOption
from vaa_cli.core.errors import VAAError

# So many dropped pictures are named on the terminal; dataset.json has all of them.
_NAMED = 10


def prepare(
    dataset_dir: Annotated[
        Path,
        typer.Argument(
            help="Folder with pictures and a label CSV, or the CSV itself.", show_default=False
        ),
    ],
    out_dir: Annotated[Path, typer.Argument(help="Where the prepared folder goes.")] = PREPARED,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Stop at missing or broken pictures; do not drop them."),
    ] = False,
    val_share: Annotated[
        float | None,
        typer.Option(
            "--val-share",
            min=0.01,
            max=0.9,
            help="Cut this share of train off as val, where the split column has no val.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = 0,
) -> None:
    """Check a dataset; write its label CSVs and attribute priors.

    The CSV has a column with the pictures' paths (image, file, filename or path), perhaps one
    named split and box columns (left, top, width, height); all others are attributes with cells
    1/0, true/false, yes/no, or empty for unspecified. Without a split column, pictures are split
    70/10/20 so that each part has its share of every attribute.
    """
    from vaa_cli.core.datasets import csv as csv_format
    from vaa_cli.core.files import require_replaceable
    from vaa_cli.core.images import check_pictures
    from vaa_cli.core.labels import SPLITS
    from vaa_cli.core.prepared import CONTENTS, Dropped, write_prepared
    from vaa_cli.core.report import priors_table
    from vaa_cli.core.splits import assign_splits

    require_replaceable(out_dir, CONTENTS)
    table = csv_format.read(dataset_dir)

    rows = range(len(table))
    with progress(
        TextColumn("checking pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    ) as bar:
        checks = check_pictures([table.path(i) for i in rows], [table.box(i) for i in rows])
        problems = list(bar.track(checks, total=len(table)))
    dropped = [
        Dropped(image, problem)
        for image, problem in zip(table.images, problems, strict=True)
        if problem is not None
    ]
    for drop in dropped[:_NAMED]:
        warn(f"{drop.image}: {drop.reason}")
    if len(dropped) > _NAMED:
        warn(f"… and {len(dropped) - _NAMED} more")
    if dropped and strict:
        raise VAAError(
            f"{len(dropped)} of {len(table)} pictures cannot be used, such as {dropped[0].image}: "
            f"{dropped[0].reason}; mend them, or leave out --strict to drop them"
        )
    if len(dropped) == len(table):
        raise VAAError(f"{dataset_dir}: none of the {len(table)} pictures can be used")
    table = table.select(list(compress(rows, (problem is None for problem in problems))))
    table = replace(table, splits=assign_splits(table, seed, val_share))

    parts = {split: table.split(split) for split in SPLITS}
    name = (dataset_dir.parent if dataset_dir.is_file() else dataset_dir).resolve().name
    priors = write_prepared(out_dir, table, name, "csv", dropped)

    sizes = ", ".join(f"{split} {len(part):,}" for split, part in parts.items())
    say(f"{name}: {sizes}")
    stderr.print(priors_table(priors, parts))
    if dropped:
        say(f"{len(dropped)} of {len(problems)} pictures dropped; {out_dir}/dataset.json says why")
    for split in SPLITS[1:]:
        if not len(parts[split]):
            hint = "; vaa train needs one: --val-share 0.1 cuts it from train"
            warn(f"there are no {split} pictures{hint if split == 'val' else ''}")
    constant = list(compress(priors.attributes, priors.constant))
    if constant:
        warn(f"constant in train, so that nothing about them can be learnt: {', '.join(constant)}")
    where = "" if out_dir == PREPARED else f" --data {quote(out_dir)}"
    say(f"wrote {out_dir}; next: vaa train{where} --backbone densenet")
