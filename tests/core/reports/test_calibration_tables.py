"""Tables of a calibration."""

import numpy as np
import pytest
from rich.console import Console

from vaa_cli.core.evaluation.calibration import calibration_totals, fit_calibration
from vaa_cli.core.reports.calibration_tables import calibration_table, totals_table

RNG = np.random.default_rng(0)
LABELS = (RNG.random((200, 2)) < [0.5, 0.1]).astype(np.int8)
LOGITS = np.where(LABELS == 1, 1.0, -1.0) + RNG.normal(size=(200, 2))


def printed(table: object) -> str:
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_row_an_attribute() -> None:
    calibration = fit_calibration(LOGITS, LABELS)
    text = printed(calibration_table(["[red]", "hat"], calibration, LABELS))
    for name, c in (("[red]", 0), ("hat", 1)):
        (line,) = [line for line in text.splitlines() if line.strip().startswith(name)]
        assert f"{(LABELS[:, c] == 1).sum()}" in line
        assert f"{calibration.thresholds[c]:.3f}" in line


def test_the_totals_without_and_with_it() -> None:
    probabilities = 1 / (1 + np.exp(-LOGITS))
    records = calibration_totals("val", LOGITS, probabilities, [0.5, 0.2], LABELS)
    assert [record["val"] for record in records] == [
        "uncalibrated, at 0.5", "calibrated, at its thresholds"
    ]  # fmt: skip
    decided = probabilities >= [0.5, 0.2]
    recalls = [
        ((decided & (LABELS == 1)).sum(0) / (LABELS == 1).sum(0)),
        ((~decided & (LABELS == 0)).sum(0) / (LABELS == 0).sum(0)),
    ]
    assert records[1]["mA"] == pytest.approx(np.mean(recalls))
    assert f"{records[1]['mA']:.3f}" in printed(totals_table(records))
