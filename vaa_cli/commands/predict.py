"""`vaa predict`: pictures to a CSV of attributes."""

import io
import sys
from collections import deque
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn

from vaa_cli.commands.console import progress, say, speak_of_errors_only
from vaa_cli.commands.options import (
    BatchSizeOption,
    DeviceOption,
    PrecisionOption,
    RunOption,
    WorkersOption,
)
from vaa_cli.core.world import World


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
    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli predict …
    """
    from vaa_cli.core.inputs import find_inputs
    from vaa_cli.core.runs import model_file

    world = World.from_environment()
    if not world.is_first:
        speak_of_errors_only()
    # What can be wrong without torch is told before torch is loaded.
    path = model_file(run)
    inputs = find_inputs(images, sys.stdin) if world.size == 1 else None

    from vaa_cli.core.checkpoint import load_model
    from vaa_cli.core.devices import Compute
    from vaa_cli.core.inference import Predictor
    from vaa_cli.core.loading import PictureLoader
    from vaa_cli.core.prediction_csv import PredictionWriter, output_file
    from vaa_cli.core.shared_prediction import predict_together

    model, card = load_model(path)
    with world.joined():
        inputs = inputs or find_inputs(images, _names_for_all(images, world))
        compute = Compute.choose(device, precision, world.local_rank)
        loader = PictureLoader(
            card.image_size, workers, compute.pins_memory, card.box_margin, world.local_size
        )
        predictor = Predictor(model, card, compute, loader, batch_size)
        predictions = predict_together(predictor, inputs.requests, world)
        if not world.is_first:
            deque(predictions, maxlen=0)  # its part of the work; there is nothing to write
            return
        with (
            progress(SpinnerColumn(), TextColumn("pictures"), MofNCompleteColumn()) as bar,
            output_file(out) as file,
        ):
            writer = PredictionWriter(file, card, inputs.has_boxes, decisions)
            task = bar.add_task("", total=None)
            for prediction in predictions:
                writer.write(prediction)
                bar.update(task, completed=writer.rows)
            writer.finish()
    if writer.failed:
        say(f"{writer.failed} of {writer.rows} pictures could not be read; see the column error")
        raise typer.Exit(1)


def _names_for_all(images: list[str], world: World) -> TextIO:
    """What stdin says, in every process that needs it: the first one reads it, to its end."""
    from vaa_cli.core.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    return io.StringIO(world.first_says(sys.stdin.read() if world.is_first else ""))
