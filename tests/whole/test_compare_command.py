"""vaa compare: runs side by side, and wrong requests."""

import json
from pathlib import Path

import pytest

from tests.helpers.command import (
    TORCH_FP32,
    assert_one_line_error,
    newest_model,
    read_rows,
    run_vaa,
)


@pytest.mark.slow
def test_runs_side_by_side(workspace: Path, calibrated: Path) -> None:
    runs = [str(newest_model(workspace)), str(calibrated)]
    arguments = ("compare", *runs, "--samples", "100", *TORCH_FP32)
    rows = read_rows(run_vaa(*arguments, "--format", "csv", cwd=workspace).out)
    assert [row["run"] for row in rows] == runs * (len(rows) // 2)
    plain = json.loads(run_vaa("evaluate", "--format", "json", *TORCH_FP32, cwd=workspace).out)
    assert float(rows[0]["value"]) == pytest.approx(plain["totals"]["mA"])
    # Temperatures change no order, so AP stays; its difference is no noise but nothing.
    ap = [row for row in rows if row["figure"] == "AP" and row["difference"]]
    assert len(ap) == 3
    assert all(float(row["difference"]) == pytest.approx(0, abs=1e-6) for row in ap)


def test_what_cannot_be_compared(workspace: Path, model_copy: Path, tmp_path: Path) -> None:
    assert_one_line_error(run_vaa("compare", model_copy, cwd=workspace), "two runs or more")
    outcome = run_vaa("compare", model_copy, tmp_path / "none", cwd=workspace)
    assert_one_line_error(outcome, "no such run folder")
    outcome = run_vaa("compare", model_copy, model_copy, "--split", "nope", cwd=workspace)
    assert_one_line_error(outcome, "nope")
