"""Tables for people and for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from vaa_cli.core.csv_text import csv_text
from vaa_cli.core.labels import LabelTable, Priors
from vaa_cli.core.metrics import Scores

# A bar of this many characters is a prior of 1.
BAR_WIDTH = 14
TABLE_STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
_NOT_FIGURES = ("attribute", "positives", "negatives")
_TOTALS = {
    "instance": "mean of images",
    "macro": "mean of attributes",
    "micro": "all labels pooled",
}


# A row of figures by name; None where there is none.
Record = dict[str, str | int | float | None]


def attribute_records(
    attributes: Sequence[str], priors: Sequence[float | None], scores: Scores
) -> list[Record]:
    """A record an attribute with all its figures; None where one cannot be scored."""
    columns: dict[str, NDArray[np.float64]] = {
        "mA": scores.mean_accuracy,
        "recall_positive": scores.recall_positive,
        "recall_negative": scores.recall_negative,
        "precision": scores.precision,
        "f1": scores.f1,
        "AP": scores.average_precision,
        "threshold": scores.thresholds,
    }
    return [
        {
            "attribute": name,
            "prior": priors[i],
            "positives": int(scores.positives[i]),
            "negatives": int(scores.negatives[i]),
            **{key: number(values[i]) for key, values in columns.items()},
        }
        for i, name in enumerate(attributes)
    ]


def total_record(scores: Scores) -> dict[str, float | None]:
    """The totals by name; None where nothing defines one."""
    names = {"mean_accuracy": "mA", "mean_average_precision": "mAP"}
    return {names.get(k, k): number(value) for k, value in asdict(scores.totals).items()}


def unscored(attributes: Sequence[str], scores: Scores) -> list[str]:
    """The attributes that the split cannot score: no positive, or no negative."""
    return list(compress(attributes, ~scores.scorable))


def evaluation_json(
    attributes: Sequence[str],
    priors: Sequence[float | None],
    scores: Scores,
    about: Mapping[str, object],
    beside: Sequence[Record] = (),
) -> str:
    """Everything as one JSON object: `about`, totals, attributes, unscored.

    Args:
        attributes: the names.
        priors: their shares of positives in training; None where there are none.
        scores: their figures.
        about: what was scored.
        beside: more figures of each attribute.
    """
    return json.dumps(
        {
            **about,
            "totals": total_record(scores),
            "attributes": _joined(attribute_records(attributes, priors, scores), beside),
            "unscored": unscored(attributes, scores),
        },
        indent=2,
        ensure_ascii=False,
    )


def evaluation_csv(
    attributes: Sequence[str],
    priors: Sequence[float | None],
    scores: Scores,
    beside: Sequence[Record] = (),
) -> str:
    """A row an attribute; cells that cannot be scored are empty. See `evaluation_json`."""
    return records_csv(_joined(attribute_records(attributes, priors, scores), beside))


def records_csv(records: Sequence[Record]) -> str:
    """A row a record, under the names that all of them have."""
    return csv_text([list(records[0]), *(list(record.values()) for record in records)])


def _joined(records: list[Record], beside: Sequence[Record]) -> list[Record]:
    return [
        {**one, **more} for one, more in zip(records, beside or [{}] * len(records), strict=True)
    ]


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


def priors_table(priors: Priors, splits: dict[str, LabelTable]) -> Table:
    """Each attribute's share of positives in training, and its positives in each split."""
    table = Table(**TABLE_STYLE)
    table.add_column("attribute", overflow="fold")
    table.add_column("prior", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    for split in splits:
        table.add_column(f"{split}+", justify="right", no_wrap=True)
    unspecified = bool(priors.unspecified.any())
    if unspecified:
        table.add_column("unspec.", justify="right")
    counts = {split: Priors.of(part).positives for split, part in splits.items()}
    for i, name in enumerate(priors.attributes):
        prior = float(priors.prior[i])
        bar = "" if math.isnan(prior) else "█" * max(round(prior * BAR_WIDTH), int(prior > 0))
        cells = [cell(number(prior)), bar, *(str(counts[split][i]) for split in splits)]
        if unspecified:
            cells.append(str(priors.unspecified[i]))
        table.add_row(Text(name), *cells)
    return table


def number(value: float | np.floating) -> float | None:
    """A figure for machines; None for NaN."""
    return None if np.isnan(value) else float(value)


def cell(value: object) -> str:
    """A figure for people."""
    return f"{value:.3f}" if isinstance(value, float) else "-"
