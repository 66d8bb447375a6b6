"""vaa ablate: trained once, scored like vaa evaluate, and wrong requests."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.command import QUICK, TORCH_FP32, assert_one_line_error, read_rows, run_vaa
from tests.helpers.figures import ATTRIBUTES

ABLATE = (
    "ablate", *QUICK, "--precision", "fp32", "--epochs", "1", "--samples", "100",
    "--classifier", "pooled", "--only", "baseline,full", "--seeds", "0,1",
)  # fmt: skip


def test_figures_are_those_of_evaluate(workspace: Path, tmp_path: Path) -> None:
    arguments = (
        *ABLATE,
        "--data",
        workspace / "prepared",
        "--out",
        tmp_path / "out",
        "--set",
        "hidden=8",
    )
    outcome = run_vaa(*arguments, "--format", "csv", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "4 trainings in" in outcome.err and "of which 0 are done" in outcome.err
    rows = {row["variant"]: row for row in read_rows(outcome.out)}
    assert list(rows) == ["baseline", "full"]
    for name, row in rows.items():
        figures = []
        for seed in (0, 1):
            run = tmp_path / "out" / name / f"seed-{seed}"
            assert not list(run.glob("*.ckpt")), "a finished training needs no checkpoint"
            found = run_vaa("evaluate", "--run", run, "--format", "json", *TORCH_FP32, cwd=tmp_path)
            figures.append(json.loads(found.out)["totals"])
        for figure in ("mA", "mAP"):
            values = [one[figure] for one in figures]
            assert float(row[figure]) == pytest.approx(np.mean(values), rel=1e-4)
            deviation = np.std(values, ddof=1)
            assert float(row[f"{figure}, deviation"]) == pytest.approx(deviation, rel=1e-3)
    gain = float(rows["full"]["mAP"]) - float(rows["baseline"]["mAP"])
    assert float(rows["full"]["mAP against baseline"]) == pytest.approx(gain, abs=1e-5)
    assert float(rows["baseline"]["mAP against full"]) == pytest.approx(-gain, abs=1e-5)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "mAP against baseline" in page
    # The same command trains nothing, and gives the same.
    again = run_vaa(*arguments, "--format", "json", cwd=tmp_path)
    assert "of which 4 are done" in again.err
    assert json.loads(again.out) == json.loads((tmp_path / "out" / "ablation.json").read_text())
    # Several seeds side by side, as compare takes them.
    compared = run_vaa(
        "compare", tmp_path / "out/baseline", tmp_path / "out/full", "--format", "csv",
        "--samples", "100", *TORCH_FP32, cwd=tmp_path,
    )  # fmt: skip
    (total,) = [
        row for row in read_rows(compared.out) if row["figure"] == "mAP" and row["difference"]
    ]
    assert float(total["difference"]) == pytest.approx(gain, abs=1e-4)
    assert "means of 2 and 2 runs" in run_vaa(
        "compare", tmp_path / "out/baseline", tmp_path / "out/full", "--samples", "100",
        *TORCH_FP32, cwd=tmp_path,
    ).err  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--seeds", "0,1,1"), "1 is there twice"),
        (("--seeds", "0,a"), "'a' is no seed"),
        (("--seeds", ""), "'nothing' is no seed"),
        (("--only", "full,ful"), "ful: no such variant; choose of baseline, uniform-heads"),
        (("--only", "full"), "add baseline, which the others are compared with"),
        (("--stages", "none"), "takes parts away from the full method"),
        (("--stages", "none", "--classifier", "residual"), "no attention for --classifier"),
        (("--split", "vale"), "vale"),
    ],
)
def test_wrong_requests(workspace: Path, arguments: tuple[str, ...], problem: str) -> None:
    base = [word for word in ABLATE if word not in ("--classifier", "pooled")]
    assert_one_line_error(run_vaa(*base, *arguments, cwd=workspace), problem)
    assert not (workspace / "ablation").exists()


def test_a_split_that_cannot_be_scored(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace / "prepared", tmp_path / "prepared")
    val = pd.read_csv(tmp_path / "prepared/val.csv")
    val[list(ATTRIBUTES)] = 0
    val.to_csv(tmp_path / "prepared/val.csv", index=False)
    outcome = run_vaa(*ABLATE, "--data", tmp_path / "prepared", cwd=tmp_path)
    assert_one_line_error(outcome, "val.csv has no attribute with a picture that has it")
