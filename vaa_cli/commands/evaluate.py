"""`vaa evaluate`: how good a run is, attribute by attribute."""

import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    WorkersOption,
)
from vaa_cli.commands.scoring import Computation, SplitChoice, predict_split
from vaa_cli.core.errors import VAAError

if TYPE_CHECKING:
    from vaa_cli.commands.scoring import PredictedSplit
    from vaa_cli.core.attention import AttentionReader
    from vaa_cli.core.metrics import Scores
    from vaa_cli.core.pointing import Pointing
    from vaa_cli.core.report import Record


REPORT = "index.html"
# Pictures of each kind on the page, of all attributes together; it stays below 10 MB.
_EXAMPLES = 170
_EXAMPLE_HEIGHT = 112


class FormatChoice(str, Enum):
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
        FormatChoice,
        typer.Option("--format", help="csv has a row an attribute; json has these and the totals."),
    ] = FormatChoice.table,
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
    from vaa_cli.core.calibration import calibration_error
    from vaa_cli.core.calibration_report import calibration_totals, totals_table
    from vaa_cli.core.files import require_replaceable
    from vaa_cli.core.metrics import score
    from vaa_cli.core.pointing_report import pointing_records, pointing_tables
    from vaa_cli.core.report import (
        evaluation_csv,
        evaluation_json,
        evaluation_tables,
        unscored,
    )
    from vaa_cli.core.runs import model_file

    world = this_process()
    path = model_file(run)
    if boxes is not None and masks is not None:
        raise VAAError("--boxes and --masks both tell where attributes are; give one of them")
    if path.suffix != ".safetensors" and (report or boxes or masks):
        raise VAAError(f"{path} is an export, which gives no attention; name the run that it is of")
    if report is not None:
        require_replaceable(report, [REPORT])
    computation = Computation(engine, precision, device, batch_size, workers)
    predicted = predict_split(path, data, split.value, computation, world)
    if not world.is_first:
        return
    pointing = _pointing(predicted, boxes, masks, computation)
    card, table = predicted.card, predicted.table
    scores = score(predicted.probabilities, table.labels, card.thresholds)
    beside = pointing_records(pointing) if pointing is not None else []
    totals = []
    if card.temperatures:
        totals = calibration_totals(
            split.value, predicted.probabilities, card.temperatures, card.thresholds, table.labels
        )
        if split is SplitChoice.val:
            warn("the thresholds were fitted on val, so on val they look better than they are")

    if format is FormatChoice.csv:
        sys.stdout.write(evaluation_csv(card.attributes, card.priors, scores, beside))
    elif format is FormatChoice.json:
        about = {
            "model": str(path),
            "data": str(predicted.folder),
            "split": split.value,
            "images": len(table),
            "calibration_error": calibration_error(predicted.probabilities, table.labels),
            "calibration": totals,
        }
        print(evaluation_json(card.attributes, card.priors, scores, about, beside))
    else:
        console = Console(highlight=False, emoji=False)
        print(f"{path}: {len(table):,} {split.value} pictures of {predicted.folder}")
        console.print(evaluation_tables(card.attributes, card.priors, scores))
        if totals:
            console.print(totals_table(totals))
        if pointing is not None:
            console.print(pointing_tables(card.attributes, pointing))
    if report is not None:
        _write_report(report, predicted, split.value, scores, totals, computation)
        say(f"wrote {report / REPORT}")
    left_out = [
        name for name in unscored(card.attributes, scores) if name not in predicted.unlabelled
    ]
    if left_out:
        warn(
            f"cannot be scored on {split.value}, without a positive or without a negative, and "
            f"are left out of the means: {', '.join(left_out)}"
        )


def _write_report(
    folder: Path,
    predicted: "PredictedSplit",
    split: str,
    scores: "Scores",
    totals: "list[Record]",
    computation: Computation,
) -> None:
    from vaa_cli.core.bootstrap import bootstrap
    from vaa_cli.core.evaluation_page import Evaluation, evaluation_page
    from vaa_cli.core.files import whole_folder, write_text
    from vaa_cli.core.report_examples import choose_examples, show_examples
    from vaa_cli.core.runs import read_log

    card, table, probabilities = predicted.card, predicted.table, predicted.probabilities
    each = max(1, min(3, _EXAMPLES // len(card.attributes)))
    examples = choose_examples(probabilities, table.labels, card.thresholds, each)
    reader = _attention_reader(predicted, computation)
    page = evaluation_page(
        Evaluation(
            title=f"{predicted.model.parent.name or predicted.model.name} on {split}",
            about={
                "model": predicted.model,
                "backbone": card.backbone,
                "data": predicted.folder,
                "pictures": f"{len(table):,} ({split})",
                "attributes": len(card.attributes),
                "epoch": card.epoch,
                "written": time.strftime("%Y-%m-%d %H:%M"),
            },
            attributes=card.attributes,
            priors=card.priors,
            stages=card.stages,
            probabilities=probabilities,
            labels=table.labels,
            scores=scores,
            draws=bootstrap([(probabilities, card.thresholds)], table.labels)[0],
            epochs=read_log(predicted.model.parent),
            calibration=totals,
            examples=show_examples(examples, reader, table, _EXAMPLE_HEIGHT),
        )
    )
    with whole_folder(folder, [REPORT]) as beside:
        write_text(beside / REPORT, page)


def _attention_reader(predicted: "PredictedSplit", computation: Computation) -> "AttentionReader":
    """The model as torch computes it; an export gives no maps."""
    from vaa_cli.core.attention import AttentionReader
    from vaa_cli.core.devices import Compute
    from vaa_cli.core.parallel import decoding_workers

    workers = decoding_workers() if computation.workers is None else computation.workers
    compute = Compute.choose(computation.device, "fp32")
    return AttentionReader(predicted.model, compute, computation.batch_size, workers)


def _pointing(
    predicted: "PredictedSplit", boxes: Path | None, masks: Path | None, computation: Computation
) -> "Pointing | None":
    """How the model's attention scores on the places that are told, if any are."""
    if boxes is None and masks is None:
        return None
    from vaa_cli.core.places import BoxPlaces, MaskPlaces, Places

    card, table = predicted.card, predicted.table
    places: Places
    if boxes is not None:
        known = {image for part in predicted.dataset.splits.values() for image in part.images}
        places = BoxPlaces(boxes, table, known, card.attributes, card.box_margin)
    elif masks is not None:
        places = MaskPlaces(masks, table, card.attributes, card.box_margin)
    from vaa_cli.core.place_scoring import score_places

    return score_places(_attention_reader(predicted, computation), table, places)
