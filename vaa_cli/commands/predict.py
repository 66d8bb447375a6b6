"""`vaa predict`: pictures to a CSV of attributes."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn

from vaa_cli.commands.console import progress, say
from vaa_cli.commands.options import (
    BatchSizeOption,
    DeviceOption,
    PrecisionOption,
    RunOption,
    WorkersOption,
)


def predict(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Pictures: files, folders (with all below them), globs, - for names on stdin, "
            "or a CSV with an image column and perhaps boxes.",
            show_default=False,
        ),
    ],
    run: RunOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File for the CSV. Default: stdout.", show_default=False),
    ] = None,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="1 or 0 by the model's thresholds, not probabilities."),
    ] = False,
    batch_size: BatchSizeOption = 32,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Recognise attributes: pictures in, CSV out.

    One row a picture in the order given: image, a probability for each attribute, and error,
    which is empty when all went well. The exit code is 1 if any picture could not be read.
    """
    from vaa_cli.core.inputs import find_inputs

    inputs = find_inputs(images, sys.stdin)

    from vaa_cli.core.checkpoint import load_model
    from vaa_cli.core.devices import Compute
    from vaa_cli.core.inference import Predictor
    from vaa_cli.core.loading import PictureLoader
    from vaa_cli.core.prediction_csv import PredictionWriter, output_file
    from vaa_cli.core.runs import model_file

    model, card = load_model(model_file(run))
    compute = Compute.choose(device, precision)
    loader = PictureLoader(card.image_size, workers, compute.pins_memory, card.box_margin)
    predictor = Predictor(model, card, compute, loader, batch_size)
    with (
        progress(SpinnerColumn(), TextColumn("pictures"), MofNCompleteColumn()) as bar,
        output_file(out) as file,
    ):
        writer = PredictionWriter(file, card, inputs.has_boxes, decisions)
        task = bar.add_task("", total=None)
        for prediction in predictor.predict(inputs.requests):
            writer.write(prediction)
            bar.update(task, completed=writer.rows)
        writer.finish()
    if writer.failed:
        say(f"{writer.failed} of {writer.rows} pictures could not be read; see the column error")
        raise typer.Exit(1)
