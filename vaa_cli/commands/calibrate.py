"""`vaa calibrate`: temperatures and thresholds for a trained run, fitted on val."""

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaa_cli.commands.console import say, this_process
from vaa_cli.commands.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.labelled_split import Computation, predict_split, read_split


class MetricChoice(str, Enum):
    """What thresholds make large."""

    mean_accuracy = "mA"
    f1 = "F1"


def calibrate(
    data: DataOption = None,
    run: RunOption = None,
    metric: Annotated[
        MetricChoice, typer.Option("--metric", help="What the thresholds make large.")
    ] = MetricChoice.mean_accuracy,
    shrinkage: Annotated[
        float,
        typer.Option(
            "--shrinkage",
            min=0.0,
            help="With so many positives in val (or negatives, if these are fewer), half of an "
            "attribute's threshold and temperature is its own, and half that of all; 0: all of it.",
        ),
    ] = 20.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Model file to write. Default: the run's own, in its place.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Fit each attribute's threshold and temperature on val, and keep them in the model file.

    Then a probability of 0.8 is right about 8 times in 10, and decisions are made where mA or F1
    is best. The weights stay as they are; done again, it begins from them anew.
    """
    from vaa_cli.core.runs.lookup import model_file

    group = this_process()
    path = model_file(run)
    if path.suffix != ".safetensors":
        raise VAAError(f"{path} is an export; calibrate the run that it is of, and export it again")
    split = read_split(path, data, "val")
    computation = Computation(engine, precision, device, batch_size, workers)
    probabilities = predict_split(split, computation, group)
    if not group.is_main:
        return

    from scipy.special import expit

    from vaa_cli.core.evaluation.calibration import calibration_totals, fit_calibration, logits_of
    from vaa_cli.core.models.model_file import copy_with_card
    from vaa_cli.core.reports.calibration_tables import calibration_table, totals_table

    card, labels = split.card, split.table.labels
    logits = logits_of(probabilities, card.temperatures or 1.0)
    try:
        calibration = fit_calibration(logits, labels, metric.value, shrinkage)
    except ValueError as error:
        raise VAAError(f"val of {split.folder} cannot calibrate: {error}") from error
    temperatures, thresholds = calibration.temperatures, calibration.thresholds
    out = out or path
    new = replace(
        card,
        thresholds=tuple(thresholds.tolist()),
        temperatures=tuple(temperatures.tolist()),
    )
    copy_with_card(path, out, new)
    totals = calibration_totals(
        "on val, where it was fitted",
        expit(logits / temperatures),
        temperatures,
        thresholds,
        labels,
    )
    console = Console(highlight=False, emoji=False)
    console.print(calibration_table(card.attributes, calibration, labels))
    console.print(totals_table(totals))
    say(f"{out} has these thresholds and temperatures now")
