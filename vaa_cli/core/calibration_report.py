"""What was calibrated, and what it changed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from scipy.special import expit

from vaa_cli.core.calibration import Calibration, calibration_error, logits_of
from vaa_cli.core.labels import PRESENT
from vaa_cli.core.metrics import score
from vaa_cli.core.report import TABLE_STYLE, Record, cell, number


def calibration_table(
    attributes: Sequence[str], calibration: Calibration, labels: NDArray[np.int8]
) -> RenderableType:
    """Each attribute's threshold and temperature.

    Args:
        attributes: the names.
        calibration: what was fitted.
        labels: `[n x c]`, on which it was fitted.
    """
    positives = (labels == PRESENT).sum(axis=0)
    table = Table(**TABLE_STYLE)
    table.add_column("attribute", overflow="fold")
    for name in ("val+", "temperature", "threshold", "own share"):
        table.add_column(name, justify="right", no_wrap=True)
    for c, name in enumerate(attributes):
        table.add_row(
            Text(name),
            f"{positives[c]:,}",
            f"{calibration.temperatures[c]:.2f}",
            f"{calibration.thresholds[c]:.3f}",
            f"{calibration.weights[c]:.2f}",
        )
    return table


def calibration_totals(
    split: str,
    probabilities: ArrayLike,
    temperatures: ArrayLike,
    thresholds: ArrayLike,
    labels: NDArray[np.int8],
) -> list[Record]:
    """The totals without calibration, decided at 0.5, and with it, at its thresholds.

    Args:
        split: on which.
        probabilities: `[n x c]`, with temperatures.
        temperatures: `[c]`.
        thresholds: `[c]`.
        labels: `[n x c]`.
    """
    before = expit(logits_of(probabilities, temperatures))
    records: list[Record] = []
    for what, shares, limits in (
        ("uncalibrated, at 0.5", before, 0.5),
        ("calibrated, at its thresholds", probabilities, thresholds),
    ):
        totals = score(shares, labels, limits).totals
        figures = (totals.mean_accuracy, totals.macro_f1, totals.instance_f1)
        record: Record = {split: what}
        names = ("mA", "macro_f1", "instance_f1")
        record |= {name: number(figure) for name, figure in zip(names, figures, strict=True)}
        record["calibration_error"] = number(calibration_error(shares, labels))
        records.append(record)
    return records


def totals_table(records: list[Record]) -> RenderableType:
    """What `calibration_totals` gives, for a terminal."""
    table = Table(**TABLE_STYLE)
    first, *others = records[0]
    table.add_column(first)
    for name in others:
        table.add_column(name.replace("_", " "), justify="right")
    for record in records:
        table.add_row(str(record[first]), *(cell(record[name]) for name in others))
    return table
