"""Ctrl-C and SIGTERM at random moments: one line, the right exit code, nothing half-written."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.command import QUICK, contents

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

# What each command writes, and what may wait there for the next one to go on with.
COMMANDS = {
    "prepare": (("prepare", "dataset", "new", "--crops"), ("new", ".new.crops")),
    "train": (("train", *QUICK, "--epochs", "1", "--run", "new"), ("new",)),
    "evaluate": (("evaluate", "--report", "new"), ("new",)),
    "predict": (
        ("predict", "dataset/images", "--out", "new.csv"),
        ("new.csv", "new.csv.part", "new.csv.part.json"),
    ),
    "calibrate": (("calibrate", "--out", "new.safetensors"), ("new.safetensors",)),
    "compare": (("compare", "runs/latest", "runs/latest", "--samples", "100"), ()),
    "export": (("export", "--out", "new.onnx"), ("new.onnx",)),
    "explain": (("explain", "dataset/images/000.png", "--out", "new"), ("new",)),
}
# Before it has begun to load anything, Python prints a traceback of its own.
_EARLIEST = 0.2


def stopped_at(
    command: tuple[str, ...], folder: Path, moment: float, number: int, to_all: bool
) -> tuple[int, str]:
    """Exit code and stderr of a command that got a signal at a moment, unless it was done."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    process = subprocess.Popen(
        [sys.executable, "-m", "vaa_cli", *command],
        cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        if to_all:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize(
    ("name", "times"),
    [("prepare", 3), ("predict", 3)]
    + [pytest.param(name, 200, marks=pytest.mark.slow) for name in COMMANDS],
)
def test_any_moment(workspace: Path, tmp_path: Path, name: str, times: int) -> None:
    command, written = COMMANDS[name]
    for part in ("dataset", "prepared", "runs"):
        shutil.copytree(workspace / part, tmp_path / part, symlinks=True)
    (tmp_path / "tmp").mkdir()
    before = contents(tmp_path)
    draw = random.Random(name)
    started = time.monotonic()
    code, errors = stopped_at(command, tmp_path, 600, signal.SIGINT, False)
    assert code == 0, errors
    duration = time.monotonic() - started
    for _ in range(times):
        for path in map(tmp_path.joinpath, written):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        number = draw.choice([signal.SIGINT, signal.SIGTERM])
        moment = draw.uniform(_EARLIEST, duration)
        to_all = draw.random() < 0.5
        code, errors = stopped_at(command, tmp_path, moment, number, to_all)
        about = f"{name}, signal {number} after {moment:.2f} of {duration:.2f} s: {errors}"
        assert code in (0, 128 + number), about
        assert "Traceback" not in errors and "Exception ignored" not in errors, about
        if code:
            last = errors.splitlines()[-1]
            assert "stopped" in last or "interrupted" in last, about
        left = set(contents(tmp_path)) - set(before) - set(written)
        # torch has caches of its own there.
        ours = [n for n in contents(tmp_path / "tmp") if n.startswith(("vaa-", "pymp-"))]
        assert not left and not ours, (about, left, ours)
