"""Tables of a calibration, and of the totals without and with it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType

from vaa_cli.core.evaluation.calibration import Calibration
from vaa_cli.core.evaluation.records import Record
from vaa_cli.core.labels.table import PRESENT
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell


def calibration_table(
    attributes: Sequence[str], calibration: Calibration, labels: NDArray[np.int8]
) -> RenderableType:
    """Each attribute's threshold and scaling.

    Args:
        attributes: the names.
        calibration: the calibration.
        labels: `[n x c]`, the labels that it was fitted on.
    """
    positives = (labels == PRESENT).sum(axis=0)
    columns = [
        FigureColumn("val+", [f"{count:,}" for count in positives], 3),
        FigureColumn("temperature", [f"{value:.2f}" for value in calibration.temperatures], 1),
        FigureColumn("shift", [f"{value:+.2f}" for value in calibration.shifts], 2),
        FigureColumn("threshold", [f"{value:.3f}" for value in calibration.thresholds], 0),
        FigureColumn("own fraction", [f"{value:.2f}" for value in calibration.weights], 4),
    ]
    return FiguresTable(["attribute"], [[name] for name in attributes], columns)


def totals_table(records: list[Record]) -> RenderableType:
    """The records of `calibration_totals` as a table."""
    first, *others = records[0]
    columns = [
        FigureColumn(name.replace("_", " "), [cell(record[name]) for record in records], rank)
        for rank, name in enumerate(others)
    ]
    return FiguresTable([first], [[str(record[first])] for record in records], columns)
