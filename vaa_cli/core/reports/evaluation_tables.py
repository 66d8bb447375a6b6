"""Tables for people and for machines."""

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.evaluation.records import attribute_records, total_record
from vaa_cli.core.reports.style import TABLE_STYLE, cell

_NOT_FIGURES = ("attribute", "positives", "negatives")
_TOTALS = {
    "instance": "mean of images",
    "macro": "mean of attributes",
    "micro": "all labels pooled",
}


def evaluation_tables(
    attributes: Sequence[str], priors: Sequence[float | None], scores: Scores
) -> Group:
    """The per-attribute table and the totals, for a terminal."""
    table = Table(**TABLE_STYLE)
    table.add_column("attribute", overflow="fold")
    for name in ("prior", "mA", "rec+", "rec-", "prec", "F1", "AP", "thr"):
        table.add_column(name, justify="right", no_wrap=True)
    for record in attribute_records(attributes, priors, scores):
        figures = [value for key, value in record.items() if key not in _NOT_FIGURES]
        table.add_row(Text(str(record["attribute"])), *map(cell, figures))

    totals = total_record(scores)
    summary = Table(**TABLE_STYLE)
    summary.add_column("totals")
    for name in ("accuracy", "precision", "recall", "F1"):
        summary.add_column(name, justify="right")
    for kind, about in _TOTALS.items():
        names = [f"{kind}_{what}" for what in ("accuracy", "precision", "recall", "f1")]
        cells = [cell(totals[name]) if name in totals else "" for name in names]
        summary.add_row(f"{kind} ({about})", *cells)
    line = Table.grid(padding=(0, 4))
    line.add_row(f"[bold]mA {cell(totals['mA'])}[/]", f"[bold]mAP {cell(totals['mAP'])}[/]")
    return Group(table, summary, line)
