"""log.csv, a row of figures an epoch, and faults.csv, a row a broken picture."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from vaa_cli.core.runs.folder import FAULTS, LOG
from vaa_cli.core.system.csv_writer import Cell, csv_text
from vaa_cli.core.system.files import write_text


def read_log(run: Path) -> list[dict[str, float]]:
    """The rows of a run's log.csv, one an epoch; empty if the file is missing or broken."""
    try:
        with (run / LOG).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(value) for name, value in row.items() if value} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error):
        return []


def write_log(run: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write log.csv, whole or not at all; nothing if there are no rows.

    Args:
        run: the run folder.
        rows: figures by name, one an epoch; a figure that is NaN has an empty cell.

    Raises:
        VAAError: the file cannot be written.
    """
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        cells = [[_cell(row.get(name)) for name in names] for row in rows]
        write_text(run / LOG, csv_text([list(names), *cells]))


def write_faults(run: Path, faults: Sequence[Mapping[str, str | int]]) -> None:
    """Write faults.csv, whole or not at all; nothing if there are no faults.

    Raises:
        VAAError: the file cannot be written.
    """
    if faults:
        write_text(run / FAULTS, csv_text([list(faults[0]), *(list(f.values()) for f in faults)]))


def _cell(value: float | None) -> Cell:
    """A figure with six digits, as whole numbers where it is one."""
    if value is None or value != value:
        return None
    return value if isinstance(value, int) else f"{value:.6g}"
