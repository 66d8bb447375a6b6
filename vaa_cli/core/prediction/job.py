"""The output of predictions: stdout, or a file of a job that can be resumed."""

import contextlib
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.prediction.formats import WHOLE_FORMATS, Rows
from vaa_cli.core.system.files import replace_whole, write_text, writing_errors
from vaa_cli.core.system.input_files import parse_json, read_text
from vaa_cli.core.system.interruption import cleanup
from vaa_cli.core.system.locks import exclusive

_PART, _SETTINGS, _LOCK = ".part", ".part.json", ".part.lock"
_PIECE = 1 << 20
_QUOTE, _LINE_FEED = ord('"'), ord("\n")


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """stdout, for bytes.

    Raises:
        VAAError: it cannot be written. A reader that closes the pipe is no error of ours:
            BrokenPipeError.
    """
    # A descriptor of its own: what it could not write is gone with it, and the interpreter does
    # not try once more on its way out.
    with (
        cleanup(),
        writing_errors("stdout"),
        open(sys.stdout.fileno(), "wb", closefd=False) as file,
    ):
        yield file


@dataclass(frozen=True)
class Job:
    """Predictions that are written to a file.

    Attributes:
        path: the file.
        format: one of `formats.FORMATS`.
        header: the first line of a CSV; empty for other formats.
        settings: values that the rows depend on; a job is resumed with the same ones only.
        batch_size: number of rows that are computed together. They are kept or computed again
            together, so that the rows are the same as without an interruption.
    """

    path: Path
    format: str
    header: bytes
    settings: Mapping[str, Any]
    batch_size: int

    @property
    def place(self) -> Path:
        """The file, as a job of another kind has a folder or a URL."""
        return self.path

    @property
    def is_complete(self) -> bool:
        """Whether the file is there and whole, so that nothing is left to do."""
        return self.path.is_file() and not _beside(self.path, _PART).exists()


@dataclass(frozen=True)
class Output:
    """A file that is being written.

    Attributes:
        file: the open file, at the end of its rows.
        kept: number of rows of an interrupted job in it.
        begun: whether it has a header already.
        rows: the writer of rows, if it is not one of the file's format.
        pictures: the pictures of the rows that are kept: name, and whether it has an error.
    """

    file: BinaryIO
    kept: int = 0
    begun: bool = False
    rows: Rows | None = None
    pictures: Iterable[tuple[str, bool]] = ()


@contextmanager
def job_file(job: Job, resume: bool) -> Iterator[Output]:
    """A file that takes its name when the job is done, and is kept beside it until then.

    Rows are in FILE.part, and the settings in FILE.part.json, from the first row on, however the
    process ends.

    Args:
        job: the job.
        resume: go on with FILE.part, if it is there.

    Raises:
        VAAError: the file cannot be written, another process writes it, or it was begun with other
            settings.
    """
    part, settings = _beside(job.path, _PART), _beside(job.path, _SETTINGS)
    if resume and job.format in WHOLE_FORMATS:
        raise VAAError(f"a file of {job.format} cannot be gone on with; write csv or jsonl")
    with _locked(job.path), writing_errors(job.path):
        kept, end = 0, 0
        if resume and part.exists():
            _require_same(job, settings)
            kept, end = _whole_rows(part, job)
        else:
            part.unlink(missing_ok=True)
            write_text(settings, json.dumps(dict(job.settings)))
        with part.open("ab") as file:
            file.truncate(end)
            try:
                yield Output(file, kept, begun=end > 0, pictures=kept_pictures(job, kept))
            except BaseException:
                with contextlib.suppress(OSError):  # a full disk, which is reported already
                    file.flush()
                if os.path.getsize(part) == 0:
                    part.unlink()
                    settings.unlink(missing_ok=True)
                raise
            replace_whole(file, part, job.path)
        settings.unlink(missing_ok=True)


def kept_pictures(job: Job, count: int) -> Iterator[tuple[str, bool]]:
    """The pictures of the first rows of an interrupted job: name, and whether it has an error."""
    if count == 0:
        return
    with _beside(job.path, _PART).open("rb") as file:
        if job.format == "jsonl":
            for row in map(json.loads, islice(file, count)):
                yield row["image"], row["error"] is not None
            return
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        for cells in islice(csv.reader(text), 1, count + 1):
            yield cells[0], cells[-1] != ""


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    if not path.parent.is_dir():  # the lock would make it
        raise VAAError(f"cannot write {path}: there is no folder {path.parent}")
    in_use = f"{path} is being written by another process; wait for it"
    with exclusive(_beside(path, _LOCK), path, in_use):
        yield


def _require_same(job: Job, settings: Path) -> None:
    """Check that an interrupted job was begun with the same settings."""
    again = f"start again without `resume`, or remove {_beside(job.path, _PART)}"
    try:
        begun = parse_json(read_text(settings))
        pairs = dict(begun)
    except (VAAError, ValueError, AttributeError) as error:
        raise VAAError(
            f"{settings} is missing or broken, so nobody knows how {job.path} was begun; {again}"
        ) from error
    require_same_settings(job.path, job.settings, pairs, again)


def require_same_settings(
    place: object, settings: Mapping[str, Any], begun: Mapping[str, Any], advice: str
) -> None:
    """Check that a job goes on as it was begun.

    Args:
        place: its file or folder, for the message.
        settings: its settings.
        begun: the settings that it was begun with.
        advice: what to do if they are others.

    Raises:
        VAAError: one of them is another.
    """
    for name, value in settings.items():
        if begun.get(name) != value:
            raise VAAError(
                f"{place} was begun with {name} {begun.get(name)}, and now it is {value}; {advice}"
            )


def _whole_rows(part: Path, job: Job) -> tuple[int, int]:
    """The number of rows to keep, and the byte that they end at; 0, 0 without a whole header."""
    rows, end = 0, len(job.header)
    position, quotes = end, 0
    with part.open("rb") as file:
        start = file.read(len(job.header))
        if start != job.header:
            if job.header.startswith(start):
                return 0, 0
            raise VAAError(f"{part} does not begin as a job for this model does; remove it")
        while piece := file.read(_PIECE):
            letters = np.frombuffer(piece, dtype=np.uint8)
            ends = letters == _LINE_FEED
            if job.format == "csv":  # a line feed between quotes is part of a name
                before = quotes + np.cumsum(letters == _QUOTE)
                ends &= before % 2 == 0
                quotes = int(before[-1])
            found = np.flatnonzero(ends)
            # Of these the last one that completes a batch.
            last = (rows + len(found)) // job.batch_size * job.batch_size
            if last > rows:
                end = position + int(found[last - rows - 1]) + 1
            rows += len(found)
            position += len(piece)
    return rows // job.batch_size * job.batch_size, end


def skip_kept(
    sources: Iterator[ImageSource],
    place: object | None,
    pictures: Iterable[tuple[str, bool]],
    kept: int,
) -> int:
    """Pass over the pictures whose rows an interrupted job has kept.

    Args:
        sources: the pictures of the job.
        place: its file or folder; None for stdout, and in all processes but the first.
        pictures: those whose rows are kept, see `kept_pictures`.
        kept: number of rows that are kept.

    Returns:
        The number of kept rows with an error.

    Raises:
        VAAError: the job was begun with other pictures.
    """
    if place is None:
        next(islice(sources, kept, kept), None)
        return 0
    failed = 0
    for name, has_error in pictures:
        source = next(sources, None)
        # With an apostrophe, it stands there for spreadsheets (`safe_csv`).
        if source is None or name not in (source.path, f"'{source.path}"):
            raise VAAError(
                f"{place} was begun with other pictures: {name!r} is "
                f"{'missing' if source is None else repr(source.path)} now; "
                "start again without `resume`"
            )
        failed += has_error
    return failed
