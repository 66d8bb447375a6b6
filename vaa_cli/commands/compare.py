"""`vaa compare`: runs side by side, with intervals of their differences."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vaa_cli.commands.console import results_console, say, this_process, write_results
from vaa_cli.commands.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    SeedOption,
    SplitOption,
    WorkersOption,
    engine_options,
)

RunsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN_A RUN_B...",
        help="Run folders or model files, or folders with the runs of several seeds; the others "
        "are compared with the first.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Literal["table", "csv", "html"],
    typer.Option("--format", help="csv has a row a figure and run; html is a page by itself."),
]
SamplesOption = Annotated[
    int, typer.Option("--samples", min=100, help="Draws of pictures for the intervals.")
]


def compare(
    runs: RunsArgument,
    data: DataOption = None,
    split: SplitOption = "test",
    format: FormatOption = "table",
    samples: SamplesOption = 1000,
    seed: SeedOption = 0,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Compare runs on the same pictures, so that noise is not read as progress.

    Each difference to the first run comes with the interval of a paired bootstrap over images;
    where folders of several runs are compared, over runs, too. Attributes that not all runs have
    are left out.
    """
    from vaa_cli.core.evaluation.comparison import comparison_records
    from vaa_cli.core.evaluation.records import records_csv
    from vaa_cli.core.evaluation.run_comparison import compare_runs
    from vaa_cli.core.reports.comparison_report import comparison_page, comparison_tables

    group = this_process()
    options = engine_options(engine, precision, device, batch_size, workers)
    comparison = compare_runs(runs, data, split, samples, seed, options, group)
    if comparison is None:
        return
    compared, names = comparison.compared, comparison.names
    several = max(comparison.seeds) > 1
    of_runs = f", means of {' and '.join(map(str, comparison.seeds))} runs" if several else ""
    about = (
        f"{len(comparison.split.table):,} {split} pictures of {comparison.split.folder}, "
        f"{len(comparison.attributes)} attributes, {samples:,} draws{of_runs}"
    )
    if format == "csv":
        write_results(records_csv(comparison_records(compared, names)))
    elif format == "html":
        write_results(comparison_page(compared, names, about))
    else:
        say(about)
        results_console().print(comparison_tables(compared, names))
