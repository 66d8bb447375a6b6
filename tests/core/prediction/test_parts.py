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
from vaa_cli.core.prediction.parts import PartsJob, is_complete, kept_pictures, parts_folder
from vaa_cli.core.prediction.predictor import Prediction

pq = pytest.importorskip("pyarrow.parquet")


# Seven rows, of which two batches of three are whole.
PART_ROWS = 7


@pytest.fixture
def job(tmp_path: Path) -> PartsJob:
    return PartsJob(tmp_path / "rows", {"model": "m", "--batch-size": 3}, 3, PART_ROWS)


def folder_of(job: PartsJob) -> Path:
    assert isinstance(job.place, Path)
    return job.place


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


def rows_at(folder: str) -> list[dict[str, Any]]:
    """The rows of parts in the memory file system."""
    fs = pytest.importorskip("fsspec").filesystem("memory")
    files = [name for name in sorted(fs.ls(folder, detail=False)) if name.endswith(".parquet")]
    return [row for file in files for row in pq.read_table(fs.open(file)).to_pylist()]


def write(job: PartsJob, count: int, resume: bool = False, stop_at: int | None = None) -> int:
    """Write rows as vaa predict does; stopped before one of them, as by Ctrl-C."""
    with parts_folder(job, COLUMNS, resume) as opened:
        for number, prediction in enumerate(predictions(count)):
            if number < opened.kept:
                continue
            if number == stop_at:
                raise KeyboardInterrupt
            opened.rows.write(prediction)
        opened.rows.finish()
    return opened.kept


@pytest.mark.parametrize("count", [0, 1, 6, 7, 12, 20])
def test_rows_are_in_parts(job: PartsJob, count: int) -> None:
    write(job, count)
    sizes = [pq.read_table(file).num_rows for file in sorted(folder_of(job).glob("*.parquet"))]
    assert sizes == [6] * (count // 6) + ([count % 6] if count % 6 else [])
    rows = rows_of(folder_of(job))
    assert [row["image"] for row in rows] == [f"{number}.jpg" for number in range(count)]
    assert [row["error"] for row in rows] == [
        "broken" if number % 5 == 4 else None for number in range(count)
    ]
    assert is_complete(folder_of(job))
    assert list(kept_pictures(folder_of(job))) == [
        (f"{number}.jpg", number % 5 == 4) for number in range(count)
    ]


@pytest.mark.parametrize("stops", [(0,), (5,), (6,), (3, 9, 13), (19,), tuple(range(20))])
def test_a_job_goes_on_after_each_stop(job: PartsJob, stops: Sequence[int], tmp_path: Path) -> None:
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            write(job, 20, resume=(folder_of(job) / "manifest.json").exists(), stop_at=stop)
        assert not is_complete(folder_of(job))
        whole = [pq.read_table(file).num_rows for file in sorted(folder_of(job).glob("*.parquet"))]
        assert whole == [6] * len(whole)
    kept = write(job, 20, resume=True)
    assert kept == max(stops) // 6 * 6
    other = replace(job, place=tmp_path / "other")
    write(other, 20)
    assert rows_of(folder_of(job)) == rows_of(folder_of(other))
    names = sorted(path.name for path in folder_of(job).iterdir() if path.name != ".lock")
    assert names == ["manifest.json", *(f"part-{number:05d}.parquet" for number in range(4))]


def test_a_part_that_was_not_noted_is_written_again(job: PartsJob) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(job, 20, stop_at=13)
    manifest = json.loads((folder_of(job) / "manifest.json").read_text())
    manifest["rows"].pop()  # as after a power cut between the part and the manifest
    (folder_of(job) / "manifest.json").write_text(json.dumps(manifest))
    assert write(job, 20, resume=True) == 6
    assert [row["image"] for row in rows_of(folder_of(job))] == [
        f"{number}.jpg" for number in range(20)
    ]


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
def test_what_cannot_be_gone_on_with(job: PartsJob, change: Any, reason: str) -> None:
    write(job, 9)
    before = sorted(path.name for path in folder_of(job).iterdir())
    change(folder_of(job))
    with pytest.raises(VAAError, match=reason) as error:
        write(job, 20, resume=True)
    assert "\n" not in str(error.value)
    assert {path.name for path in folder_of(job).iterdir()} >= set(before) - {
        "part-00000.parquet", "manifest.json"
    }  # fmt: skip


def test_a_file_is_no_folder(job: PartsJob) -> None:
    folder_of(job).write_text("mine")
    with pytest.raises(VAAError, match="rows is a file"):
        write(job, 9)
    assert folder_of(job).read_text() == "mine"


def test_parts_are_not_written_over(job: PartsJob) -> None:
    write(job, 9)
    before = rows_of(folder_of(job))
    with pytest.raises(VAAError, match="holds parts of a job"):
        write(job, 20)
    with pytest.raises(VAAError, match="was begun with model m, and now it is other"):
        write(replace(job, settings={**job.settings, "model": "other"}), 20, resume=True)
    assert rows_of(folder_of(job)) == before


def test_parts_at_a_url_are_the_same(job: PartsJob) -> None:
    fs = pytest.importorskip("fsspec").filesystem("memory")
    stored = replace(job, place="memory://parts/rows/")
    try:
        with pytest.raises(KeyboardInterrupt):
            write(stored, 20, stop_at=14)
        assert not is_complete("memory://parts/rows/")
        fs.rm("/parts/rows/part-00001.parquet")
        with pytest.raises(VAAError, match=r"part-00001\.parquet: nothing is there"):
            write(stored, 20, resume=True)
        fs.rm("/parts", recursive=True)
        with pytest.raises(KeyboardInterrupt):
            write(stored, 20, stop_at=14)
        with pytest.raises(VAAError, match="holds parts of a job"):
            write(stored, 20)
        assert write(stored, 20, resume=True) == 12
        assert is_complete("memory://parts/rows/")
        write(job, 20)
        assert rows_at("/parts/rows") == rows_of(folder_of(job))
    finally:
        fs.rm("/parts", recursive=True)


def test_of_two_processes_at_a_url_one_stops(job: PartsJob) -> None:
    fs = pytest.importorskip("fsspec").filesystem("memory")
    stored = replace(job, place="memory://parts/rows/")
    try:
        with (
            pytest.raises(VAAError, match="is being written by another process, too"),
            parts_folder(stored, COLUMNS, False) as first,
        ):
            for number, prediction in enumerate(predictions(20)):
                first.rows.write(prediction)
                if number == 8:
                    assert write(stored, 20, resume=True) == 6
        assert is_complete("memory://parts/rows/")
        assert [row["image"] for row in rows_at("/parts/rows")] == [
            f"{number}.jpg" for number in range(20)
        ]
    finally:
        fs.rm("/parts", recursive=True)
