"""Tables of a calibration, and of the totals without and with it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from vaa_cli.core.evaluation.calibration import Calibration
from vaa_cli.core.evaluation.records import Record
from vaa_cli.core.labels.table import PRESENT
from vaa_cli.core.reports.style import TABLE_STYLE, cell


def calibration_table(
    attributes: Sequence[str], calibration: Calibration, labels: NDArray[np.int8]
) -> RenderableType:
    """Each attribute's threshold and temperature.

    Args:
        attributes: the names.
        calibration: the calibration.
        labels: `[n x c]`, the labels that it was fitted on.
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


def totals_table(records: list[Record]) -> RenderableType:
    """The records of `calibration_totals` as a table."""
    table = Table(**TABLE_STYLE)
    first, *others = records[0]
    table.add_column(first)
    for name in others:
        table.add_column(name.replace("_", " "), justify="right")
    for record in records:
        table.add_row(str(record[first]), *(cell(record[name]) for name in others))
    return table
