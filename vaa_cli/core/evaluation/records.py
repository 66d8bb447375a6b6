"""Figures as records, for machines: CSV and JSON."""

import json
import math
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
    attributes: Sequence[str],
    priors: Sequence[float | None],
    scores: Scores,
    at_half: Scores,
) -> list[Record]:
    """A record for each attribute with all its figures; None where one cannot be scored.

    Args:
        attributes: the names.
        priors: the priors in training.
        scores: the figures, at the model's thresholds.
        at_half: those without calibration, decided at 0.5.
    """
    columns: dict[str, NDArray[np.float64]] = {
        "mA": scores.mean_accuracy,
        "mA_at_0.5": at_half.mean_accuracy,
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


# Priors below which an attribute is called so.
RARITIES = {"prior under 5 %": 0.05, "5 to 20 %": 0.2, "20 % and more": math.inf}


def rarity_records(priors: Sequence[float | None], scores: Scores, at_half: Scores) -> list[Record]:
    """The means over the attributes of each rarity that can be scored; a record a rarity.

    Args:
        priors: the priors in training; attributes without one are of no rarity.
        scores: the figures, at the model's thresholds.
        at_half: those without calibration, decided at 0.5.
    """
    known = np.array([np.nan if prior is None else prior for prior in priors], dtype=np.float64)
    records: list[Record] = []
    low = 0.0
    for name, high in RARITIES.items():
        chosen = (known >= low) & (known < high) & scores.scorable
        columns = {
            "mA": scores.mean_accuracy,
            "mA_at_0.5": at_half.mean_accuracy,
            "mAP": scores.average_precision,
        }
        means = {
            key: number(values[chosen].mean()) if chosen.any() else None
            for key, values in columns.items()
        }
        positives = int(scores.positives[chosen].sum())
        count = int(chosen.sum())
        records.append({"rarity": name, "attributes": count, "positives": positives, **means})
        low = high
    return records


def unscored(attributes: Sequence[str], scores: Scores) -> list[str]:
    """The attributes that cannot be scored, without a positive or without a negative."""
    return list(compress(attributes, ~scores.scorable))


def evaluation_json(
    about: Mapping[str, object], scores: Scores, records: Sequence[Record], rarity: Sequence[Record]
) -> str:
    """All figures as one JSON object: the entries of `about`, totals, rarity, attributes, unscored.

    Args:
        about: further entries, such as the model and the split.
        scores: the figures.
        records: a record for each attribute.
        rarity: see `rarity_records`.
    """
    names = [str(record["attribute"]) for record in records]
    return json.dumps(
        {
            **about,
            "totals": total_record(scores),
            "rarity": list(rarity),
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
