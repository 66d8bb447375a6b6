"""Figures of an evaluation as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.evaluation.records import attribute_records, total_record
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell

# The columns of an attribute's figures, by the names of its record, and which go first.
_FIGURES = {
    "prior": ("prior", 7),
    "mA": ("mA", 0),
    "recall_positive": ("rec+", 3),
    "recall_negative": ("rec-", 5),
    "precision": ("prec", 4),
    "f1": ("F1", 2),
    "AP": ("AP", 1),
    "threshold": ("thr", 6),
}
_TOTALS = {
    "instance": "mean of images",
    "macro": "mean of attributes",
    "micro": "all labels pooled",
}
_TOTAL_FIGURES = {"accuracy": 3, "precision": 1, "recall": 2, "F1": 0}


def evaluation_tables(
    attributes: Sequence[str], priors: Sequence[float | None], scores: Scores
) -> Group:
    """The per-attribute table and the totals, for a terminal."""
    records = attribute_records(attributes, priors, scores)
    columns = [
        FigureColumn(title, [cell(record[name]) for record in records], rank)
        for name, (title, rank) in _FIGURES.items()
    ]
    table = FiguresTable(["attribute"], [[name] for name in attributes], columns)

    totals = total_record(scores)
    columns = []
    for title, rank in _TOTAL_FIGURES.items():
        names = [f"{kind}_{title.lower()}" for kind in _TOTALS]
        cells = [cell(totals[name]) if name in totals else "" for name in names]
        columns.append(FigureColumn(title, cells, rank))
    kinds = [[f"{kind} ({about})"] for kind, about in _TOTALS.items()]
    line = Text(f"mA {cell(totals['mA'])}    mAP {cell(totals['mAP'])}", style="bold")
    return Group(table, FiguresTable(["totals"], kinds, columns), line)
