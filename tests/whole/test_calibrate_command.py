"""vaa calibrate: what it changes in a model, and what it looks at."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy.special import expit

from tests.helpers.command import (
    QUICK,
    TORCH_FP32,
    assert_one_line_error,
    newest_model,
    read_rows,
    run_vaa,
)
from tests.helpers.figures import ATTRIBUTES
from vaa_cli.core.models.card import read_card


def test_calibration_is_kept_in_the_model(
    workspace: Path, calibrated: Path, arrays: dict[str, np.ndarray]
) -> None:
    before, after = load_file(newest_model(workspace)), load_file(calibrated)
    assert all(torch.equal(before[name], after[name]) for name in before)
    card = read_card(calibrated)
    assert card.temperatures and card.thresholds != (0.5,) * 3
    # What is predicted is the same logits, divided and shifted.
    names = [Path(str(image)).name for image in arrays["images"]]
    found = read_rows(
        run_vaa("predict", "dataset/images", *TORCH_FP32, "--run", calibrated, cwd=workspace).out
    )
    for row in found:
        old = arrays["probabilities"][names.index(Path(row["image"]).name)].astype(float)
        new = expit((np.log(old) - np.log1p(-old)) / card.temperatures + card.shifts)
        assert [float(row[name]) for name in ATTRIBUTES] == pytest.approx(new, abs=2e-4)


@pytest.mark.slow
def test_engines_and_exports_are_calibrated_too(
    workspace: Path, model_copy: Path, tmp_path: Path
) -> None:
    assert run_vaa("calibrate", "--run", model_copy, *TORCH_FP32, cwd=workspace).code == 0
    card = read_card(model_copy)
    export = tmp_path / "model.onnx"
    assert run_vaa("export", "--run", model_copy, "--out", export, cwd=workspace).code == 0
    rows = [
        read_rows(run_vaa("predict", "dataset/images", *options, cwd=workspace).out)
        for options in (
            ("--run", model_copy, "--engine", "torch", "--precision", "fp32"),
            ("--run", model_copy, "--engine", "openvino", "--precision", "fp32"),
            ("--run", export),
        )
    ]
    for expected, *others in zip(*rows, strict=True):
        for other in others:
            for name in ATTRIBUTES:
                assert float(other[name]) == pytest.approx(float(expected[name]), abs=1e-4)
    # Done again, it gives the same: it begins from the weights.
    assert run_vaa("calibrate", "--run", model_copy, *TORCH_FP32, cwd=workspace).code == 0
    assert read_card(model_copy).thresholds == pytest.approx(card.thresholds, abs=1e-4)
    assert read_card(model_copy).temperatures == pytest.approx(card.temperatures, rel=1e-3)


def test_only_val_is_looked_at(
    workspace: Path, model_copy: Path, calibrated: Path, tmp_path: Path
) -> None:
    """With other labels in train and test, and pictures that are not there, all is the same."""
    shutil.copytree(workspace / "prepared", tmp_path / "other")
    for split in ("train", "test"):
        table = pd.read_csv(tmp_path / "other" / f"{split}.csv")
        table[list(ATTRIBUTES)] = 1 - table[list(ATTRIBUTES)]
        table["image"] = [f"images/gone{i}.png" for i in range(len(table))]
        table.to_csv(tmp_path / "other" / f"{split}.csv", index=False)
    description = json.loads((tmp_path / "other/dataset.json").read_text())
    description["root"] = str(workspace / "dataset")
    (tmp_path / "other/dataset.json").write_text(json.dumps(description))
    out = tmp_path / "new.safetensors"
    arguments = (
        "calibrate",
        "--run",
        model_copy,
        "--data",
        tmp_path / "other",
        "--out",
        out,
        *TORCH_FP32,
    )
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert read_card(out) == read_card(calibrated)
    assert read_card(model_copy).temperatures == ()  # the original is as it was
    val = pd.read_csv(tmp_path / "other/val.csv")
    val[list(ATTRIBUTES)] = 1 - val[list(ATTRIBUTES)]
    val.to_csv(tmp_path / "other/val.csv", index=False)
    assert run_vaa(*arguments, cwd=workspace).code == 0
    assert read_card(out).thresholds != read_card(calibrated).thresholds


@pytest.mark.slow
def test_evaluate_tells_both(workspace: Path, calibrated: Path) -> None:
    arguments = ("evaluate", *TORCH_FP32, "--format", "json")
    found = json.loads(run_vaa(*arguments, "--run", calibrated, cwd=workspace).out)
    plain = json.loads(run_vaa(*arguments, cwd=workspace).out)
    before, after = found["calibration"]
    assert before["mA"] == pytest.approx(plain["totals"]["mA"])
    assert before["calibration_error"] == pytest.approx(plain["calibration_error"], abs=1e-4)
    assert after["mA"] == found["totals"]["mA"]
    assert after["calibration_error"] == found["calibration_error"]
    assert plain["calibration"] == []
    table = run_vaa("evaluate", *TORCH_FP32, "--split", "val", "--run", calibrated, cwd=workspace)
    assert "uncalibrated, at 0.5" in table.out and "calibrated, at its thresholds" in table.out
    assert "fitted on val" in table.err


def test_training_ends_with_it_and_it_can_be_undone(
    workspace: Path, calibrated: Path, tmp_path: Path
) -> None:
    """The same as the command's, and the model without it is as before."""
    run = tmp_path / "run"
    arguments = (*QUICK, "--precision", "fp32", "--epochs", "8", "--data", workspace / "prepared")
    outcome = run_vaa("train", *arguments, "--run", run, cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "best.safetensors calibrated on val: mA" in outcome.err
    card, expected = read_card(run / "best.safetensors"), read_card(calibrated)
    assert card.thresholds == pytest.approx(expected.thresholds, abs=1e-3)
    assert card.temperatures == pytest.approx(expected.temperatures, rel=1e-2)
    # Resumed when it is finished, it is left as it is.
    before = (run / "best.safetensors").read_bytes()
    assert run_vaa("train", "--resume", run, cwd=tmp_path).code == 0
    assert (run / "best.safetensors").read_bytes() == before
    outcome = run_vaa("calibrate", "--undo", "--run", run, cwd=tmp_path)
    assert outcome.code == 0 and "thresholds of 0.5" in outcome.err
    undone = read_card(run / "best.safetensors")
    assert undone == replace(card, thresholds=(0.5,) * 3, temperatures=(), shifts=())
    outcome = run_vaa("calibrate", "--undo", "--out", "x.safetensors", "--run", run, cwd=tmp_path)
    assert_one_line_error(outcome, "leave --out out")


def test_what_cannot_be_calibrated(workspace: Path, tmp_path: Path) -> None:
    exported = tmp_path / "m.onnx"
    exported.write_bytes(b"")
    outcome = run_vaa("calibrate", "--run", exported, cwd=workspace)
    assert_one_line_error(outcome, "is an export", "export it again")
    shutil.copytree(workspace / "prepared", tmp_path / "other")
    val = pd.read_csv(tmp_path / "other/val.csv")
    val[list(ATTRIBUTES)] = ""
    val.to_csv(tmp_path / "other/val.csv", index=False)
    outcome = run_vaa("calibrate", "--data", tmp_path / "other", cwd=workspace)
    assert_one_line_error(outcome, "no labelled val pictures")
