"""`vaa predict`: pictures to a table of attributes."""

import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from vaa_cli.commands.console import (
    names_on_stdin,
    progress,
    require_stdout,
    results_console,
    say,
    say_passed_over,
    this_process,
)
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
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.images.requests import ImageSource
    from vaa_cli.core.prediction.conditions import Condition
    from vaa_cli.core.prediction.formats import Columns, Rows
    from vaa_cli.core.prediction.job import Job, Output
    from vaa_cli.core.prediction.predictor import Prediction, Predictor

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File to write. Default: stdout.", show_default=False),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, jsonl or parquet. Default: by the name of --out, else csv.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on where a job that wrote to --out was interrupted."),
]
PrettyOption = Annotated[
    bool,
    typer.Option(
        "--pretty", help="A line of text a picture, for people: the likeliest attributes."
    ),
]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Attributes in a line of --pretty.")]
DecisionsOption = Annotated[
    bool,
    typer.Option("--decisions", help="1 or 0 by the model's thresholds, not probabilities."),
]
MinConfidenceOption = Annotated[
    float,
    typer.Option(
        "--min-confidence",
        min=0.0,
        max=1.0,
        help="Leave out what is less sure: probabilities between 1 - this and this.",
    ),
]
MirrorOption = Annotated[
    bool, typer.Option("--tta", help="Average over each picture and its mirror image.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Every N-th picture, from the I-th on: part 1/4, 2/4, 3/4 or 4/4 of a job.",
        show_default=False,
    ),
]
TimeLimitOption = Annotated[
    float,
    typer.Option("--time-limit", min=0.1, help="Seconds that decoding one picture may take."),
]


AttributesOption = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        help="Attributes to write: names with commas between them. Default: all.",
        show_default=False,
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="'hat > 0.8'",
        help="Write the rows of pictures with such a probability only, and of those that cannot "
        "be read. Given again, all must hold.",
        show_default=False,
    ),
]


def predict(
    images: ImagesArgument,
    run: RunOption = None,
    out: OutOption = None,
    format: FormatOption = None,
    resume: ResumeOption = False,
    pretty: PrettyOption = False,
    top: TopOption = 5,
    decisions: DecisionsOption = False,
    min_confidence: MinConfidenceOption = 0.0,
    tta: MirrorOption = False,
    shard: ShardOption = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    time_limit: TimeLimitOption = 60.0,
    attributes: AttributesOption = None,
    where: WhereOption = None,
) -> None:
    """Recognise attributes: pictures in, a table out.

    One row a picture in the order given: image, a probability for each attribute, and error,
    which is empty when all went well. The exit code is 1 if any picture could not be read.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli predict …
    """
    from importlib.metadata import version

    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.labels.attributes import positions_of
    from vaa_cli.core.prediction.conditions import parse_condition
    from vaa_cli.core.prediction.formats import Columns
    from vaa_cli.core.prediction.predictor import open_predictor

    if out is None:
        require_stdout("name a file with --out")
    group = this_process()
    predictor = open_predictor(
        run, engine=engine, precision=precision, device=device, batch_size=batch_size,
        workers=workers, mirror=tta, time_limit=time_limit, group=group,
    )  # fmt: skip
    chosen, part = _format(out, format, resume, pretty, bool(where)), _shard(shard)
    names = predictor.attributes
    chosen_positions = None if attributes is None else positions_of(attributes, names)
    conditions = [parse_condition(text, names) for text in where or ()]
    inputs = find_inputs(images, names_on_stdin(images)) if group.world_size == 1 else None
    name = predictor.engine.name
    if out is not None and group.is_main:
        out = _checked_output(out, chosen, [*images, predictor.path])
    with group.connected():
        inputs = inputs or find_inputs(images, _names_in_group(images, group))
        card, boxes = predictor.card, inputs.has_boxes
        columns = Columns(card.attributes, card.thresholds, boxes, decisions, min_confidence)
        if chosen_positions is not None:
            columns = columns.select(chosen_positions)
        settings = {
            "vaa": version("vaa-cli"), "engine": name, "processes": group.world_size,
            "boxes": boxes, "--format": chosen, "--batch-size": batch_size,
            "--decisions": decisions, "--min-confidence": min_confidence, "--tta": tta,
            "--shard": shard, "--attributes": attributes,
        }  # fmt: skip
        output = _OutputOptions(
            out, chosen, columns, settings, resume, top if pretty else None, conditions,
            None if inputs.count is None else len(range(inputs.count)[part.start :: part.step]),
        )  # fmt: skip
        sources = islice(inputs.sources, part.start, None, part.step)
        code = _predict(predictor, sources, output)
        say_passed_over(inputs.passed_over)
        if code:
            raise typer.Exit(code)


@dataclass(frozen=True)
class _OutputOptions:
    """How predictions are written.

    Attributes:
        path: the file; None for stdout.
        format: csv, jsonl or parquet.
        columns: the columns of a row.
        settings: values that the rows depend on, by the names that messages have for them.
        resume: go on with an interrupted job.
        top: number of attributes in a line for people; None for rows of the format.
        conditions: conditions on the pictures whose rows are written.
        count: number of pictures; None where it is not known.
    """

    path: Path | None
    format: str
    columns: "Columns"
    settings: dict[str, Any]
    resume: bool
    top: int | None
    conditions: Sequence["Condition"]
    count: int | None


def _predict(
    predictor: "Predictor", sources: Iterator["ImageSource"], options: _OutputOptions
) -> int:
    """Predict pictures and write the rows; the exit code."""
    from vaa_cli.core.prediction.formats import PrettyRows, open_rows
    from vaa_cli.core.prediction.job import skip_kept
    from vaa_cli.core.prediction.multi_process import predict_in_group

    group, batch_size = predictor.group, predictor.options.batch_size
    job = _job(predictor, options)
    if options.resume and group.any(job is not None and job.is_complete):
        say(f"{options.path} is whole already; nothing is left to do")
        return 0
    with _destination(job, options.resume, group) as output:
        kept = int(group.broadcast_text(str(output.kept)))
        failed = skip_kept(sources, job, kept)
        predictions = predict_in_group(predictor, sources, padded=kept > 0)
        if options.top is not None:
            console = results_console(soft_wrap=True)
            rows: Rows = PrettyRows(console, options.columns, options.top)
        else:
            rows = open_rows(options.format, output.file, options.columns, output.begun)
        written, failed_now = _write(predictions, rows, batch_size, kept, options)
    if failed + failed_now:
        where = "" if options.top is not None else "; see the column error"
        say(f"{failed + failed_now:,} of {kept + written:,} pictures could not be read{where}")
        return 1
    return 0


def _format(out: Path | None, format: str | None, resume: bool, pretty: bool, where: bool) -> str:
    """The format of the rows; refuses options that contradict each other."""
    from vaa_cli.core.prediction.formats import format_for

    chosen = format_for(out, format)
    if resume and out is None:
        raise VAAError("--resume goes on with a file; name it with --out")
    if resume and where:
        raise VAAError("--resume counts the rows, of which --where leaves out some; leave out one")
    if pretty and (out is not None or format is not None):
        raise VAAError("--pretty is for people; leave out --out and --format, or leave it out")
    return chosen


def _checked_output(out: Path, format: str, inputs: list[str | Path]) -> Path:
    """The file to write; refuses to replace what is read, and what are no predictions."""
    from vaa_cli.core.prediction.formats import has_format
    from vaa_cli.core.system.output_files import require_output

    stdin = [0] if "-" in inputs else []
    return require_output(
        out, f"{format} predictions of vaa", partial(has_format, format), [*inputs, *stdin]
    )


def _shard(shard: str | None) -> range:
    """The first picture of a part, and the step to its next ones."""
    if shard is None:
        return range(0, 1, 1)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise VAAError(f"--shard {shard} is no part of a job; write 1/4, 2/4, 3/4 or 4/4, say")
    return range(part - 1, parts, parts)


def _job(predictor: "Predictor", options: _OutputOptions) -> "Job | None":
    """The job of writing a file, in the first process."""
    from vaa_cli.core.prediction.formats import CSVRows
    from vaa_cli.core.prediction.job import Job
    from vaa_cli.core.system.files import content_digest

    group = predictor.group
    if options.path is None or not group.is_main:
        return None
    header = CSVRows.header_of(options.columns) if options.format == "csv" else b""
    settings = {**options.settings, "model": content_digest(predictor.path)}
    rows = predictor.options.batch_size * group.world_size
    return Job(options.path, options.format, header, settings, rows)


@contextmanager
def _destination(job: "Job | None", resume: bool, group: ProcessGroup) -> Iterator["Output"]:
    """The output of the rows: the job's file, stdout, or none in all processes but the first."""
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
    predictions: Iterable["Prediction"],
    rows: "Rows",
    batch_size: int,
    kept: int,
    options: _OutputOptions,
) -> tuple[int, int]:
    """Write predictions as they come: the number of pictures, and of those with an error."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    written = failed = fulfilled = 0
    frames_mentioned = False
    # Rows that come on the terminal themselves show how far it is; a bar would break into them.
    is_watched = options.path is None and sys.stdout.isatty()
    known = () if options.count is None else (BarColumn(), TimeRemainingColumn())
    columns = (SpinnerColumn(), TextColumn("pictures"), MofNCompleteColumn(), *known)
    with progress(*columns, wanted=not is_watched) as bar:
        task = bar.add_task("", total=options.count, completed=kept)
        for prediction in predictions:
            if all(condition.is_fulfilled(prediction) for condition in options.conditions):
                fulfilled += 1
                rows.write(prediction)
            written += 1
            failed += prediction.problem is not None
            if written % batch_size == 0 or is_watched:
                rows.flush()
            if prediction.more_frames and not frames_mentioned:
                frames_mentioned = True
                say(f"{prediction.request.path} has several frames; of such, the first is taken")
            bar.update(task, completed=kept + written)
        rows.finish()
        rows.flush()
    if options.conditions:
        say(f"{fulfilled:,} of {written:,} pictures fulfil --where, or could not be read")
    return written, failed


def _names_in_group(images: list[str], group: ProcessGroup) -> TextIO:
    """The names on stdin in every process; the first one reads them to their end."""
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    return io.StringIO(group.broadcast_text(names_on_stdin(images).read() if group.is_main else ""))
