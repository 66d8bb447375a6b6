"""Figures as records, for machines: CSV and JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.system.csv_files import csv_text

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


def number(value: float | np.floating) -> float | None:
    """A figure for machines; None for NaN."""
    return None if np.isnan(value) else float(value)
