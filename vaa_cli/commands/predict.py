"""`vaa predict`: pictures to a table of attributes."""

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.progress import MofNCompleteColumn, SpinnerColumn, TextColumn

from vaa_cli.commands.console import names_on_stdin, progress, say, this_process
from vaa_cli.commands.options import (
    BatchSizeOption,
    DeviceOption,
    EngineOption,
    ImagesArgument,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.prediction.formats import _Lines
from vaa_cli.core.prediction.job import _skip
from vaa_cli.core.prediction.predictor import open_with_workers
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.prediction.formats import Rows
    from vaa_cli.core.prediction.job import Job, Output
    from vaa_cli.core.prediction.predictor import Prediction


def predict(
    images: ImagesArgument,
    run: RunOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write. Default: stdout.", show_default=False),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="csv, jsonl or parquet. Default: by the name of --out, else csv.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where a job that wrote to --out was interrupted."),
    ] = False,
    pretty: Annotated[
        bool,
        typer.Option("--pretty", help="A line of text a picture, for people: what is likeliest."),
    ] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Attributes in a line of --pretty.")] = 5,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="1 or 0 by the model's thresholds, not probabilities."),
    ] = False,
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            min=0.0,
            max=1.0,
            help="Leave out what is less sure: probabilities between 1 - this and this.",
        ),
    ] = 0.0,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over each picture and its mirror image.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Every N-th picture, from the I-th on: part 1/4, 2/4, 3/4 or 4/4 of a job.",
            show_default=False,
        ),
    ] = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    time_limit: Annotated[
        float,
        typer.Option("--time-limit", min=0.1, help="Seconds that decoding one picture may take."),
    ] = 60.0,
) -> None:
    """Recognise attributes: pictures in, a table out.

    One row a picture in the order given: image, a probability for each attribute, and error,
    which is empty when all went well. The exit code is 1 if any picture could not be read.
    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli predict …
    """
    from vaa_cli.core.images.decoding_pool import DecodingPool
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.prediction.formats import Columns, CSVRows, format_for, open_rows
    from vaa_cli.core.prediction.job import Job, is_complete
    from vaa_cli.core.prediction.multi_process import predict_together
    from vaa_cli.core.prediction.predictor import Predictor
    from vaa_cli.core.runs.lookup import model_file
    from vaa_cli.core.system.files import content_digest

    group = this_process()
    # What can be wrong without the model is told before it is loaded.
    path = model_file(run)
    chosen = format_for(out, format)
    part, parts = _shard(shard)
    if resume and out is None:
        raise VAAError("--resume goes on with a file; name it with --out")
    if pretty and (out is not None or format is not None):
        raise VAAError("--pretty is for people; leave out --out and --format, or leave it out")
    inputs = find_inputs(images, names_on_stdin(images)) if group.world_size == 1 else None
    model, workers = open_with_workers(path, engine, precision, device, workers, group)
    with group.connected():
        if inputs is None:
            inputs = find_inputs(images, _names_for_all(images, group))
        card = model.card
        columns = Columns(
            card.attributes, card.thresholds, inputs.has_boxes, decisions, min_confidence
        )
        settings = {
            "vaa": version("vaa-cli"),
            "engine": model.name,
            "processes": group.world_size,
            "boxes": inputs.has_boxes,
            "--format": chosen,
            "--batch-size": batch_size,
            "--decisions": decisions,
            "--min-confidence": min_confidence,
            "--tta": tta,
            "--shard": shard,
        }
        job = None
        if out is not None and group.is_main:
            settings["model"] = content_digest(path)
            header = CSVRows.header_of(columns) if chosen == "csv" else b""
            job = Job(out, chosen, header, settings, batch_size * group.world_size)
        if resume and group.any(job is not None and is_complete(job)):
            say(f"{out} is whole already; nothing is left to do")
            return
        found = islice(inputs.found, part - 1, None, parts)
        with _destination(job, resume, group) as output:
            kept = int(group.broadcast_text(str(output.kept)))
            failed = _skip(found, job, kept)
            pool = DecodingPool(card.image_size, batch_size, workers, card.box_margin, time_limit)
            predictor = Predictor(model, pool, mirror=tta, padded=kept > 0)
            predictions = predict_together(predictor, found, group)
            if pretty:
                rows: Rows = _Lines(columns, top)
            else:
                rows = open_rows(chosen, output.file, columns, output.begun)
            written, failed_now = _write(predictions, rows, batch_size, kept)
    failed += failed_now
    if failed:
        where = "" if pretty else "; see the column error"
        say(f"{failed:,} of {kept + written:,} pictures could not be read{where}")
        raise typer.Exit(1)


def _shard(shard: str | None) -> tuple[int, int]:
    """Which part of how many, from 1."""
    if shard is None:
        return 1, 1
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise VAAError(f"--shard {shard} is no part of a job; write 1/4, 2/4, 3/4 or 4/4, say")
    return part, parts


@contextmanager
def _destination(job: "Job | None", resume: bool, group: ProcessGroup) -> Iterator["Output"]:
    """Where rows go: the job's file, stdout, or nowhere in all processes but the first."""
    from vaa_cli.core.prediction.job import Output, job_file, standard_output

    if not group.is_main:
        yield Output(io.BytesIO())
    elif job is None:
        with standard_output() as file:
            yield Output(file)
    else:
        try:
            with job_file(job, resume) as output:
                yield output
        except KeyboardInterrupt:
            say(f"interrupted; the same command with --resume goes on with {job.path}")
            raise


def _write(
    predictions: Iterable["Prediction"], rows: "Rows", batch_size: int, kept: int
) -> tuple[int, int]:
    """Write what is predicted, as it comes; how many rows there were, and with an error."""
    written = failed = 0
    frames_told = False
    with progress(SpinnerColumn(), TextColumn("pictures"), MofNCompleteColumn()) as bar:
        task = bar.add_task("", total=None, completed=kept)
        for prediction in predictions:
            rows.write(prediction)
            written += 1
            failed += prediction.problem is not None
            if written % batch_size == 0:
                rows.flush()
            if prediction.more_frames and not frames_told:
                frames_told = True
                say(f"{prediction.request.path} has several frames; of such, the first is taken")
            bar.update(task, completed=kept + written)
        rows.finish()
        rows.flush()
    return written, failed


def _names_for_all(images: list[str], group: ProcessGroup) -> TextIO:
    """What stdin says, in every process that needs it: the first one reads it, to its end."""
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    return io.StringIO(group.broadcast_text(names_on_stdin(images).read() if group.is_main else ""))
