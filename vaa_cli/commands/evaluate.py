"""`vaa evaluate`: how good a run is, attribute by attribute."""

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
    RunOption,
    SplitChoice,
    WorkersOption,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.labelled_split import (
    Computation,
    attention_reader,
    predict_split,
    read_split,
)
from vaa_cli.core.evaluation.localisation import read_regions, score_attention
from vaa_cli.core.reports.evaluation_report import REPORT, write_report


class EvaluationFormat(str, Enum):
    """How the figures are given."""

    table = "table"
    csv = "csv"
    json = "json"


def evaluate(
    data: DataOption = None,
    run: RunOption = None,
    split: Annotated[
        SplitChoice, typer.Option("--split", help="Which pictures are scored.")
    ] = SplitChoice.test,
    format: Annotated[
        EvaluationFormat,
        typer.Option("--format", help="csv has a row an attribute; json has these and the totals."),
    ] = EvaluationFormat.table,
    boxes: Annotated[
        Path | None,
        typer.Option(
            "--boxes",
            help="Score where the model looks, too: a CSV with columns image, attribute, left, "
            "top, width, height.",
            show_default=False,
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            "--masks",
            help="Likewise, by masks: a folder of PNGs called as the pictures are, whose numbers "
            "a mask_values.csv (value, name) in or above it names.",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Folder for a web page (index.html): intervals, curves, mistakes, pictures.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Score a run: mA, recalls, precision, F1 and AP of each attribute, and the totals.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli evaluate …
    """
    from vaa_cli.core.evaluation.calibration import calibration_error, calibration_totals
    from vaa_cli.core.evaluation.metrics import score
    from vaa_cli.core.evaluation.pointing_game import pointing_records
    from vaa_cli.core.evaluation.records import evaluation_csv, evaluation_json, unscored
    from vaa_cli.core.reports.calibration_tables import totals_table
    from vaa_cli.core.reports.evaluation_tables import evaluation_tables
    from vaa_cli.core.reports.pointing_tables import pointing_tables
    from vaa_cli.core.runs.lookup import model_file
    from vaa_cli.core.system.files import require_replaceable

    group = this_process()
    path = model_file(run)
    if boxes is not None and masks is not None:
        raise VAAError("--boxes and --masks both tell where attributes are; give one of them")
    if path.suffix != ".safetensors" and (report or boxes or masks):
        raise VAAError(f"{path} is an export, which gives no attention; name the run that it is of")
    if report is not None:
        require_replaceable(report, [REPORT])
    labelled = read_split(path, data, split.value)
    regions = read_regions(labelled, boxes, masks)
    computation = Computation(engine, precision, device, batch_size, workers)
    probabilities = predict_split(labelled, computation, group)
    if not group.is_main:
        return
    card, table = labelled.card, labelled.table
    reader = attention_reader(labelled, computation) if regions or report else None
    pointing = score_attention(reader, table, regions) if reader and regions else None
    scores = score(probabilities, table.labels, card.thresholds)
    beside = pointing_records(pointing) if pointing is not None else []
    totals = []
    if card.temperatures:
        totals = calibration_totals(
            split.value, probabilities, card.temperatures, card.thresholds, table.labels
        )
        if split is SplitChoice.val:
            warn("the thresholds were fitted on val, so on val they look better than they are")

    if format is EvaluationFormat.csv:
        sys.stdout.write(evaluation_csv(card.attributes, card.priors, scores, beside))
    elif format is EvaluationFormat.json:
        about = {
            "model": str(path),
            "data": str(labelled.folder),
            "split": split.value,
            "images": len(table),
            "calibration_error": calibration_error(probabilities, table.labels),
            "calibration": totals,
        }
        print(evaluation_json(card.attributes, card.priors, scores, about, beside))
    else:
        console = Console(highlight=False, emoji=False)
        print(f"{path}: {len(table):,} {split.value} pictures of {labelled.folder}")
        console.print(evaluation_tables(card.attributes, card.priors, scores))
        if totals:
            console.print(totals_table(totals))
        if pointing is not None:
            console.print(pointing_tables(card.attributes, pointing))
    if report is not None and reader is not None:
        write_report(report, labelled, split.value, probabilities, scores, totals, reader)
        say(f"wrote {report / REPORT}")
    left_out = [
        name for name in unscored(card.attributes, scores) if name not in labelled.unlabelled
    ]
    if left_out:
        warn(
            f"cannot be scored on {split.value}, without a positive or without a negative, and "
            f"are left out of the means: {', '.join(left_out)}"
        )
