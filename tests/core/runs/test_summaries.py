"""Runs at a glance, and removed."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.reports.run_tables import size_text
from vaa_cli.core.runs.folder import locked
from vaa_cli.core.runs.lookup import mark_latest
from vaa_cli.core.runs.summaries import delete_run, run_summaries


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_run(name: str, age: float = 0.0) -> Path:
    run = Path("runs") / name
    run.mkdir(parents=True)
    options = {"backbone": "resnet18", "best_by": "mAP"}
    (run / "config.json").write_text(json.dumps({"options": options, "data": "prepared"}))
    (run / "log.csv").write_text("epoch,val_mA,val_mAP\n1,0.5,0.9\n2,0.7,0.8\n3,0.6,\n")
    (run / "best.safetensors").write_bytes(bytes(1000))
    os.utime(run, (time.time() - age,) * 2)
    return run


def test_the_runs_of_a_folder() -> None:
    assert run_summaries() == []
    older, newer = make_run("a", age=100), make_run("b")
    (newer / "best.safetensors").unlink()
    (Path("runs") / "other").mkdir()
    mark_latest(older)
    os.utime(newer)
    second, first = run_summaries()[::-1]
    assert (first.path, second.path) == (newer, older)
    assert (second.backbone, second.data, second.epochs) == ("resnet18", "prepared", 3)
    assert second.best == {"mA": 0.5, "mAP": 0.9}  # of the epoch that is best by mAP
    assert second.has_model and not first.has_model
    assert second.size == sum(path.stat().st_size for path in older.iterdir())


def test_a_broken_run_is_one_of_them() -> None:
    run = make_run("a")
    (run / "config.json").write_text("{")
    (run / "log.csv").write_text("")
    (summary,) = run_summaries()
    assert (summary.backbone, summary.epochs, summary.best) == ("", 0, {})


def test_a_run_is_removed_with_all_that_trainings_write() -> None:
    run = make_run("a")
    for name in ("last.ckpt", "step-00000012.ckpt", "events.out.tfevents.1.host", "best.onnx"):
        (run / name).touch()
    (run / "aside-20260101-000000").mkdir()
    mark_latest(run)
    delete_run(Path("runs/latest"))
    assert contents(Path("runs")) == []


@pytest.mark.parametrize("what", ["foreign", "none", "gone", "trained"])
def test_what_is_not_removed(what: str) -> None:
    run = make_run("a")
    if what == "foreign":
        (run / "thesis.tex").touch()
    if what == "none":
        (run / "config.json").unlink()
        (run / "best.safetensors").unlink()
    before = contents(run)
    target = Path("runs/b") if what == "gone" else run
    messages = {
        "foreign": "thesis.tex", "none": "no run folder", "gone": "no such run",
        "trained": "being trained",
    }  # fmt: skip
    if what == "trained":
        with locked(run), pytest.raises(VAAError, match=messages[what]):
            delete_run(target)
    else:
        with pytest.raises(VAAError, match=messages[what]):
            delete_run(target)
    assert contents(run) == before


def test_sizes_are_short() -> None:
    sizes = {0: "0 B", 999: "999 B", 1000: "1 kB", 999_600: "1 MB", 204_000_000: "204 MB",
             3_200_000_000: "3 GB", 5_500_000_000_000: "5.5 TB"}  # fmt: skip
    assert {size: size_text(size) for size in sizes} == sizes
