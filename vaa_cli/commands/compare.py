"""`vaa compare`: runs side by side, with how sure the differences are."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaa_cli.commands.console import say, this_process, warn
from vaa_cli.commands.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    SeedOption,
    SplitChoice,
    WorkersOption,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.labelled_split import Computation, predict_split, read_split


class ComparisonFormat(str, Enum):
    """How the figures are given."""

    table = "table"
    csv = "csv"
    html = "html"


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_A RUN_B...",
            help="Run folders or model files; the others are compared with the first.",
            show_default=False,
        ),
    ],
    data: DataOption = None,
    split: Annotated[
        SplitChoice, typer.Option("--split", help="Which pictures are scored.")
    ] = SplitChoice.test,
    format: Annotated[
        ComparisonFormat,
        typer.Option("--format", help="csv has a row a figure and run; html is a page by itself."),
    ] = ComparisonFormat.table,
    samples: Annotated[
        int, typer.Option("--samples", min=100, help="Draws of pictures for the intervals.")
    ] = 1000,
    seed: SeedOption = 0,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Compare runs on the same pictures, so that noise is not read as progress.

    Each difference to the first run comes with the interval of a paired bootstrap over images.
    Attributes that not all runs have are left out.
    """
    from vaa_cli.core.evaluation.comparison import compare_runs, comparison_records
    from vaa_cli.core.evaluation.records import records_csv
    from vaa_cli.core.reports.comparison_report import comparison_page, comparison_tables
    from vaa_cli.core.runs.lookup import model_file

    group = this_process()
    if len(runs) < 2:
        raise VAAError("name two runs or more: vaa compare runs/a runs/b")
    files = [model_file(run) for run in runs]
    computation = Computation(engine, precision, device, batch_size, workers)
    splits = [read_split(file, data, split.value) for file in files]
    first = splits[0]
    for other in splits[1:]:
        if (
            other.table.row_images != first.table.row_images
            or other.folder.resolve() != first.folder.resolve()
        ):
            raise VAAError(
                f"{first.model} was trained on {first.folder} and {other.model} on {other.folder}; "
                "name the prepared folder that both are scored on with --data"
            )
    shared = [
        name
        for name in first.card.attributes
        if all(name in one.card.attributes for one in splits) and name not in first.unlabelled
    ]
    if not shared:
        raise VAAError("the runs have no attribute in common")
    left_out = sorted({name for one in splits for name in one.card.attributes} - {*shared})
    if left_out:
        warn(f"not in all runs, and left out: {', '.join(left_out)}")
    columns = [[one.card.attributes.index(name) for name in shared] for one in splits]
    predicted = [predict_split(one, computation, group) for one in splits]
    if not group.is_main:
        return
    compared = compare_runs(
        [
            (probabilities[:, own], [one.card.thresholds[c] for c in own])
            for probabilities, one, own in zip(predicted, splits, columns, strict=True)
        ],
        first.table.labels[:, columns[0]],
        shared,
        samples,
        seed,
    )
    names = [str(run) for run in runs]
    about = (
        f"{len(first.table):,} {split.value} pictures of {first.folder}, "
        f"{len(shared)} attributes, {samples:,} draws"
    )
    if format is ComparisonFormat.csv:
        sys.stdout.write(records_csv(comparison_records(compared, names)))
    elif format is ComparisonFormat.html:
        sys.stdout.write(comparison_page(compared, names, about))
    else:
        say(about)
        Console(highlight=False, emoji=False).print(comparison_tables(compared, names))
