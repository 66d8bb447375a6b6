"""Figures as records, for machines: CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.system.csv_writer import csv_text

# Figures by name; None where one is undefined.
Record = dict[str, str | int | float | None]


def attribute_records(
    attributes: Sequence[str], priors: Sequence[float | None], scores: Scores
) -> list[Record]:
    """A record for each attribute with all its figures; None where one cannot be scored."""
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
    """The totals by name; None where one is undefined."""
    names = {"mean_accuracy": "mA", "mean_average_precision": "mAP"}
    return {names.get(k, k): number(value) for k, value in asdict(scores.totals).items()}


def unscored(attributes: Sequence[str], scores: Scores) -> list[str]:
    """The attributes that cannot be scored, without a positive or without a negative."""
    return list(compress(attributes, ~scores.scorable))


def evaluation_json(about: Mapping[str, object], scores: Scores, records: Sequence[Record]) -> str:
    """All figures as one JSON object: the entries of `about`, totals, attributes, unscored.

    Args:
        about: further entries, such as the model and the split.
        scores: the figures.
        records: a record for each attribute.
    """
    names = [str(record["attribute"]) for record in records]
    return json.dumps(
        {
            **about,
            "totals": total_record(scores),
            "attributes": list(records),
            "unscored": unscored(names, scores),
        },
        indent=2,
        ensure_ascii=False,
    )


def records_csv(records: Sequence[Record]) -> str:
    """A CSV with a row for each record; all records have the same names."""
    return csv_text([list(records[0]), *(list(record.values()) for record in records)])


def joined(records: list[Record], beside: Sequence[Record]) -> list[Record]:
    """Records with further figures of each; `beside` may be empty."""
    return [
        {**one, **more} for one, more in zip(records, beside or [{}] * len(records), strict=True)
    ]


def number(value: float | np.floating) -> float | None:
    """A figure as a plain number; None for NaN."""
    return None if np.isnan(value) else float(value)
