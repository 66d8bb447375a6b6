"""Every table at 40, 60, 80 and 200 columns, as text files that a person can look at.

With VAA_UPDATE_SNAPSHOTS=1 the files are written again; look at the difference before it is kept.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console, RenderableType

from tests.core.reports.test_statistics_tables import random_table
from vaa_cli.core.evaluation.ablation import Ablation, TrainedVariant, VariantFigures
from vaa_cli.core.evaluation.calibration import calibration_totals, fit_calibration
from vaa_cli.core.evaluation.comparison import compare_predictions
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.evaluation.pointing_game import Region, score_pointing
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.reports.ablation_report import ablation_tables
from vaa_cli.core.reports.calibration_tables import calibration_table, totals_table
from vaa_cli.core.reports.comparison_report import comparison_tables
from vaa_cli.core.reports.evaluation_tables import evaluation_tables
from vaa_cli.core.reports.pointing_tables import pointing_tables
from vaa_cli.core.reports.statistics_tables import priors_table, statistics_tables

SNAPSHOTS = Path(__file__).with_name("snapshots")
ATTRIBUTES = (
    "hat", "long hair", "upperBodyStripedShortSleeved", "帽子", "steers\x1b[31m\nthe terminal",
    "[red]bag", "a name that no terminal of forty columns has in one line",
)  # fmt: skip
LABELS = (np.random.default_rng(0).random((400, 7)) < np.linspace(0.02, 0.9, 7)).astype(np.int8)
# Rounded, so that a last digit of the platform's mathematics changes no figure.
LOGITS = np.round(2 * LABELS - 1 + np.random.default_rng(1).normal(size=LABELS.shape), 2)
PROBABILITIES = np.round(1 / (1 + np.exp(-LOGITS)), 4)


def evaluation() -> RenderableType:
    scores, at_half = (score(PROBABILITIES, LABELS, limit) for limit in (0.3, 0.5))
    return evaluation_tables(ATTRIBUTES, np.linspace(0.02, 0.9, 7).tolist(), scores, at_half)


def calibration() -> RenderableType:
    return calibration_table(ATTRIBUTES, fit_calibration(LOGITS, LABELS), LABELS)


def totals() -> RenderableType:
    records = calibration_totals("on val", LOGITS, PROBABILITIES, [0.5] * 7, LABELS)
    return totals_table(records)


def pointing() -> RenderableType:
    inside = np.zeros((20, 10), dtype=bool)
    inside[:10] = True
    heat = np.array([[3.0], [1.0]])
    maps = {"stage 3": heat, "stage 4": heat, "aggregated": heat}
    regions = [(Region(0, c, inside), maps) for c in (0, 2, 6)]
    return pointing_tables(ATTRIBUTES, score_pointing(regions, 7))


def comparison() -> RenderableType:
    runs = [(PROBABILITIES, 0.5), (LABELS * 0.6 + 0.4 * PROBABILITIES, 0.5)]
    compared = compare_predictions([[run] for run in runs], LABELS, list(ATTRIBUTES), samples=100)
    return comparison_tables(compared, ["runs/first", "runs/with a longer name"])


def ablation() -> RenderableType:
    names = ["baseline", "uniform-heads", "full"]
    figures = [
        "mAP", "mA", "mA at 0.5", "mAP, prior under 5 %", "mA, prior under 5 %", "pointing",
        "seconds",
    ]  # fmt: skip
    variants = [
        VariantFigures(
            TrainedVariant(name, f"{name}, in words", []),
            dict.fromkeys(figures, 0.5 + 0.03 * i),
            dict.fromkeys(figures, 0.01),
            {"primary": 0.4, "attention_3": 0.45, "their mean": 0.5} if i else {},
            11_000_000 + i,
        )
        for i, name in enumerate(names)
    ]
    runs = [[(PROBABILITIES * (1 - 0.1 * i) + 0.1 * i * LABELS, 0.5)] * 2 for i in range(3)]
    compared = compare_predictions(runs, LABELS, list(ATTRIBUTES), samples=100)
    differences = {"baseline": [one for one in compared if one.figure in ("mA", "mAP")][:2]}
    controls = {"centred": 0.3, "uniform": 0.1}
    args = (
        variants,
        ("baseline",),
        differences,
        2,
        len(LABELS),
        "test",
        Path("prepared"),
        controls,
    )
    return ablation_tables(Ablation(*args))


def priors() -> RenderableType:
    table = random_table(ATTRIBUTES)
    parts = {"train": table, "val": table.select(range(300)), "test": table.select(range(700))}
    return priors_table(Priors.of(table), parts)


def statistics() -> RenderableType:
    return statistics_tables(LabelStatistics.of(random_table(ATTRIBUTES)))


TABLES = (evaluation, calibration, totals, pointing, comparison, ablation, priors, statistics)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_tables_fit_and_keep_names_and_first_figures(
    table: Callable[[], RenderableType], width: int
) -> None:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(table())
    text = "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= width
    snapshot = SNAPSHOTS / f"{table.__name__}-{width}.txt"
    if os.environ.get("VAA_UPDATE_SNAPSHOTS"):
        SNAPSHOTS.mkdir(exist_ok=True)
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")
