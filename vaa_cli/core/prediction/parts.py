"""Predictions as Parquet parts in a folder: each part is whole or absent, and a job goes on.

A manifest says which parts are done, with how many rows, and what they depend on. Rows of a part
that was not finished are computed again, so no row is there twice, and none is lost.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.prediction.columns import Columns
from vaa_cli.core.prediction.formats import ParquetRows
from vaa_cli.core.prediction.job import Job, require_same_settings
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.system.files import is_temporary, whole_file, write_text, writing_errors
from vaa_cli.core.system.input_files import parse_json, read_text, require_file
from vaa_cli.core.system.locks import exclusive

MANIFEST = "manifest.json"
PART_ROWS = 50_000
_LOCK = ".lock"


@dataclass
class _Manifest:
    """What a folder holds.

    Attributes:
        settings: what the rows depend on.
        rows: number of rows of each part.
        is_complete: whether the job is done.
    """

    settings: dict[str, Any]
    rows: list[int] = field(default_factory=list)
    is_complete: bool = False

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        content = {"settings": self.settings, "rows": self.rows, "complete": self.is_complete}
        write_text(folder / MANIFEST, json.dumps(content, indent=2))

    @classmethod
    def read(cls, folder: Path) -> "_Manifest":
        """Read it.

        Raises:
            VAAError: it is missing or broken.
        """
        path = folder / MANIFEST
        try:
            content = parse_json(read_text(path))
            rows = [int(count) for count in content["rows"]]
            return cls(dict(content["settings"]), rows, bool(content["complete"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise VAAError(
                f"{path} is broken ({one_line(error, 80)}), so nobody knows which rows are there; "
                "name a new folder"
            ) from error


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

    def __init__(self, folder: Path, columns: Columns, manifest: _Manifest, part_rows: int) -> None:
        self._folder, self._columns, self._manifest = folder, columns, manifest
        self._part_rows = part_rows
        self._count = 0
        self._rows: ParquetRows | None = None
        self._part = ExitStack()

    def write(self, prediction: Prediction) -> None:
        """Write a row, and finish the part with it if it is full."""
        if self._rows is None:
            path = self._folder / part_name(len(self._manifest.rows))
            self._rows = ParquetRows(self._part.enter_context(whole_file(path)), self._columns)
        self._rows.write(prediction)
        self._count += 1
        if self._count >= self._part_rows:
            self._finish_part()

    def flush(self) -> None:
        """Rows wait for their part."""

    def finish(self) -> None:
        """Finish the last part, and say that the job is done."""
        self._finish_part()
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
        self._part.close()  # on disk, with its name
        self._manifest.rows.append(self._count)
        self._manifest.write(self._folder)
        self._count, self._rows = 0, None


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
def parts_folder(
    job: Job, columns: Columns, resume: bool, part_rows: int = PART_ROWS
) -> Iterator[Parts]:
    """Open a folder for parts.

    Args:
        job: the job, whose path is the folder.
        columns: the columns of a row.
        resume: go on with the parts that are there.
        part_rows: rows of a part; rounded down to whole batches, so that rows are the same as
            without an interruption.

    Raises:
        VAAError: the folder holds other files, or parts and `resume` is not given; another process
            writes there; a part is damaged; or it was begun with other settings.
    """
    folder = job.path
    if folder.exists() and not folder.is_dir():
        raise VAAError(f"{folder} is a file, and parts need a folder; name another one")
    with writing_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    in_use = f"{folder} is being written by another process; wait for it"
    with exclusive(folder / _LOCK, folder, in_use), writing_errors(folder):
        manifest = _begun(job, resume)
        whole_batches = max(1, part_rows // job.batch_size) * job.batch_size
        rows = PartRows(folder, columns, manifest, whole_batches)
        try:
            yield Parts(rows, sum(manifest.rows))
        except BaseException as error:
            rows.abandon(error)
            raise


def is_complete(folder: Path) -> bool:
    """Whether all parts of a job are there."""
    return (folder / MANIFEST).is_file() and _Manifest.read(folder).is_complete


def kept_pictures(folder: Path) -> Iterator[tuple[str, bool]]:
    """The pictures of the parts that are there: name, and whether it has an error.

    Raises:
        VAAError: a part is missing or damaged.
    """
    for number, count in enumerate(_Manifest.read(folder).rows):
        table = _opened(folder / part_name(number), count)
        for batch in table.iter_batches(columns=["image", "error"]):
            for row in batch.to_pylist():
                yield row["image"], row["error"] is not None


def _begun(job: Job, resume: bool) -> _Manifest:
    """The manifest of a folder: a new one, or that of a job that goes on."""
    folder = job.path
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in (MANIFEST, _LOCK) and not _is_part(path) and not is_temporary(path.name)
    )
    if others:
        raise VAAError(f"{folder} holds other files ({others[0]}); name a folder for the parts")
    if not (folder / MANIFEST).exists():
        if any(map(_is_part, folder.iterdir())):
            raise VAAError(f"{folder} holds parts and no {MANIFEST}; name a new folder")
        manifest = _Manifest(dict(job.settings))
        manifest.write(folder)
        return manifest
    if not resume:
        raise VAAError(f"{folder} holds parts of a job; go on with `resume`, or name a new folder")
    manifest = _Manifest.read(folder)
    require_same_settings(job, manifest.settings, "name a new folder")
    for number, count in enumerate(manifest.rows):
        _opened(folder / part_name(number), count).close()
    for path in folder.iterdir():  # a part that was finished and not noted yet
        if _is_part(path) and path.name >= part_name(len(manifest.rows)):
            path.unlink()
    return manifest


def _is_part(path: Path) -> bool:
    return path.name.startswith("part-") and path.suffix == ".parquet"


def _opened(path: Path, rows: int) -> Any:
    """A part, which must have so many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    again = f"remove {path.parent} and start again, or put it back"
    require_file(path)
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise VAAError(f"{path} is damaged ({one_line(error, 80)}); {again}") from error
    if file.metadata.num_rows != rows:
        raise VAAError(f"{path} has {file.metadata.num_rows:,} rows, not {rows:,}; {again}")
    return file
