"""log.csv: a row of figures an epoch."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from vaa_cli.core.runs.folder import FAULTS, LOG
from vaa_cli.core.system.files import write_text
from vaa_cli.core.training.progress import Fault, Progress


def read_log(run: Path) -> list[dict[str, float]]:
    """The rows of a run's log.csv, one an epoch; none where it is missing or broken."""
    try:
        with (run / LOG).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(value) for name, value in row.items() if value} for row in rows]
    except (OSError, ValueError, TypeError, csv.Error):
        return []


def write_log(run: Path, progress: Progress) -> None:
    """Write log.csv, and faults.csv if there were any.

    Raises:
        VAAError: one cannot be written.
    """
    if progress.log:
        text = pd.DataFrame(progress.log).to_csv(index=False, float_format="%.6g")
        write_text(run / LOG, text)
    if progress.faults:
        write_text(run / FAULTS, _table(progress.faults))


def _table(faults: Sequence[Fault]) -> str:
    return pd.DataFrame([asdict(fault) for fault in faults]).to_csv(index=False)
