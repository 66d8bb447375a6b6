"""Parquet parts in a folder: whole or absent, gone on with, and never another job's."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.core.prediction.test_formats import COLUMNS
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import Request
from vaa_cli.core.prediction.job import Job
from vaa_cli.core.prediction.parts import is_complete, kept_pictures, parts_folder
from vaa_cli.core.prediction.predictor import Prediction

pq = pytest.importorskip("pyarrow.parquet")


# Seven rows, of which two batches of three are whole.
PART_ROWS = 7


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path / "rows", "parquet", b"", {"model": "m", "--batch-size": 3}, 3)


def predictions(count: int) -> Iterator[Prediction]:
    rng = np.random.default_rng(0)
    for number in range(count):
        if number % 5 == 4:
            yield Prediction(Request(f"{number}.jpg"), None, "broken")
        else:
            yield Prediction(Request(f"{number}.jpg"), rng.random(3).astype(np.float32))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def write(job: Job, count: int, resume: bool = False, stop_at: int | None = None) -> int:
    """Write rows as vaa predict does; stopped before one of them, as by Ctrl-C."""
    with parts_folder(job, COLUMNS, resume, PART_ROWS) as opened:
        for number, prediction in enumerate(predictions(count)):
            if number < opened.kept:
                continue
            if number == stop_at:
                raise KeyboardInterrupt
            opened.rows.write(prediction)
        opened.rows.finish()
    return opened.kept


@pytest.mark.parametrize("count", [0, 1, 6, 7, 12, 20])
def test_rows_are_in_parts(job: Job, count: int) -> None:
    write(job, count)
    sizes = [pq.read_table(file).num_rows for file in sorted(job.path.glob("*.parquet"))]
    assert sizes == [6] * (count // 6) + ([count % 6] if count % 6 else [])
    rows = rows_of(job.path)
    assert [row["image"] for row in rows] == [f"{number}.jpg" for number in range(count)]
    assert [row["error"] for row in rows] == [
        "broken" if number % 5 == 4 else None for number in range(count)
    ]
    assert is_complete(job.path)
    assert list(kept_pictures(job.path)) == [
        (f"{number}.jpg", number % 5 == 4) for number in range(count)
    ]


@pytest.mark.parametrize("stops", [(0,), (5,), (6,), (3, 9, 13), (19,), tuple(range(20))])
def test_a_job_goes_on_after_each_stop(job: Job, stops: Sequence[int], tmp_path: Path) -> None:
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            write(job, 20, resume=(job.path / "manifest.json").exists(), stop_at=stop)
        assert not is_complete(job.path)
        whole = [pq.read_table(file).num_rows for file in sorted(job.path.glob("*.parquet"))]
        assert whole == [6] * len(whole)
    kept = write(job, 20, resume=True)
    assert kept == max(stops) // 6 * 6
    other = replace(job, path=tmp_path / "other")
    write(other, 20)
    assert rows_of(job.path) == rows_of(other.path)
    names = sorted(path.name for path in job.path.iterdir() if path.name != ".lock")
    assert names == ["manifest.json", *(f"part-{number:05d}.parquet" for number in range(4))]


def test_a_part_that_was_not_noted_is_written_again(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(job, 20, stop_at=13)
    manifest = json.loads((job.path / "manifest.json").read_text())
    manifest["rows"].pop()  # as after a power cut between the part and the manifest
    (job.path / "manifest.json").write_text(json.dumps(manifest))
    assert write(job, 20, resume=True) == 6
    assert [row["image"] for row in rows_of(job.path)] == [f"{number}.jpg" for number in range(20)]


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def exchanged(path: Path) -> None:
    path.write_bytes(path.with_name("part-00001.parquet").read_bytes())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: damaged(folder / "part-00000.parquet"), "part-00000.parquet is damaged"),
        (lambda folder: (folder / "part-00000.parquet").unlink(), "part-00000.parquet"),
        (lambda folder: exchanged(folder / "part-00000.parquet"), "has 3 rows, not 6"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json is broken"),
        (lambda folder: (folder / "manifest.json").unlink(), "holds parts and no manifest"),
        (lambda folder: (folder / "mine.csv").write_text("x"), "holds other files"),
    ],
)
def test_what_cannot_be_gone_on_with(job: Job, change: Any, reason: str) -> None:
    write(job, 9)
    before = sorted(path.name for path in job.path.iterdir())
    change(job.path)
    with pytest.raises(VAAError, match=reason) as error:
        write(job, 20, resume=True)
    assert "\n" not in str(error.value)
    assert {path.name for path in job.path.iterdir()} >= set(before) - {
        "part-00000.parquet", "manifest.json"
    }  # fmt: skip


def test_a_file_is_no_folder(job: Job) -> None:
    job.path.write_text("mine")
    with pytest.raises(VAAError, match="rows is a file"):
        write(job, 9)
    assert job.path.read_text() == "mine"


def test_parts_are_not_written_over(job: Job) -> None:
    write(job, 9)
    before = rows_of(job.path)
    with pytest.raises(VAAError, match="holds parts of a job"):
        write(job, 20)
    with pytest.raises(VAAError, match="was begun with model m, and now it is other"):
        write(replace(job, settings={**job.settings, "model": "other"}), 20, resume=True)
    assert rows_of(job.path) == before
