"""`vaa evaluate`: the figures of a run, attribute by attribute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaa_cli.commands.console import results_console, say, this_process, warn, write_results
from vaa_cli.commands.evaluate_mistakes import (
    mistakes_file,
    write_cross_fitted,
    write_mistakes,
)
from vaa_cli.commands.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    RunOption,
    SplitOption,
    WorkersOption,
    engine_options,
)
from vaa_cli.core.errors import printable

if TYPE_CHECKING:
    from vaa_cli.core.evaluation.evaluation import Evaluation

FormatOption = Annotated[
    Literal["table", "csv", "json"],
    typer.Option("--format", help="csv has a row an attribute; json has these and the totals."),
]
BoxesOption = Annotated[
    Path | None,
    typer.Option(
        "--boxes",
        help="Score attention maps, too: a CSV of regions with columns image, attribute, left, "
        "top, width, height.",
        show_default=False,
    ),
]
MasksOption = Annotated[
    Path | None,
    typer.Option(
        "--masks",
        help="Likewise, by masks: a folder of PNGs called as the pictures are, whose numbers "
        "a mask_values.csv (value, name) in or above it names.",
        show_default=False,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        help="Folder for a web page (index.html: mistakes and their pictures, intervals, "
        "curves) and a list of all mistakes (mistakes.csv).",
        show_default=False,
    ),
]

MistakesOption = Annotated[
    Path | None,
    typer.Option(
        "--mistakes",
        metavar="FILE.csv",
        help="List the labels that the model contradicts, the surest first: wrong labels are "
        "among them.",
        show_default=False,
    ),
]
FoldsOption = Annotated[
    int | None,
    typer.Option(
        "--folds",
        min=2,
        metavar="K",
        help="For --mistakes: train K models as the run was, each without a K-th of all pictures, "
        "which it then predicts. They are kept in RUN/folds-K.",
        show_default=False,
    ),
]


def evaluate(
    data: DataOption = None,
    run: RunOption = None,
    split: SplitOption = "test",
    format: FormatOption = "table",
    boxes: BoxesOption = None,
    masks: MasksOption = None,
    report: ReportOption = None,
    mistakes: MistakesOption = None,
    folds: FoldsOption = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Score a run: mA, recalls, precision, F1 and AP of each attribute, and the totals.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli evaluate …
    """
    from vaa_cli.core.evaluation.evaluation import evaluate as evaluate_run
    from vaa_cli.core.reports.evaluation_report import CONTENTS, MISTAKES, REPORT, write_report
    from vaa_cli.core.system.folders import require_replaceable

    group = this_process()
    if report is not None:
        require_replaceable(report, CONTENTS)
    mistakes = mistakes_file(mistakes, folds, group)
    options = engine_options(engine, precision, device, batch_size, workers)
    evaluation = evaluate_run(
        run, data, split, boxes=boxes, masks=masks, attention=report is not None,
        options=options, group=group,
    )  # fmt: skip
    if evaluation is None:
        return
    if evaluation.calibration and split == "val":
        warn("the thresholds were fitted on val, so on val they look better than they are")
    _print(evaluation, format)
    if report is not None:
        write_report(report, evaluation)
        say(f"wrote {report / REPORT} and {report / MISTAKES}")
    if mistakes is not None and folds is None:
        write_mistakes(mistakes, evaluation)
    elif mistakes is not None and folds is not None:
        write_cross_fitted(mistakes, evaluation, folds, options)
    if evaluation.unscored:
        warn(
            f"cannot be scored on {split}, without a positive or without a negative, and "
            f"are left out of mA, mAP and the macro means: {', '.join(evaluation.unscored)}"
        )


def _print(evaluation: "Evaluation", format: str) -> None:
    """Print the figures on stdout."""
    from vaa_cli.core.evaluation.calibration import calibration_error
    from vaa_cli.core.evaluation.records import evaluation_json, records_csv
    from vaa_cli.core.reports.calibration_tables import totals_table
    from vaa_cli.core.reports.evaluation_tables import evaluation_tables
    from vaa_cli.core.reports.group_tables import group_tables
    from vaa_cli.core.reports.pointing_tables import pointing_tables

    split, scores = evaluation.split, evaluation.scores
    if format == "csv":
        write_results(records_csv(evaluation.records))
        return
    if format == "json":
        about = {
            "model": str(split.model),
            "data": str(split.folder),
            "split": split.name,
            "images": len(split.table),
            "calibration_error": calibration_error(evaluation.probabilities, split.table.labels),
            "calibration": evaluation.calibration,
            "groups": [
                {**group.record, "words": group.words, "confusion": group.confusion.tolist()}
                for group in evaluation.groups
            ],
        }
        write_results(evaluation_json(about, scores, evaluation.records, evaluation.rarity) + "\n")
        return
    console, attributes = results_console(), split.card.attributes
    heading = f"{split.model}: {len(split.table):,} {split.name} pictures of {split.folder}"
    console.print(printable(heading), markup=False)
    console.print(
        evaluation_tables(attributes, split.card.priors, scores, evaluation.scores_at_half)
    )
    if evaluation.calibration:
        console.print(totals_table(evaluation.calibration))
    if evaluation.groups:
        console.print(group_tables(evaluation.groups))
    if evaluation.pointing is not None:
        console.print(pointing_tables(attributes, evaluation.pointing))
