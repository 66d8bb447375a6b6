"""`vaa` on two processes, as torchrun starts them, against one: the same numbers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.helpers.command import Outcome, read_rows, run_vaa
from tests.helpers.figures import make_dataset
from vaa_cli.core.training.state_file import read_state

# Plain SGD with a small rate, as rounding grows where AdamW divides by the gradient's size. The
# 39 pictures are 3 batches of 13, so that the processes' shares of each are not equal.
TRAIN = (
    "--backbone", "resnet18", "--weights", "none", "--image-size", "64x32", "--batch-size", "13",
    "--recipe", "paper", "--lr", "1e-5", "--epochs", "2", "--burn-in", "0", "--ema", "0.5",
    "--set", "hidden=32", "--workers", "0", "--no-tensorboard",
)  # fmt: skip
SHARDS = ("--shards", "--shard-size", "10KB")


def run_on_two(*arguments: str | Path, cwd: Path, stdin: str | None = None) -> Outcome:
    """Run the real `vaa` on two processes that work together."""
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    done = subprocess.run(
        [sys.executable, "-m", *start, "vaa_cli", *map(str, arguments)],
        cwd=cwd, input=stdin, capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(
    scope="module",
    params=[(), pytest.param(SHARDS, marks=pytest.mark.slow)],
    ids=["files", "shards"],
)
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """A folder with the same training by one process and by two."""
    folder = tmp_path_factory.mktemp("together")
    make_dataset(folder / "dataset", count=61)
    assert run_vaa("prepare", "dataset", *request.param, cwd=folder).code == 0
    one = run_vaa("train", *TRAIN, "--run", "one", cwd=folder)
    assert one.code == 0, one.err
    two = run_on_two("train", *TRAIN, "--sync-bn", "--run", "two", cwd=folder)
    assert two.code == 0, two.err
    # One process speaks, and all of them are in what it says.
    assert [line for line in two.err.splitlines() if line.startswith("epoch 1/2")]
    assert two.err.count("best epoch") == 1
    assert "on cpu, fp32, 2 processes" in two.err
    return folder


def state(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = read_state(run / "last.ckpt")
    return loaded


@pytest.mark.slow
def test_the_same_losses(folder: Path) -> None:
    one, two = (pd.read_csv(folder / name / "log.csv") for name in ("one", "two"))
    losses = ["loss", "primary", "attention_3", "attention_4", "val_loss", "ema_val_loss"]
    np.testing.assert_allclose(two[losses], one[losses], rtol=1e-3)
    # Scores are counts of decisions, of which one on the edge may fall the other way.
    np.testing.assert_allclose(two["val_mAP"], one["val_mAP"], atol=0.1)


@pytest.mark.slow
def test_the_same_history(folder: Path) -> None:
    """Whichever process saw a sample, all its predictions are there, near to rounding."""
    one, two = (state(folder / name)["history"] for name in ("one", "two"))
    assert torch.equal(one["cursor"], two["cursor"])
    assert (one["cursor"] > 0).all()
    apart = (one["values"].int() - two["values"].int()).abs().float() / 65535
    assert apart[:, 0].max() < 1e-3 and apart.max() < 1e-2


@pytest.mark.slow
def test_the_same_weights(folder: Path) -> None:
    """What training has changed differs by far less than it is: neither half nor twice of it."""
    one, two = (state(folder / name) for name in ("one", "two"))
    for part in ("model", "ema"):
        weights = [each[part] if part == "model" else each[part]["model"] for each in (one, two)]
        for name, value in weights[0].items():
            apart = (value.double() - weights[1][name].double()).norm()
            assert apart <= 1e-3 * value.double().norm() + 1e-3, name
    momentum = [each["optimizer"]["state"] for each in (one, two)]
    # The classifiers' gradients are the least touched by rounding on their way back.
    buffers = [[s["momentum_buffer"] for s in each.values()] for each in momentum]
    norms = np.array([[float(b.double().norm()) for b in each] for each in buffers])
    large = norms[0] > 1e-3 * norms[0].max()
    np.testing.assert_allclose(norms[1][large], norms[0][large], rtol=0.2)


@pytest.mark.slow
def test_the_same_evaluation(folder: Path) -> None:
    """Nothing is counted twice: 11 pictures on 2 processes in batches of 4."""
    arguments = (
        "evaluate", "--run", "one", "--format", "json", "--batch-size", "4", "--precision", "fp32"
    )  # fmt: skip
    one, two = run_vaa(*arguments, cwd=folder), run_on_two(*arguments, cwd=folder)
    assert two.code == 0, two.err
    expected, found = json.loads(one.out), json.loads(two.out)
    assert expected["images"] % 2 == 1
    assert found["totals"] == pytest.approx(expected["totals"], abs=1e-4)
    for a, b in zip(expected["attributes"], found["attributes"], strict=True):
        assert b == pytest.approx(a, abs=1e-4)


@pytest.mark.slow
def test_the_same_predictions(workspace: Path) -> None:
    """In order, with a broken picture, from a folder and from stdin."""
    folder = workspace
    (folder / "shared").mkdir()
    for i in range(7):
        source = folder / "dataset" / "images" / f"{i:03d}.png"
        (folder / "shared" / source.name).write_bytes(source.read_bytes())
    (folder / "shared" / "004.png").write_bytes(b"broken")
    names = "dataset/images/001.png\nshared/002.png\n"
    arguments = ("predict", "shared", "-", "--batch-size", "2", "--precision", "fp32")
    one = run_vaa(*arguments, cwd=folder, stdin=names)
    two = run_on_two(*arguments, cwd=folder, stdin=names)
    assert one.code == two.code == 1
    assert "1 of 9 pictures could not be read" in two.err
    expected, found = read_rows(one.out), read_rows(two.out)
    assert [row["image"] for row in found] == [row["image"] for row in expected]
    for a, b in zip(expected, found, strict=True):
        assert a["error"] == b["error"]
        for attribute in ("red", "hat", "striped"):
            assert bool(a[attribute]) == bool(b[attribute])
            assert float(b[attribute] or 0) == pytest.approx(float(a[attribute] or 0), abs=1e-5)


@pytest.mark.slow
def test_what_is_wrong_is_reported_once(folder: Path) -> None:
    outcome = run_on_two("train", *TRAIN, "--image-size", "much", cwd=folder)
    assert outcome.code != 0
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error:")]
    assert "much" in line
    outcome = run_on_two("train", *TRAIN, "--batch-size", "3", "--no-sync-bn", cwd=folder)
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error:")]
    assert "in batches of 3 on 2 processes: batch normalisation needs two at a time" in line


@pytest.mark.slow
def test_stopped_together(folder: Path) -> None:
    """torchrun passes a scheduler's SIGTERM on to all."""
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    train = ["vaa_cli", "train", *TRAIN, "--epochs", "30", "--sync-bn", "--run", "halved"]
    process = subprocess.Popen(
        [sys.executable, "-m", *start, *train],
        cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch  1/30"):
            break
    process.terminate()
    messages = process.stderr.read()
    process.wait(60)
    assert "saved and stopped after" in messages
    saved = state(folder / "halved")["progress"]
    assert 1 <= saved["epoch"] < 30
    log = pd.read_csv(folder / "halved" / "log.csv")
    assert len(log) == saved["epoch"]


@pytest.mark.slow
def test_a_killed_rank_is_replaced(folder: Path) -> None:
    """torchrun starts all ranks again, and they go on from the last checkpoint by themselves."""
    train = ["vaa_cli", "train", *TRAIN, "--epochs", "5", "--sync-bn", "--resume"]
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts"]
    command = [sys.executable, "-m", *start, "2", "-m", "--", *train]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = subprocess.run(
        [*command, "--run", "uninterrupted"],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    with subprocess.Popen(
        [*command, "--run", "killed"],
        cwd=folder, env=environment, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2/5"):
                os.kill(ranks_of(process.pid)[-1], signal.SIGKILL)
                break
        messages = process.stderr.read()
    assert process.returncode == 0, messages
    assert "going on with killed after epoch" in messages
    one, other = (pd.read_csv(folder / name / "log.csv") for name in ("uninterrupted", "killed"))
    times = ["images_per_second", "seconds"]
    pd.testing.assert_frame_equal(one.drop(columns=times), other.drop(columns=times))
    weights = [state(folder / name)["model"] for name in ("uninterrupted", "killed")]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name


def ranks_of(launcher: int) -> list[int]:
    """The processes that torchrun has started, in the order of their numbers."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parent = (folder / "stat").read_text().rpartition(") ")[2].split()[1]
                if int(parent) == launcher and "vaa_cli" in (folder / "cmdline").read_text():
                    found.append(int(folder.name))
    return sorted(found)
