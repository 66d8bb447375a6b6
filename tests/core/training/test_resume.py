"""A training that was stopped goes on as if it had not been: the same weights, bit for bit."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models import get_model

from benchmarks.kill_resume import (
    TRAIN,
    differences,
    log_without_times,
    train_to_end,
    train_with_kills,
)
from tests.core.training.test_loop import judgements
from tests.helpers.command import (
    QUICK,
    assert_one_line_error,
    contents,
    limit_file_size,
    run_process,
    run_vaa,
    run_without_torch,
)
from tests.helpers.figures import make_dataset, make_prepared
from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import read_card
from vaa_cli.core.models.model_file import save_model
from vaa_cli.core.runs import log
from vaa_cli.core.runs.folder import kept_config, locked
from vaa_cli.core.system.files import write_text
from vaa_cli.core.training import run_writer, validation
from vaa_cli.core.training.events import EpochReport, Finished, StepReport, Stopped, TrainingWarning
from vaa_cli.core.training.loop import train, training_events
from vaa_cli.core.training.option_sources import resumed_options
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.state_file import read_state
from vaa_cli.core.training.stop_request import StopRequest

OPTIONS = TrainingOptions(
    backbone="resnet18", weights="none", image_size=(32, 32), hidden=8, workers=0, batch_size=5,
    precision="fp32", device="cpu", epochs=3, lr=1e-3, ema=0.9, burn_in=0, tensorboard=False,
)  # fmt: skip
STEPS = 3  # of an epoch: 15 pictures


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("resume"), train=15, val=6)


@pytest.fixture(scope="module")
def whole(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that was never stopped."""
    run = tmp_path_factory.mktemp("whole") / "run"
    *_, end = training_events(data, OPTIONS, run)
    assert isinstance(end, Finished)
    return run


SHORT = replace(OPTIONS, epochs=1)


@pytest.fixture(scope="module")
def short(data: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of one epoch."""
    run = tmp_path_factory.mktemp("short") / "run"
    list(training_events(data, SHORT, run))
    return run


def train_until(
    data: Prepared,
    run: Path,
    epoch: int,
    step: int,
    options: TrainingOptions = OPTIONS,
    checkpoint: Path | None = None,
) -> Stopped | Finished:
    """Train until a signal comes after some step; this step is not the last one that is done."""
    stop = StopRequest()
    for event in training_events(data, options, run, checkpoint=checkpoint, stop=stop):
        if isinstance(event, StepReport) and (event.epoch, event.step) == (epoch, step):
            stop.signal = signal.SIGTERM
        if isinstance(event, Stopped | Finished):
            return event
    raise AssertionError


def resume(data: Prepared, run: Path, options: TrainingOptions = OPTIONS) -> list[Any]:
    return list(training_events(data, options, run, checkpoint=run / "last.ckpt"))


def tensors(value: Any, path: str = "") -> dict[str, Tensor | float | str]:
    """All that a nested state holds, by its path, without times."""
    if isinstance(value, dict):
        items = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(i), part) for i, part in enumerate(value)]
    else:
        return {path: value}
    return {
        name: leaf
        for key, part in items
        if "second" not in key
        for name, leaf in tensors(part, f"{path}/{key}").items()
    }


def assert_same_state(one: Path, other: Path) -> None:
    states = [tensors(read_state(run / "last.ckpt")) for run in (one, other)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if isinstance(value, Tensor):
            assert torch.equal(value, states[1][name]), name  # type: ignore[arg-type]
        elif "options" not in name:
            assert value == states[1][name], name


def assert_same_run(one: Path, other: Path) -> None:
    assert differences(one, other) == []
    assert_same_state(one, other)


@pytest.mark.parametrize(
    ("epoch", "step", "stands"),
    [
        pytest.param(2, 2, (1, 3), marks=pytest.mark.slow),  # the epoch is learnt, not scored
        (2, 3, (1, 3)),  # the signal comes while val is scored
        pytest.param(3, 1, (2, 2), marks=pytest.mark.slow),  # a signal is seen by the next step
    ],
)
def test_stopped_anywhere(
    data: Prepared, whole: Path, tmp_path: Path, epoch: int, step: int, stands: tuple[int, int]
) -> None:
    run = tmp_path / "run"
    end = train_until(data, run, epoch, step)
    assert isinstance(end, Stopped)
    assert end.signal == signal.SIGTERM
    assert (end.epochs_done, end.steps_done) == stands
    # Other numbers of workers change nothing, and neither does what is drawn in between.
    torch.manual_seed(99)
    events = resume(data, run, replace(OPTIONS, workers=2))
    assert isinstance(events[-1], Finished)
    assert_same_run(whole, run)


@pytest.mark.slow
def test_stopped_again_and_again(data: Prepared, short: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    stop, count, end = StopRequest(), 0, None
    while not isinstance(end, Finished):
        # Asked to stop at once, it does one step; only scoring an epoch needs a moment of peace.
        scoring = isinstance(end, Stopped) and end.steps_done == STEPS
        stop.signal = 0 if scoring else signal.SIGINT
        checkpoint = run / "last.ckpt" if count else None
        *_, end = training_events(data, SHORT, run, checkpoint=checkpoint, stop=stop)
        count += 1
    assert count == STEPS + 1
    assert_same_run(short, run)


@pytest.mark.slow
def test_early_stopping_goes_on_counting(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (same,) = judgements([(0.5, 1.0)])
    monkeypatch.setattr(validation, "validate", lambda *_: same)
    options = replace(OPTIONS, epochs=8, patience=2, ema=0.0)
    *_, end = training_events(data, options, tmp_path / "whole")
    train_until(data, tmp_path / "run", 2, 1, options)
    assert resume(data, tmp_path / "run", options)[-1] == end
    assert isinstance(end, Finished) and end.stopped_early
    assert_same_run(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
def test_the_paper_recipe_resumes_too(data: Prepared, tmp_path: Path) -> None:
    options = replace(OPTIONS, recipe="paper", clip_norm=1.0, accumulate=2, epochs=2)
    list(training_events(data, options, tmp_path / "whole"))
    train_until(data, tmp_path / "run", 1, 1, options)
    resume(data, tmp_path / "run", options)
    assert_same_run(tmp_path / "whole", tmp_path / "run")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    "fatal",
    [
        "best.safetensors",
        "log.csv",
    ],
)
def test_killed_between_two_files(
    data: Prepared, short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fatal: str
) -> None:
    """At the end of an epoch, after the checkpoint and before all that goes with it is written."""
    run = tmp_path / "run"

    def killing(write: Callable[..., None]) -> Callable[..., None]:
        def wrapped(path: Path, *arguments: Any) -> None:
            if path.name == fatal:
                raise Killed
            write(path, *arguments)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(run_writer, "save_model", killing(save_model))
        patch.setattr(log, "write_text", killing(write_text))
        with pytest.raises(Killed):
            list(training_events(data, SHORT, run))
    resume(data, run, SHORT)
    assert_same_run(short, run)


def test_a_finished_training_is_left_as_it_is(data: Prepared, tmp_path: Path) -> None:
    run = tmp_path / "run"
    *_, end = training_events(data, replace(OPTIONS, epochs=1), run)
    before = {name: (run / name).read_bytes() for name in contents(run)}
    events = resume(data, run, replace(OPTIONS, epochs=1))
    assert not [event for event in events if isinstance(event, StepReport | EpochReport)]
    assert events[-1] == end
    assert {name: (run / name).read_bytes() for name in contents(run)} == before


@pytest.mark.slow
def test_a_finished_training_takes_more_epochs(data: Prepared, tmp_path: Path) -> None:
    run, options = tmp_path / "run", replace(OPTIONS, lr=0.0, epochs=2, patience=1, ema=0.0)
    *_, end = training_events(data, options, run)
    assert isinstance(end, Finished) and not end.stopped_early
    kept, _ = kept_config(run)
    asked = replace(TrainingOptions(), epochs=4, patience=0)
    more = resumed_options(kept, asked, ["epochs", "patience"], run)
    assert more == replace(options, epochs=4, patience=0)
    events = resume(data, run, more)
    epochs = [event.epoch for event in events if isinstance(event, EpochReport)]
    assert epochs == [3, 4]
    # The next one to resume it finds these options.
    kept, _ = kept_config(run)
    assert resumed_options(kept, TrainingOptions(), [], run) == more
    with pytest.raises(VAAError, match="epochs 4, not 3"):
        resumed_options(kept, replace(TrainingOptions(), epochs=3), ["epochs"], run)


def test_going_back_to_an_earlier_checkpoint(data: Prepared, whole: Path, tmp_path: Path) -> None:
    """`--keep 2` leaves the epoch before; what was trained after it is set aside, not lost."""
    run = tmp_path / "run"
    options = replace(OPTIONS, keep=2, epochs=3)
    list(training_events(data, options, run))
    earlier = run / f"step-{2 * STEPS:08d}.ckpt"
    assert sorted(run.glob("*.ckpt")) == [run / "last.ckpt", earlier]
    last = (run / "last.ckpt").read_bytes()
    events = list(training_events(data, options, run, checkpoint=earlier))
    (warning,) = [event.message for event in events if isinstance(event, TrainingWarning)]
    (aside,) = run.glob("aside-*")
    assert str(aside) in warning
    assert (aside / "last.ckpt").read_bytes() == last
    assert log_without_times(run) == log_without_times(whole)
    assert_same_state(whole, run)


@pytest.mark.slow
def test_a_best_model_of_another_past_is_set_aside(data: Prepared, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = replace(OPTIONS, keep=3, epochs=3, ema=0.0)
    list(training_events(data, options, run))
    best = read_card(run / "best.safetensors").epoch
    earlier = run / f"step-{STEPS:08d}.ckpt"
    list(training_events(data, options, run, checkpoint=earlier))
    assert read_card(run / "best.safetensors").epoch == best
    (aside,) = run.glob("aside-*")
    assert (aside / "best.safetensors").exists() == (best > 1)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(Path.unlink, marks=pytest.mark.slow),
        lambda path: path.write_bytes(b"broken"),
    ],
)
def test_a_best_model_that_is_lost(
    data: Prepared, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Its weights cannot be had again, but training goes on to a new best one."""
    run = tmp_path / "run"
    options = replace(OPTIONS, epochs=2, ema=0.0)
    train_until(data, run, 2, 1, options)
    damage(run / "best.safetensors")
    events = resume(data, run, options)
    (warning,) = [event.message for event in events if isinstance(event, TrainingWarning)]
    assert "best.safetensors is missing" in warning
    assert read_card(run / "best.safetensors").epoch == 2


def test_what_it_began_with_may_be_gone(data: Prepared, tmp_path: Path) -> None:
    run, weights = tmp_path / "run", tmp_path / "weights.pth"
    torch.save(get_model("resnet18", weights=None).state_dict(), weights)
    options = replace(OPTIONS, epochs=1, weights=str(weights))
    train_until(data, run, 1, 1, options)
    weights.unlink()
    assert isinstance(resume(data, run, options)[-1], Finished)


def test_other_data_is_refused(data: Prepared, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_until(data, run, 1, 1)
    fewer = {**data.splits, "train": data.splits["train"].select(range(14))}
    with pytest.raises(VAAError, match="other pictures or labels"):
        resume(replace(data, splits=fewer), run)


def test_a_checkpoint_of_another_model_is_refused(data: Prepared, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_until(data, run, 1, 1)
    with pytest.raises(VAAError, match="does not fit"):
        resume(data, run, replace(OPTIONS, hidden=16))
    (run / "last.ckpt").write_bytes((run / "last.ckpt").read_bytes()[:1000])
    with pytest.raises(VAAError, match="not the state of a training"):
        resume(data, run)


# The real `vaa`


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a prepared dataset, and a run in it that was never stopped."""
    folder = tmp_path_factory.mktemp("commands")
    make_dataset(folder / "dataset", count=60)
    assert run_vaa("prepare", "dataset", cwd=folder).code == 0
    train_to_end(folder, "whole", ARGUMENTS, workers=1)
    return folder


ARGUMENTS = (*TRAIN, "--epochs", "3", "--save-every", "1s")


@pytest.mark.slow
def test_killed_at_random_moments(folder: Path) -> None:
    """The small one; benchmarks/kill_resume.py kills 20 times."""
    kills = train_with_kills(folder, "killed", ARGUMENTS, 3, latest=9.0, rng=Random(4))
    assert len(kills.moments) >= 1
    assert differences(folder / "whole", folder / "killed") == []


def train_and_send(folder: Path, run: str, number: int) -> tuple[int, str]:
    """Train until the first epoch is done, then send a signal; the exit code and the messages."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vaa_cli", "train", *ARGUMENTS, "--run", run, "--workers", "1"],
        cwd=folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 1/3"):
            break
    process.send_signal(number)
    messages = process.stderr.read()
    return process.wait(60), messages


@pytest.mark.slow
def test_a_scheduler_stops_it(folder: Path) -> None:
    ended, messages = train_and_send(folder, "terminated", signal.SIGTERM)
    assert ended == 128 + signal.SIGTERM
    assert "go on with: vaa train --resume terminated" in messages
    assert (folder / "terminated" / "last.ckpt").exists()


@pytest.mark.slow
def test_ctrl_c_then_a_full_disk_then_on_to_the_end(folder: Path) -> None:
    """Files limited to less than a checkpoint: one line, and the checkpoint there still works."""
    run = "stopped"
    ended, messages = train_and_send(folder, run, signal.SIGINT)
    assert ended == 130
    assert "stopping after this step" in messages
    assert f"go on with: vaa train --resume {run}" in messages
    assert "Traceback" not in messages

    before = (folder / run / "last.ckpt").read_bytes()
    outcome = run_process(
        "train", "--resume", run, cwd=folder, before=lambda: limit_file_size(10_000_000)
    )
    assert_one_line_error(
        outcome, f"cannot write {run}/last.ckpt: File too large", f"{run}/last.ckpt keeps epoch",
        f"whole; make room and go on with: vaa train --resume {run}",
    )  # fmt: skip
    assert (folder / run / "last.ckpt").read_bytes() == before

    outcome = run_vaa("train", "--resume", run, "--workers", "2", cwd=folder)
    assert outcome.code == 0, outcome.err
    assert f"going on with {run} after" in outcome.err
    assert "epoch 1/3" not in outcome.err
    assert differences(folder / "whole", folder / run) == []


def test_one_training_a_folder(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree((workspace / "runs" / "latest").resolve(), tmp_path / "run")
    with locked(tmp_path / "run"):
        outcome = run_without_torch(
            "train", "--resume", tmp_path / "run",
            cwd=workspace,
        )  # fmt: skip
    assert_one_line_error(outcome, "run is being trained by another process")


def test_requests_to_resume_that_make_no_sense(workspace: Path, tmp_path: Path) -> None:
    run, prepared = workspace / "runs" / "latest", workspace / "prepared"
    (tmp_path / "empty").mkdir()
    for arguments, parts in (
        (["--resume", "--data", prepared], ("no run to resume", "vaa train")),
        (["--resume", "nowhere"], ("nowhere", "no such run folder")),
        (["--resume", prepared], ("no run folder", "config.json")),
        (["--resume", run, "--lr", "0.5"], ("lr 0.001, not 0.5", "new run")),
        (["--resume", run, "--set", "hidden=32"], ("hidden 512, not 32",)),
        ([run], ("vaa train --resume", "latest")),
    ):
        outcome = run_without_torch("train", *arguments, cwd=tmp_path / "empty")
        assert_one_line_error(outcome, *parts)
    assert contents(tmp_path / "empty") == []
    outcome = run_without_torch("train", *QUICK, "--run", "runs/latest", cwd=workspace)
    assert_one_line_error(outcome, "exists already", "vaa train --resume runs/latest")


def test_other_pictures_under_the_same_names_are_refused(
    data: Prepared, short: Path, tmp_path: Path
) -> None:
    root = data.split("train").root
    copied = tmp_path / "pictures"
    shutil.copytree(str(root), copied)
    splits = {name: replace(table, root=copied) for name, table in data.splits.items()}
    moved = replace(data, splits=splits)
    run = tmp_path / "run"
    shutil.copytree(short, run)
    assert isinstance(resume(moved, run, SHORT)[-1], Finished)  # the same, in another place
    first, second = data.split("train").distinct_images.names[:2]
    (copied / first).unlink()
    assert isinstance(resume(moved, run, SHORT)[-1], Finished)  # what is gone is no other picture
    (copied / second).write_bytes((copied / second).read_bytes() + b"\0")
    with pytest.raises(VAAError, match=f"{second} has another content"):
        resume(moved, run, SHORT)


def test_a_resumed_training_that_fails_leaves_its_options(
    data: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that was stopped before its first checkpoint there is config.json alone."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")

    def fail(*_: object) -> None:
        raise VAAError("no memory")

    monkeypatch.setattr("vaa_cli.core.training.loop.training_events", fail)
    with pytest.raises(VAAError, match="no memory"):
        train(data, SHORT, run)
    assert [path.name for path in run.iterdir()] == ["config.json"]
