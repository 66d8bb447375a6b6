"""Figures of an evaluation as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.evaluation.records import (
    Record,
    attribute_records,
    rarity_records,
    total_record,
)
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell

# The columns of an attribute's figures, by the names of its record, and which go first.
_FIGURES = {
    "prior": ("prior", 7),
    "positives": ("pos", 4),
    "mA": ("mA", 0),
    "mA_at_0.5": ("at .5", 3),
    "recall_positive": ("rec+", 5),
    "recall_negative": ("rec-", 8),
    "precision": ("prec", 6),
    "f1": ("F1", 2),
    "AP": ("AP", 1),
    "threshold": ("thr", 9),
}
_TOTALS = {
    "instance": "mean of images",
    "macro": "mean of attributes",
    "micro": "all labels pooled",
}
_TOTAL_FIGURES = {"accuracy": 3, "precision": 1, "recall": 2, "F1": 0}


def evaluation_tables(
    attributes: Sequence[str], priors: Sequence[float | None], scores: Scores, at_half: Scores
) -> Group:
    """The per-attribute table, the means by rarity and the totals, for a terminal.

    Args:
        attributes: the names.
        priors: the priors in training.
        scores: the figures, at the model's thresholds.
        at_half: those without calibration, decided at 0.5.
    """
    records = attribute_records(attributes, priors, scores, at_half)
    columns = [
        FigureColumn(title, [_cell(record[name]) for record in records], rank)
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
    line = Text(
        f"mA {cell(totals['mA'])}    mAP {cell(totals['mAP'])}    mA at 0.5 "
        f"{cell(at_half.totals.mean_accuracy)}",
        style="bold",
    )
    return Group(
        table,
        _rarity_table(rarity_records(priors, scores, at_half)),
        FiguresTable(["totals"], kinds, columns),
        line,
    )


def _rarity_table(records: Sequence[Record]) -> FiguresTable:
    titles = {"attributes": 3, "positives": 4, "mA": 0, "mA_at_0.5": 2, "mAP": 1}
    columns = [
        FigureColumn(name.replace("_", " "), [_cell(record[name]) for record in records], rank)
        for name, rank in titles.items()
    ]
    return FiguresTable(["rarity"], [[str(record["rarity"])] for record in records], columns)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else cell(value)
