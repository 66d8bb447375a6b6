"""A file of predictions that appears when it is whole, and is gone on with when it is not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import Request
from vaa_cli.core.prediction.columns import Column, Columns
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.formats import CSVRows, open_rows
from vaa_cli.core.prediction.job import Job, job_file, kept_pictures, standard_output
from vaa_cli.core.prediction.predictor import Prediction

COLUMNS = Columns((Column("hat", (0,)), Column('a "bag"', (1,))), DecisionRule((0.5, 0.5)))
NAMES = [
    "a.jpg", "with, comma.jpg", 'with "quotes".jpg', "two\nlines.jpg", "\r\n\r.jpg", '"\n"\n".jpg',
    os.fsdecode(b"\xff\n\xfe.jpg"), "Straße.jpg", "'.jpg", '""', "end.jpg",
]  # fmt: skip


def predictions() -> list[Prediction]:
    found = []
    for i, name in enumerate(NAMES):
        broken = i % 4 == 3
        found.append(
            Prediction(
                Request(name),
                None if broken else np.array([i / 16, 0.25], dtype=np.float32),
                'broken, "very"' if broken else None,
            )
        )
    return found


def make_job(path: Path, format: str = "csv", batch_size: int = 3) -> Job:
    header = CSVRows.header_of(COLUMNS) if format == "csv" else b""
    return Job(path, format, header, {"model": "abc", "--tta": False}, batch_size)


def write(job: Job, resume: bool = False) -> tuple[int, list[tuple[str, bool]]]:
    """Write all predictions, or those that are missing; what was kept."""
    with job_file(job, resume) as output:
        kept = list(kept_pictures(job, output.kept))
        rows = open_rows(job.format, output.file, COLUMNS, output.begun)
        for prediction in predictions()[output.kept :]:
            rows.write(prediction)
        rows.finish()
        return output.kept, kept


def leave_part(job: Job, content: bytes) -> None:
    job.path.with_name(job.path.name + ".part").write_bytes(content)
    job.path.with_name(job.path.name + ".part.json").write_text(json.dumps(dict(job.settings)))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(share=st.floats(0, 1), format=st.sampled_from(["csv", "jsonl"]), size=st.integers(1, 5))
def test_a_job_cut_anywhere_ends_the_same(
    tmp_path_factory: pytest.TempPathFactory, share: float, format: str, size: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    job = make_job(folder / "out", format, size)
    write(job)
    whole = job.path.read_bytes()
    job.path.unlink()
    leave_part(job, whole[: round(share * len(whole))])
    kept, names = write(job, resume=True)
    assert job.path.read_bytes() == whole
    assert contents(folder) == ["out"]
    assert kept % size == 0
    assert names == [(p.request.path, p.problem is not None) for p in predictions()[:kept]]
    # Nothing that was whole is done again, but for the last batch.
    rows = [len(line) for line in _rows_of(format)]
    ends = np.cumsum([len(job.header), *rows])[1:]
    assert kept == int((ends <= round(share * len(whole))).sum()) // size * size


def _rows_of(format: str) -> list[bytes]:
    import io

    lines = []
    for prediction in predictions():
        file = io.BytesIO()
        open_rows(format, file, COLUMNS, begun=True).write(prediction)
        lines.append(file.getvalue())
    return lines


def test_the_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    job = make_job(tmp_path / "out.csv")
    job.path.write_text("old")
    with job_file(job, resume=False) as output:
        output.file.write(b"new")
        output.file.flush()
        assert job.path.read_text() == "old"
        assert (tmp_path / "out.csv.part").read_text() == "new"
    assert job.path.read_text() == "new"
    assert contents(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, VAAError])
def test_what_is_interrupted_stays_beside(tmp_path: Path, stop: type[BaseException]) -> None:
    job = make_job(tmp_path / "out.csv")
    with pytest.raises(stop), job_file(job, resume=False) as output:
        output.file.write(b"rows")
        raise stop("stop")
    assert contents(tmp_path) == ["out.csv.part", "out.csv.part.json"]


def test_of_a_job_that_wrote_nothing_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(VAAError), job_file(make_job(tmp_path / "out.csv"), resume=False):
        raise VAAError("stop")
    assert contents(tmp_path) == []


def test_without_resume_it_begins_again(tmp_path: Path) -> None:
    job = make_job(tmp_path / "out.csv")
    leave_part(job, b"something else")
    assert write(job) == (0, [])
    assert contents(tmp_path) == ["out.csv"]


def test_resume_of_what_never_began(tmp_path: Path) -> None:
    job = make_job(tmp_path / "out.csv")
    assert not job.is_complete
    assert write(job, resume=True) == (0, [])
    assert job.is_complete


def test_a_job_is_gone_on_with_only_as_it_was_begun(tmp_path: Path) -> None:
    job = make_job(tmp_path / "out.csv")
    leave_part(job, job.header)
    other = replace(job, settings={"model": "abc", "--tta": True})
    with pytest.raises(VAAError, match=r"begun with --tta False, and now it is True"):
        write(other, resume=True)
    with pytest.raises(VAAError, match="remove it"):
        write(replace(job, header=b"image,other,error\n"), resume=True)
    (tmp_path / "out.csv.part.json").unlink()
    with pytest.raises(VAAError, match="missing or broken"):
        write(job, resume=True)
    with pytest.raises(VAAError, match="parquet cannot be gone on with"):
        write(make_job(tmp_path / "out.parquet", "parquet"), resume=True)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    job = make_job(tmp_path / "out.csv")
    with (
        job_file(job, resume=False),
        pytest.raises(VAAError, match="being written by another"),
        job_file(job, resume=False),
    ):
        pass


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "nowhere"):
        job = make_job(tmp_path / place / "out.csv")
        with pytest.raises(VAAError, match=r"out\.csv"), job_file(job, resume=False):
            pass
    assert contents(tmp_path) == ["file"]


def test_rows_on_stdout_can_be_read_as_they_come(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with standard_output() as file:
        rows = open_rows("csv", file, COLUMNS)
        rows.write(predictions()[0])
        rows.flush()
        header, row = capfdbinary.readouterr().out.splitlines()
        assert header.startswith(b"image,hat,") and row.startswith(b"a.jpg,")
        rows.write(predictions()[3])
    assert capfdbinary.readouterr().out.startswith(b'"two\n')
