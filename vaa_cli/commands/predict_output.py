"""How `vaa predict` writes its rows: to stdout or a file, with a bar or without."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaa_cli.commands.console import progress, results_console, say
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.images.requests import ImageSource
    from vaa_cli.core.prediction.columns import Columns
    from vaa_cli.core.prediction.conditions import Condition
    from vaa_cli.core.prediction.formats import Rows
    from vaa_cli.core.prediction.job import Job, Output
    from vaa_cli.core.prediction.parts import PartsJob
    from vaa_cli.core.prediction.predictor import Prediction, Predictor
    from vaa_cli.core.prediction.uncertainty import UncertainPictures


# Predicts pictures; whether batches are computed in one shape, and the number of pictures if known.
Predict = Callable[
    [Iterable["ImageSource"], bool, int | None],
    Iterable["Prediction"],
]


@dataclass(frozen=True)
class OutputOptions:
    """How predictions are written.

    Attributes:
        place: the path or URL of the file, or of the folder of parts; None for stdout.
        format: csv, jsonl or parquet.
        columns: the columns of a row.
        settings: values that the rows depend on, by the names that messages have for them.
        resume: go on with an interrupted job.
        top: number of attributes in a line for people; None for rows of the format.
        conditions: conditions on the pictures whose rows are written.
        count: number of pictures; None where it is not known.
        uncertain: number of pictures to write, those that are least sure; None for all.
        part_rows: rows of a part, where the path is a folder of parts; None where it is a file.
    """

    place: Path | str | None
    format: str
    columns: "Columns"
    settings: dict[str, Any]
    resume: bool
    top: int | None
    conditions: Sequence["Condition"]
    count: int | None
    uncertain: int | None = None
    part_rows: int | None = None


def write_predictions(
    predictor: "Predictor",
    sources: Iterator["ImageSource"],
    options: OutputOptions,
    predict: Predict,
) -> int:
    """Predict pictures and write the rows; the exit code."""
    from vaa_cli.core.prediction.formats import ANNOTATIONS, ParquetRows, PrettyRows, open_rows
    from vaa_cli.core.prediction.job import skip_kept

    group, batch_size = predictor.group, predictor.options.batch_size
    job = _job(predictor, options)
    if options.resume and group.any(job is not None and _is_whole(job)):
        say(f"{options.place} is whole already; nothing is left to do")
        return 0
    with _destination(job, options, group) as output:
        kept = int(group.broadcast_text(str(output.kept)))
        place = None if job is None else job.place
        failed = skip_kept(sources, place, output.pictures, kept)
        predictions = predict(sources, kept > 0, options.count)
        if options.top is not None:
            console = results_console(soft_wrap=True)
            rows: Rows = PrettyRows(console, options.columns, options.top)
        elif output.rows is not None:
            rows = output.rows
        else:
            rows = open_rows(options.format, output.file, options.columns, output.begun)
        chooser = _chooser(predictor, options)
        try:
            written, failed_now = _write(predictions, rows, batch_size, kept, options, chooser)
        except BaseException:
            if isinstance(rows, ParquetRows):
                rows.abandon()
            raise
    if options.place is not None and group.is_main:
        say(f"wrote {options.place}" + (f", {kept:,} pictures of it before" if kept else ""))
    if failed + failed_now:
        has_rows = options.format not in ANNOTATIONS and options.uncertain is None
        where = "; see the column error" if has_rows and options.top is None else ""
        say(f"{failed + failed_now:,} of {kept + written:,} pictures could not be read{where}")
        return 1
    return 0


def _is_whole(job: "Job | PartsJob") -> bool:
    from vaa_cli.core.prediction.job import Job
    from vaa_cli.core.prediction.parts import is_complete

    return job.is_complete if isinstance(job, Job) else is_complete(job.place)


def _chooser(predictor: "Predictor", options: OutputOptions) -> "UncertainPictures | None":
    """What chooses the pictures that are written, if not all of them are."""
    from vaa_cli.core.prediction.uncertainty import UncertainPictures

    count = options.uncertain
    return None if count is None else UncertainPictures(predictor.card, count)


def _job(predictor: "Predictor", options: OutputOptions) -> "Job | PartsJob | None":
    """The job of writing a file or a folder, in the first process; None for stdout and a URL."""
    from vaa_cli.core.engines.cache import model_digest
    from vaa_cli.core.prediction.formats import CSVRows
    from vaa_cli.core.prediction.job import Job
    from vaa_cli.core.prediction.parts import PartsJob

    group = predictor.group
    if options.place is None or not group.is_main:
        return None
    settings = {**options.settings, "model": model_digest(predictor.path)}
    batch_size = predictor.options.batch_size * group.world_size
    if options.part_rows is not None:
        return PartsJob(options.place, settings, batch_size, options.part_rows)
    if not isinstance(options.place, Path):
        return None
    header = CSVRows.header_of(options.columns) if options.format == "csv" else b""
    return Job(options.place, options.format, header, settings, batch_size)


@contextmanager
def _destination(
    job: "Job | PartsJob | None", options: OutputOptions, group: ProcessGroup
) -> Iterator["Output"]:
    """The output of the rows: the job's, a URL, stdout, or none in all processes but the first."""
    from vaa_cli.core.prediction.job import Job, Output, job_file, standard_output
    from vaa_cli.core.prediction.parts import kept_pictures, parts_folder
    from vaa_cli.core.system.storage import whole_url

    if not group.is_main:
        yield Output(io.BytesIO())
    elif options.place is None:
        with standard_output() as file:
            yield Output(file)
    elif job is None:
        with whole_url(str(options.place)) as file:
            yield Output(file)
    else:
        try:
            if isinstance(job, Job):
                with job_file(job, options.resume) as output:
                    yield output
            else:
                with parts_folder(job, options.columns, options.resume) as parts:
                    pictures = kept_pictures(job.place) if parts.kept else ()
                    yield Output(io.BytesIO(), parts.kept, rows=parts.rows, pictures=pictures)
        except KeyboardInterrupt:
            say(f"interrupted; the same command with --resume goes on with {job.place}")
            raise


def _write(
    predictions: Iterable["Prediction"],
    rows: "Rows",
    batch_size: int,
    kept: int,
    options: OutputOptions,
    chooser: "UncertainPictures | None",
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
    is_watched = options.place is None and sys.stdout.isatty()
    known = () if options.count is None else (BarColumn(), TimeRemainingColumn())
    columns = (SpinnerColumn(), TextColumn("pictures"), MofNCompleteColumn(), *known)
    with progress(*columns, wanted=not is_watched) as bar:
        task = bar.add_task("", total=options.count, completed=kept)
        for prediction in predictions:
            if all(condition.is_fulfilled(prediction) for condition in options.conditions):
                fulfilled += 1
                (chooser.add if chooser else rows.write)(prediction)
            written += 1
            failed += prediction.problem is not None
            if written % batch_size == 0 or is_watched:
                rows.flush()
            if prediction.more_frames and not frames_mentioned:
                frames_mentioned = True
                say(f"{prediction.request.path} has several frames; of such, the first is taken")
            bar.update(task, completed=kept + written)
        for prediction in chooser.chosen() if chooser else ():
            rows.write(prediction)
        rows.finish()
        rows.flush()
    if options.conditions:
        say(f"{fulfilled:,} of {written:,} pictures fulfil --where, or could not be read")
    return written, failed
