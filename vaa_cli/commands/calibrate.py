"""`vaa calibrate`: scaling and thresholds for a trained run, fitted on val."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vaa_cli.commands.console import results_console, say, this_process, warn
from vaa_cli.commands.options import (
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
    engine_options,
)
from vaa_cli.core.errors import VAAError

MetricOption = Annotated[
    Literal["mA", "F1"], typer.Option("--metric", help="What the thresholds maximise.")
]
ShrinkageOption = Annotated[
    float,
    typer.Option(
        "--shrinkage",
        min=0.0,
        help="With so many positives in val (or negatives, if these are fewer), half of an "
        "attribute's threshold and scaling is its own, and half that of all; 0: all of it.",
    ),
]
UndoOption = Annotated[
    bool,
    typer.Option("--undo", help="Take the calibration out: the model's logits, thresholds of 0.5."),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Model file to write. Default: the run's own, in its place.",
        show_default=False,
    ),
]


def calibrate(
    data: DataOption = None,
    run: RunOption = None,
    metric: MetricOption = "mA",
    shrinkage: ShrinkageOption = 50.0,
    undo: UndoOption = False,
    out: OutOption = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Fit each attribute's threshold and scaling on val, and keep them in the model file.

    vaa train ends with this. Then a probability of 0.8 is right about 8 times in 10, and decisions
    are made where mA or F1 is best. The weights stay as they are; done again, it begins from them.
    """
    from vaa_cli.core.evaluation.run_calibration import calibrate_run, undo_calibration

    group = this_process()
    if undo:
        if out is not None:
            raise VAAError("--undo changes the run itself; leave --out out")
        if group.is_main:
            say(f"{undo_calibration(run)} has thresholds of 0.5 and its own probabilities again")
        return
    options = engine_options(engine, precision, device, batch_size, workers)
    calibrated = calibrate_run(run, data, metric, shrinkage, out, options, group)
    if calibrated is None:
        return
    from vaa_cli.core.evaluation.calibration import FEWEST
    from vaa_cli.core.reports.calibration_tables import calibration_table, totals_table

    console = results_console()
    table = calibration_table(calibrated.attributes, calibrated.calibration, calibrated.labels)
    console.print(table)
    console.print(totals_table(calibrated.totals))
    few = [calibrated.attributes[c] for c in calibrated.calibration.anchored.tolist()]
    if few:
        warn(
            f"fewer than {FEWEST} positives or negatives in val, so that nothing of their own was "
            f"fitted: {', '.join(few)}"
        )
    say(f"{calibrated.path} has these thresholds and this scaling now")
