"""Tables for people and for machines say what the scores say."""

import csv
import io
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console, RenderableType

from tests.helpers.pictures import make_table
from vaa_cli.core.evaluation.metrics import Scores, score
from vaa_cli.core.evaluation.records import (
    Record,
    attribute_records,
    evaluation_json,
    rarity_records,
    records_csv,
    unscored,
)
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.reports.evaluation_tables import evaluation_tables
from vaa_cli.core.reports.statistics_tables import priors_table

ATTRIBUTES = ("hat", "bag, large", "never", "always")
PRIORS = (0.5, 0.25, None, 1.0)
# Figures of an attribute by the name they are reported under.
FIGURES = {
    "mA": "mean_accuracy",
    "recall_positive": "recall_positive",
    "recall_negative": "recall_negative",
    "precision": "precision",
    "f1": "f1",
    "AP": "average_precision",
    "threshold": "thresholds",
}
LITERAL = ["[red]", "[bold]hat[/bold]", "[/]", "[/red]", "a[0]", "hat\\", "[link=x]", ":smile:"]


@pytest.fixture
def scores() -> Scores:
    """Scores of four attributes, of which two cannot be scored."""
    rng = np.random.default_rng(0)
    targets = rng.integers(-1, 2, (40, 4), dtype=np.int8)
    targets[:, 2] = 0
    targets[:, 3] = 1
    return score(rng.random((40, 4)), targets, np.array([0.5, 0.4, 0.3, 0.2]))


@pytest.fixture
def at_half() -> Scores:
    rng = np.random.default_rng(0)
    targets = rng.integers(-1, 2, (40, 4), dtype=np.int8)
    targets[:, 2:] = 0, 1
    return score(rng.random((40, 4)), targets, 0.5)


RARITY: list[Record] = [{"rarity": "prior under 5 %", "mA": 0.5}]


def shown(*tables: RenderableType, width: int = 80) -> list[str]:
    """The lines that a plain terminal shows, without the space around them."""
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    console.print(*tables)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.strip() for line in lines]


def scored(attributes: Sequence[str]) -> Scores:
    rng = np.random.default_rng(1)
    shape = (60, len(attributes))
    return score(rng.random(shape), rng.integers(0, 2, shape))


def split_tables(
    attributes: Sequence[str], unspecified: bool, count: int = 1200
) -> dict[str, LabelTable]:
    rng = np.random.default_rng(2)
    labels = rng.integers(-1 if unspecified else 0, 2, (count, len(attributes)))
    table = make_table(labels.tolist(), attributes=attributes)
    return {split: table.select(range(count // part)) for split, part in
            (("train", 1), ("val", 7), ("test", 4))}  # fmt: skip


# For machines


def test_json_has_the_figures_of_the_scores(scores: Scores) -> None:
    about: dict[str, str | int] = {"split": "test", "images": 40}
    result = json.loads(
        evaluation_json(
            about, scores, attribute_records(ATTRIBUTES, PRIORS, scores, scores), RARITY
        )
    )
    assert result["split"] == "test" and result["images"] == 40 and result["rarity"] == RARITY
    assert result["unscored"] == ["never", "always"]
    assert [record["attribute"] for record in result["attributes"]] == list(ATTRIBUTES)
    for i, record in enumerate(result["attributes"]):
        assert record["prior"] == PRIORS[i]
        assert record["positives"] == scores.positives[i]
        assert record["negatives"] == scores.negatives[i]
        for name, field in FIGURES.items():
            value = getattr(scores, field)[i]
            assert record[name] == (None if math.isnan(value) else value), name
    assert result["attributes"][2]["mA"] is None and result["attributes"][0]["mA"] is not None
    totals = result["totals"]
    assert totals["mA"] == scores.totals.mean_accuracy
    assert totals["mAP"] == scores.totals.mean_average_precision
    for kind in ("instance", "macro", "micro"):
        for name in ("precision", "recall", "f1"):
            assert totals[f"{kind}_{name}"] == getattr(scores.totals, f"{kind}_{name}")
    assert totals["instance_accuracy"] == scores.totals.instance_accuracy


def test_json_of_what_cannot_be_scored_is_json() -> None:
    # NaN is no JSON, though Python writes and reads it.
    scores = score(np.full((3, 1), 0.5), np.full((3, 1), -1))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    text = evaluation_json({}, scores, attribute_records(["hat"], [None], scores, scores), [])
    result = json.loads(text, parse_constant=refuse)
    assert result["totals"]["mA"] is None and result["totals"]["instance_f1"] is None
    assert result["attributes"][0]["AP"] is None
    assert result["unscored"] == ["hat"]


def test_csv_has_the_figures_of_the_scores(scores: Scores) -> None:
    rows = list(
        csv.DictReader(
            io.StringIO(records_csv(attribute_records(ATTRIBUTES, PRIORS, scores, scores)))
        )
    )
    assert [row["attribute"] for row in rows] == list(ATTRIBUTES)
    for i, row in enumerate(rows):
        assert int(row["positives"]) == scores.positives[i]
        assert int(row["negatives"]) == scores.negatives[i]
        prior = PRIORS[i]
        assert row["prior"] == "" if prior is None else float(row["prior"]) == prior
        for name, field in FIGURES.items():
            value = getattr(scores, field)[i]
            assert row[name] == "" if math.isnan(value) else float(row[name]) == value, name
    assert rows[2]["mA"] == rows[3]["AP"] == "" and rows[0]["mA"] != ""


def test_names_of_any_kind_survive_in_json_and_csv() -> None:
    names = ["a,b", 'a"b', "a\nb", "Straße 日", "[red]"]
    scores = scored(names)
    records = json.loads(
        evaluation_json({}, scores, attribute_records(names, [0.5] * 5, scores, scores), [])
    )["attributes"]
    assert [record["attribute"] for record in records] == names
    text = io.StringIO(records_csv(attribute_records(names, [0.5] * 5, scores, scores)), newline="")
    assert [row["attribute"] for row in csv.DictReader(text)] == names


def test_unscored(scores: Scores) -> None:
    assert unscored(ATTRIBUTES, scores) == ["never", "always"]
    assert unscored(["a", "b"], scored(["a", "b"])) == []


# For people


def test_the_evaluation_shows_figures(scores: Scores, at_half: Scores) -> None:
    lines = shown(evaluation_tables(ATTRIBUTES, PRIORS, scores, at_half))
    text = "\n".join(lines)
    hat = next(line for line in lines if line.startswith("hat"))
    figures = [scores.mean_accuracy, at_half.mean_accuracy, scores.recall_positive]
    figures += [scores.recall_negative, scores.precision, scores.f1, scores.average_precision]
    figures += [scores.thresholds]
    positives = str(scores.positives[0])
    expected = ["hat", "0.500", positives, *(f"{float(figure[0]):.3f}" for figure in figures)]
    assert hat.split() == expected
    never = next(line for line in lines if line.startswith("never"))
    # Without prior or figures; only the threshold is known.
    assert never.split() == ["never", "-", "0", *["-"] * 7, "0.300"]
    assert f"mA {scores.totals.mean_accuracy:.3f}" in text
    assert f"mAP {scores.totals.mean_average_precision:.3f}" in text
    micro = next(line for line in lines if line.startswith("micro"))
    totals = (scores.totals.micro_precision, scores.totals.micro_recall, scores.totals.micro_f1)
    assert micro.split()[-3:] == [f"{value:.3f}" for value in totals]


LONG = [f"{letter * 17}-{i:02d}" for i, letter in enumerate("abcdefgh")]


def test_the_evaluation_fits_80_columns() -> None:
    lines = shown(evaluation_tables(LONG, [0.123] * len(LONG), scored(LONG), scored(LONG)))
    for name in LONG:
        row = next((line for line in lines if name in line), None)
        assert row is not None, f"{name} is broken"
        # prior, positives, mA and that at 0.5, recall, precision, F1 and AP, none cut short.
        assert len(row.split()) == 9
        cells = row.split()
        assert all(len(cell) == 5 and float(cell) <= 1 for cell in [cells[1], *cells[3:]])
    header = next(line for line in lines if line.startswith("attribute"))
    assert "…" not in "\n".join(lines)
    assert len(header.split()) == 10  # "at .5" are two words


def test_means_by_rarity(scores: Scores, at_half: Scores) -> None:
    """Two of four attributes can be scored; each is of another rarity, and one of none."""
    rare, _, common = rarity_records([0.049, 0.2, 0.1, 0.3], scores, at_half)
    assert rare["attributes"] == common["attributes"] == 1
    for record, c in ((rare, 0), (common, 1)):
        assert record["mA"] == scores.mean_accuracy[c]
        assert record["mA_at_0.5"] == at_half.mean_accuracy[c]
        assert record["mAP"] == scores.average_precision[c]
        assert record["positives"] == scores.positives[c]
    none = rarity_records([None, 0.05, None, None], scores, at_half)
    assert [record["attributes"] for record in none] == [0, 1, 0]
    assert none[0]["mA"] is None


@pytest.mark.parametrize("unspecified", [False, True])
def test_the_priors_fit_80_columns(unspecified: bool) -> None:
    splits = split_tables(LONG, unspecified)
    priors = Priors.of(splits["train"])
    lines = shown(priors_table(priors, splits))
    assert "…" not in "\n".join(lines)
    for i, name in enumerate(LONG):
        row = next((line for line in lines if name in line), None)
        assert row is not None, f"{name} is broken"
        cells = row.replace("█", "").split()
        assert cells[1] == f"{priors.prior[i]:.3f}"
        counts = [int((table.labels[:, i] == 1).sum()) for table in splits.values()]
        assert [int(cell) for cell in cells[2:5]] == counts
        assert cells[5:] == ([str(priors.unspecified[i])] if unspecified else [])


def test_bars_are_as_long_as_priors_are_large() -> None:
    labels = np.zeros((1000, 4), dtype=np.int8)
    labels[:1, 1], labels[:500, 2], labels[:, 3] = 1, 1, 1
    table = make_table(labels.tolist(), attributes=["none", "one", "half", "all"])
    lines = shown(priors_table(Priors.of(table), {"train": table}))
    bars = {line.split()[0]: line.count("█") for line in lines if line}
    assert bars["none"] == 0
    assert bars["one"] == 1, "what is rare must be seen"
    assert bars["half"] == pytest.approx(bars["all"] / 2, abs=1)
    assert bars["all"] > bars["half"] > bars["one"]


def test_a_prior_that_nothing_tells_is_a_dash() -> None:
    table = make_table([[-1, 1], [-1, 0]], attributes=["hat", "bag"])
    lines = shown(priors_table(Priors.of(table), {"train": table}))
    hat = next(line for line in lines if line.startswith("hat"))
    assert hat.split() == ["hat", "-", "0", "2"]


@pytest.mark.parametrize("name", LITERAL)
def test_names_are_shown_as_they_stand(name: str) -> None:
    attributes = [name, "other"]
    lines = shown(evaluation_tables(attributes, [0.5, 0.5], scored(attributes), scored(attributes)))
    assert any(line.startswith(f"{name} ") for line in lines)
    splits = split_tables(attributes, unspecified=False, count=20)
    lines = shown(priors_table(Priors.of(splits["train"]), splits))
    assert any(line.startswith(f"{name} ") for line in lines)
