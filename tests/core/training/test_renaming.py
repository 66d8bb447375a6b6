"""Other names for the attributes of a run."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.command import assert_one_line_error, read_rows, run_vaa
from vaa_cli.core.models.card import read_card


@pytest.fixture
def run(workspace: Path, tmp_path: Path) -> Path:
    shutil.copytree(workspace / "runs/latest", tmp_path / "run")
    return tmp_path / "run"


def test_the_predictions_stay_and_their_names_change(run: Path, workspace: Path) -> None:
    arguments = (
        "predict",
        workspace / "dataset/images/000.png",
        "--run",
        "run",
        "--engine",
        "torch",
    )
    (before,) = read_rows(run_vaa(*arguments, cwd=run.parent).out)
    outcome = run_vaa("rename", "run", "hat=a = b", "red=striped", "striped=red", cwd=run.parent)
    assert outcome.code == 0, outcome.err
    assert "run/best.safetensors: hat is a = b now" in outcome.err and outcome.out == ""
    (after,) = read_rows(run_vaa(*arguments, cwd=run.parent).out)
    assert after["a = b"] == before["hat"] and "hat" not in after
    assert (after["striped"], after["red"]) == (before["red"], before["striped"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["hut=cap"], "has no attribute 'hut'; did you mean 'hat'?"),
        (["hat=red"], "would have two attributes named 'red'"),
        (["hat"], "hat: write it as OLD=NEW"),
        (["hat=a", "hat=b"], "hat is renamed twice, to a and to b"),
        (["hat=error"], "an attribute cannot be named 'error'"),
        (["hat="], "'' is no name for an attribute"),
        (["hat= cap"], "' cap' is no name for an attribute"),
    ],
)
def test_names_that_cannot_be_given(run: Path, names: list[str], message: str) -> None:
    before = (run / "best.safetensors").read_bytes()
    assert_one_line_error(run_vaa("rename", "run", *names, cwd=run.parent), message)
    assert (run / "best.safetensors").read_bytes() == before
    assert read_card(run / "best.safetensors").attributes == ("red", "hat", "striped")


def test_a_training_from_a_run(run: Path, workspace: Path) -> None:
    """One attribute has another name; what is taken and what is new is on stderr."""
    from tests.helpers.command import QUICK

    assert run_vaa("rename", "run", "hat=cap", cwd=run.parent).code == 0
    quick: list[str | Path] = [
        *QUICK,
        "--precision",
        "fp32",
        "--epochs",
        "1",
        "--data",
        workspace / "prepared",
    ]
    losses = {}
    for weights in ("none", "run"):
        new = f"from-{weights}"
        outcome = run_vaa("train", *quick, "--weights", weights, "--run", new, cwd=run.parent)
        assert outcome.code == 0, outcome.err
        losses[weights] = float(read_rows((run.parent / new / "log.csv").read_text())[0]["loss"])
    assert "taken: backbone and 2 of 3 attributes; new: hat; left out: cap" in outcome.err
    assert losses["run"] < 0.8 * losses["none"]
    outcome = run_vaa("train", *quick, "--weights", "dataset", cwd=workspace)
    assert_one_line_error(outcome, "dataset has no best.safetensors")
