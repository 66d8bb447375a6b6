"""Predictions as Parquet parts in a folder: each part is whole or absent, and a job goes on.

A manifest says which parts are done, with how many rows, and what they depend on. Rows of a part
that was not finished are computed again, so no row is there twice, and none is lost. The folder may
be at a URL, where no lock keeps a second process away: it finds its own mark in the manifest gone.
"""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.prediction.columns import Columns
from vaa_cli.core.prediction.formats import ParquetRows
from vaa_cli.core.prediction.job import require_same_settings
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.system.input_files import LARGEST_SETTINGS, parse_json
from vaa_cli.core.system.output_folder import OutputFolder, output_folder

MANIFEST = "manifest.json"
PART_ROWS = 50_000


@dataclass(frozen=True)
class PartsJob:
    """Predictions that are written as parts into a folder.

    Attributes:
        place: path or URL of the folder.
        settings: values that the rows depend on; a job is resumed with the same ones only.
        batch_size: number of rows that are computed together. Parts are whole batches, so that the
            rows are the same as without an interruption.
        part_rows: rows of a part, rounded down to whole batches.
    """

    place: Path | str
    settings: Mapping[str, Any]
    batch_size: int
    part_rows: int = PART_ROWS

    @property
    def rows(self) -> int:
        """Number of rows of each part but the last."""
        return max(1, self.part_rows // self.batch_size) * self.batch_size


@dataclass
class _Manifest:
    """What a folder holds.

    Attributes:
        settings: what the rows depend on.
        rows: number of rows of each part.
        is_complete: whether the job is done.
        writer: a mark of the process that writes it.
    """

    settings: dict[str, Any]
    rows: list[int] = field(default_factory=list)
    is_complete: bool = False
    writer: str = field(default_factory=lambda: secrets.token_hex(8))

    def write(self, folder: OutputFolder) -> None:
        """Write it, whole or not at all."""
        content = {
            "settings": self.settings, "rows": self.rows, "complete": self.is_complete,
            "writer": self.writer,
        }  # fmt: skip
        with folder.writing(MANIFEST) as file:
            file.write(json.dumps(content, indent=2).encode())

    @classmethod
    def read(cls, folder: OutputFolder) -> "_Manifest":
        """Read it.

        Raises:
            VAAError: it is missing or broken.
        """
        try:
            with folder.opened(MANIFEST) as file:
                content = parse_json(file.read(LARGEST_SETTINGS))
            rows = [int(count) for count in content["rows"]]
            writer = str(content.get("writer", ""))
            return cls(dict(content["settings"]), rows, bool(content["complete"]), writer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VAAError(
                f"{_in(folder, MANIFEST)} is broken ({one_line(error, 80)}), so nobody knows which "
                "rows are there; name a new folder"
            ) from error


def _in(folder: OutputFolder, name: str) -> str:
    return f"{str(folder).rstrip('/')}/{name}"


def part_name(number: int) -> str:
    """The name of a part, from 0."""
    return f"part-{number:05d}.parquet"


class PartRows:
    """Writes rows into parts.

    Args:
        folder: the folder.
        columns: the columns of a row.
        manifest: what is there.
        part_rows: rows of a part.
    """

    def __init__(
        self, folder: OutputFolder, columns: Columns, manifest: _Manifest, part_rows: int
    ) -> None:
        self._folder, self._columns, self._manifest = folder, columns, manifest
        self._part_rows = part_rows
        self._count = 0
        self._rows: ParquetRows | None = None
        self._part = ExitStack()

    def write(self, prediction: Prediction) -> None:
        """Write a row, and finish the part with it if it is full."""
        if self._rows is None:
            name = part_name(len(self._manifest.rows))
            file = self._part.enter_context(self._folder.writing(name))
            self._rows = ParquetRows(file, self._columns)
        self._rows.write(prediction)
        self._count += 1
        if self._count >= self._part_rows:
            self._finish_part()

    def flush(self) -> None:
        """Rows wait for their part."""

    def finish(self) -> None:
        """Finish the last part, and say that the job is done."""
        self._finish_part()
        self._require_alone()
        self._manifest.is_complete = True
        self._manifest.write(self._folder)

    def abandon(self, error: BaseException) -> None:
        """Leave nothing of a part that was not finished."""
        if self._rows is not None:
            self._rows.abandon()
        self._part.__exit__(type(error), error, error.__traceback__)

    def _finish_part(self) -> None:
        if self._rows is None:
            return
        self._rows.finish()
        self._require_alone()
        self._part.close()  # there, with its name
        self._manifest.rows.append(self._count)
        self._manifest.write(self._folder)
        self._count, self._rows = 0, None

    def _require_alone(self) -> None:
        """Check that no other process has begun to write here, where no lock keeps it away."""
        if _Manifest.read(self._folder).writer != self._manifest.writer:
            raise VAAError(f"{self._folder} is being written by another process, too; stop one")


@dataclass(frozen=True)
class Parts:
    """A folder that parts are written into.

    Attributes:
        rows: the writer.
        kept: number of rows that were there.
    """

    rows: PartRows
    kept: int


@contextmanager
def parts_folder(job: PartsJob, columns: Columns, resume: bool) -> Iterator[Parts]:
    """Open a folder for parts.

    Args:
        job: the job.
        columns: the columns of a row.
        resume: go on with the parts that are there.

    Raises:
        VAAError: the folder holds other files, or parts and `resume` is not given; another process
            writes there; a part is damaged; or it was begun with other settings.
    """
    folder = output_folder(job.place)
    with folder.alone():
        manifest = _begun(folder, job, resume)
        rows = PartRows(folder, columns, manifest, job.rows)
        try:
            yield Parts(rows, sum(manifest.rows))
        except BaseException as error:
            rows.abandon(error)
            raise


def is_complete(place: Path | str) -> bool:
    """Whether all parts of a job are there, in the folder at a path or URL."""
    folder = output_folder(place)
    return MANIFEST in folder.names() and _Manifest.read(folder).is_complete


def kept_pictures(place: Path | str) -> Iterator[tuple[str, bool]]:
    """The pictures of the parts that are there: name, and whether it has an error.

    Raises:
        VAAError: a part is missing or damaged.
    """
    folder = output_folder(place)
    for number, count in enumerate(_Manifest.read(folder).rows):
        with _opened(folder, part_name(number), count) as table:
            for batch in table.iter_batches(columns=["image", "error"]):
                for row in batch.to_pylist():
                    yield row["image"], row["error"] is not None


def _begun(folder: OutputFolder, job: PartsJob, resume: bool) -> _Manifest:
    """The manifest of a folder: a new one, or that of a job that goes on."""
    names = folder.names()
    others = [name for name in names if name != MANIFEST and not _is_part(name)]
    if others:
        raise VAAError(f"{folder} holds other files ({others[0]}); name a folder for the parts")
    if MANIFEST not in names:
        if names:
            raise VAAError(f"{folder} holds parts and no {MANIFEST}; name a new folder")
        manifest = _Manifest(dict(job.settings))
        manifest.write(folder)
        return manifest
    if not resume:
        raise VAAError(f"{folder} holds parts of a job; go on with `resume`, or name a new folder")
    kept = _Manifest.read(folder)
    require_same_settings(folder, job.settings, kept.settings, "name a new folder")
    for number, count in enumerate(kept.rows):
        with _opened(folder, part_name(number), count):
            pass
    for name in names:  # a part that was finished and not noted yet
        if _is_part(name) and name >= part_name(len(kept.rows)):
            folder.remove(name)
    manifest = _Manifest(kept.settings, kept.rows, kept.is_complete)
    manifest.write(folder)
    return manifest


def _is_part(name: str) -> bool:
    return name.startswith("part-") and name.endswith(".parquet")


@contextmanager
def _opened(folder: OutputFolder, name: str, rows: int) -> Iterator[Any]:
    """A part, which must have so many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path, again = _in(folder, name), f"remove {folder} and start again, or put it back"
    with folder.opened(name) as opened:
        try:
            file = pq.ParquetFile(opened)
        except (pa.ArrowException, OSError) as error:
            raise VAAError(f"{path} is damaged ({one_line(error, 80)}); {again}") from error
        if file.metadata.num_rows != rows:
            raise VAAError(f"{path} has {file.metadata.num_rows:,} rows, not {rows:,}; {again}")
        yield file
