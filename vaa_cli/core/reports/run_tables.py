"""The runs of a folder as a table for a terminal."""

from collections.abc import Sequence

from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell
from vaa_cli.core.runs.summaries import RunSummary


def size_text(size: int) -> str:
    """A number of bytes for people."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def runs_table(summaries: Sequence[RunSummary]) -> FiguresTable:
    """A row a run: its folder, backbone, epochs, mA and mAP on val, size and data."""
    columns = [
        FigureColumn("backbone", [run.backbone or "?" for run in summaries], 2, "left"),
        FigureColumn("epochs", [str(run.epochs) for run in summaries], 4),
        FigureColumn("val mA", [cell(run.best.get("mA")) for run in summaries], 0),
        FigureColumn("val mAP", [cell(run.best.get("mAP")) for run in summaries], 1),
        FigureColumn("size", [size_text(run.size) for run in summaries], 3),
        FigureColumn("data", [run.data for run in summaries], 5, "left"),
    ]
    names = [str(run.path) + ("" if run.has_model else " (no model yet)") for run in summaries]
    return FiguresTable(["run"], [[name] for name in names], columns)
