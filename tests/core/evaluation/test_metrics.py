"""Metrics against loops over their definitions, and against scikit-learn where it has them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from vaa_cli.core.evaluation.metrics import Scores, average_precision, score

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]
Rows = list[list[float]]

MEASURES = (
    "recall_positive",
    "recall_negative",
    "mean_accuracy",
    "precision",
    "f1",
    "average_precision",
)
PROPERTY = settings(max_examples=100, deadline=None, derandomize=True)
NAN = math.nan

seeds = st.integers(0, 2**32 - 1)


def ratio(part: float, whole: float) -> float:
    """A share that is 0 where there is nothing to share."""
    return part / whole if whole else 0.0


def harmonic(precision: float, recall: float) -> float:
    """F1 of a precision and a recall."""
    return ratio(2 * precision * recall, precision + recall)


def mean(values: list[float]) -> float:
    """A mean that is NaN over nothing."""
    return math.fsum(values) / len(values) if values else NAN


def oracle_average_precision(scores: list[float], positives: list[bool]) -> float:
    """Precision times gain of recall at each distinct score, from the highest down."""
    if not any(positives):
        return NAN
    area, last_recall = 0.0, 0.0
    for level in sorted(set(scores), reverse=True):
        kept = [
            positive for value, positive in zip(scores, positives, strict=True) if value >= level
        ]
        recall = sum(kept) / sum(positives)
        area += (recall - last_recall) * sum(kept) / len(kept)
        last_recall = recall
    return area


def oracle_attribute(scores: list[float], labels: list[int], threshold: float) -> dict[str, float]:
    """The measures of one attribute over its specified labels."""
    called = [value >= threshold for value in scores]
    pairs = list(zip(called, labels, strict=True))
    hits, misses = pairs.count((True, 1)), pairs.count((False, 1))
    alarms, rests = pairs.count((True, 0)), pairs.count((False, 0))
    result = {"positives": hits + misses, "negatives": alarms + rests}
    if not (hits + misses and alarms + rests):
        return result | dict.fromkeys(MEASURES, NAN)
    recall, specificity = hits / (hits + misses), rests / (alarms + rests)
    precision = ratio(hits, hits + alarms)
    return result | {
        "recall_positive": recall,
        "recall_negative": specificity,
        "mean_accuracy": (recall + specificity) / 2,
        "precision": precision,
        "f1": harmonic(precision, recall),
        "average_precision": oracle_average_precision(scores, [label == 1 for label in labels]),
    }


def oracle_totals(
    table: list[dict[str, float]], probabilities: Array, targets: Labels, thresholds: Array
) -> dict[str, float]:
    """All totals; the micro ones only where some attribute is present somewhere."""
    usable = [row for row in table if row["positives"] and row["negatives"]]
    totals = {
        "mean_accuracy": mean([row["mean_accuracy"] for row in usable]),
        "mean_average_precision": mean([row["average_precision"] for row in usable]),
        "macro_precision": mean([row["precision"] for row in usable]),
        "macro_recall": mean([row["recall_positive"] for row in usable]),
        "macro_f1": mean([row["f1"] for row in usable]),
    }
    accuracies, precisions, recalls = [], [], []
    hits = called = present = 0
    for row, labels in zip(probabilities, targets, strict=True):
        true = {c for c, label in enumerate(labels) if label == 1}
        found = {c for c, label in enumerate(labels) if label != -1 and row[c] >= thresholds[c]}
        hits, called = hits + len(true & found), called + len(found)
        present += len(true)
        if true:
            accuracies.append(len(true & found) / len(true | found))
            precisions.append(ratio(len(true & found), len(found)))
            recalls.append(len(true & found) / len(true))
    precision, recall = mean(precisions), mean(recalls)
    totals |= {
        "instance_accuracy": mean(accuracies),
        "instance_precision": precision,
        "instance_recall": recall,
        "instance_f1": harmonic(precision, recall),
    }
    if present:
        precision, recall = ratio(hits, called), hits / present
        totals |= {
            "micro_precision": precision,
            "micro_recall": recall,
            "micro_f1": harmonic(precision, recall),
        }
    return totals


def check(probabilities: Array, targets: Labels, thresholds: Array | float) -> Scores:
    """Compare everything that score gives with the definitions, and hand it back."""
    scores = score(probabilities, targets, thresholds)
    limits = np.broadcast_to(np.asarray(thresholds, np.float64), targets.shape[1:])
    table = []
    for c, threshold in enumerate(limits):
        known = targets[:, c] != -1
        labels = targets[known, c].tolist()
        table.append(oracle_attribute(probabilities[known, c].tolist(), labels, float(threshold)))
    for name in ("positives", "negatives", *MEASURES):
        expected = [row[name] for row in table]
        np.testing.assert_allclose(getattr(scores, name), expected, atol=1e-12, err_msg=name)
    expected = [bool(row["positives"] and row["negatives"]) for row in table]
    np.testing.assert_array_equal(scores.scorable, expected)
    np.testing.assert_array_equal(scores.thresholds, limits)
    totals = dataclasses.asdict(scores.totals)
    for name, value in oracle_totals(table, probabilities, targets, limits).items():
        assert isinstance(totals[name], float)
        assert totals[name] == pytest.approx(value, abs=1e-12, nan_ok=True), name
    return scores


def draw_probabilities(rng: np.random.Generator, n: int, c: int, *, coarse: bool) -> Array:
    """Probabilities; coarse ones are eighths, so that many tie and equal their threshold."""
    return rng.integers(0, 9, size=(n, c)) / 8 if coarse else rng.uniform(size=(n, c))


def complete_data(seed: int) -> tuple[Array, npt.NDArray[np.int8]]:
    """Fully specified data with both labels for each attribute and a positive in each image."""
    rng = np.random.default_rng(seed)
    targets = (rng.uniform(size=(60, 7)) < rng.uniform(0.1, 0.9, size=7)).astype(np.int8)
    targets[np.arange(60), rng.integers(0, 7, size=60)] = 1
    targets[:7][np.eye(7, dtype=bool)] = 0
    targets[:7, :][np.eye(7, k=1, dtype=bool)] = 1
    targets[6, 0] = 1
    return draw_probabilities(rng, 60, 7, coarse=bool(seed % 2)), targets


def labels(rows: list[list[int]]) -> Labels:
    """Targets from nested lists."""
    return np.array(rows, dtype=np.int8)


# Average precision


@PROPERTY
@given(n=st.integers(1, 30), levels=st.sampled_from([1, 2, 5, 1000]), seed=seeds)
def test_average_precision_matches_its_definition(n: int, levels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, positives = (
        rng.integers(0, levels, size=n) / levels,
        rng.uniform(size=n) < rng.uniform(),
    )
    expected = oracle_average_precision(scores.tolist(), positives.tolist())
    assert average_precision(scores, positives) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    if positives.any():
        reference = sklearn_metrics.average_precision_score(positives, scores)
        assert average_precision(scores, positives) == pytest.approx(reference, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "positives", "expected"),
    [
        # Recall 1/2 at precision 1/3 (three at or above 0.5), then 1 at precision 1/2.
        ([0.9, 0.5, 0.5, 0.1], [0, 1, 0, 1], 5 / 12),
        # The tie may not be broken in favour of either order.
        ([0.9, 0.5, 0.5, 0.1], [0, 0, 1, 1], 5 / 12),
        # All tied: the fraction of positives.
        ([0.5] * 4, [1, 0, 0, 0], 1 / 4),
        ([0.9, 0.8, 0.2], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.2], [0, 0, 1], 1 / 3),
        ([0.1, 0.2], [1, 1], 1.0),
        ([0.1, 0.2], [0, 0], NAN),
        ([], [], NAN),
    ],
)
def test_average_precision_by_hand(
    scores: list[float], positives: list[int], expected: float
) -> None:
    actual = average_precision(np.array(scores, np.float64), np.array(positives, bool))
    assert actual == pytest.approx(expected, abs=1e-12, nan_ok=True)


# Scores and totals against the definitions


@PROPERTY
@given(
    n=st.integers(1, 15),
    c=st.integers(1, 5),
    coarse=st.booleans(),
    shared=st.booleans(),
    unspecified=st.sampled_from([0.0, 0.3, 0.8]),
    seed=seeds,
)
def test_score_matches_the_definitions(
    n: int, c: int, coarse: bool, shared: bool, unspecified: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    targets = (rng.uniform(size=(n, c)) < rng.uniform(size=c)).astype(np.int8)
    targets[rng.uniform(size=(n, c)) < unspecified] = -1
    thresholds = draw_probabilities(rng, 1, c, coarse=coarse)[0]
    probabilities = draw_probabilities(rng, n, c, coarse=coarse)
    check(probabilities, targets, float(thresholds[0]) if shared else thresholds)


def test_score_by_hand() -> None:
    # Attribute 2 is never absent, so it counts in the instance and micro totals only. Image 2
    # has nothing present, so its false alarm counts in the label-based totals only.
    probabilities = np.array([[0.9, 0.2, 0.8], [0.7, 0.6, 0.1], [0.6, 0.1, 0.9]])
    scores = check(probabilities, labels([[1, 1, 1], [0, 1, 1], [0, 0, -1]]), 0.5)
    totals = scores.totals
    np.testing.assert_array_equal(scores.scorable, [True, True, False])
    np.testing.assert_allclose(scores.mean_accuracy, [0.5, 0.75, NAN])
    np.testing.assert_allclose(scores.precision, [1 / 3, 1, NAN])
    np.testing.assert_allclose(scores.f1, [1 / 2, 2 / 3, NAN])
    assert totals.mean_accuracy == pytest.approx(0.625)
    assert totals.mean_average_precision == pytest.approx(1.0)
    assert totals.macro_f1 == pytest.approx(7 / 12)
    # Image 0: 2 of 2 called, 2 of 3 present; image 1: 1 of 2 called, 1 of 2 present.
    assert totals.instance_accuracy == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert totals.instance_precision == pytest.approx((1 + 1 / 2) / 2)
    assert totals.instance_recall == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert totals.instance_f1 == pytest.approx(2 * 0.75 * (7 / 12) / (0.75 + 7 / 12))
    assert totals.micro_precision == pytest.approx(3 / 5)
    assert totals.micro_recall == pytest.approx(3 / 5)
    assert totals.micro_f1 == pytest.approx(3 / 5)


def test_threshold_defaults_to_one_half_and_equality_is_present() -> None:
    below = np.nextafter(0.5, 0)
    probabilities, targets = np.array([[0.5], [below]]), labels([[1], [0]])
    scores = score(probabilities, targets)
    np.testing.assert_array_equal(scores.thresholds, [0.5])
    assert (scores.recall_positive[0], scores.recall_negative[0]) == (1, 1)
    shifted = score(probabilities, targets, np.array([below]))
    assert (shifted.recall_positive[0], shifted.recall_negative[0]) == (1, 0)


def test_thresholds_are_per_attribute() -> None:
    probabilities = np.array([[0.3, 0.3], [0.6, 0.6]])
    targets = labels([[0, 1], [1, 0]])
    scores = check(probabilities, targets, np.array([0.2, 0.7]))
    np.testing.assert_array_equal(scores.recall_positive, [1, 0])
    np.testing.assert_array_equal(scores.recall_negative, [0, 1])


def test_empty_predictions_have_no_precision() -> None:
    scores = check(np.full((4, 2), 0.1), labels([[1, 0], [0, 1], [1, 1], [0, 0]]), 0.5)
    np.testing.assert_array_equal(scores.precision, [0, 0])
    np.testing.assert_array_equal(scores.f1, [0, 0])
    totals = dataclasses.asdict(scores.totals)
    assert totals.pop("mean_accuracy") == 0.5
    assert totals.pop("mean_average_precision") == 0.5
    assert set(totals.values()) == {0.0}


def test_images_without_positives_leave_the_instance_totals() -> None:
    rng = np.random.default_rng(11)
    probabilities, targets = complete_data(0)
    longer = np.concatenate([probabilities, rng.uniform(size=(9, 7))])
    empty = rng.integers(-1, 1, size=(9, 7)).astype(np.int8)
    with_empty = check(longer, np.concatenate([targets, empty]), 0.5).totals
    without = check(probabilities, targets, 0.5).totals
    for name in ("accuracy", "precision", "recall", "f1"):
        name = f"instance_{name}"
        assert getattr(with_empty, name) == pytest.approx(getattr(without, name)), name
    assert with_empty.micro_precision < without.micro_precision


def test_unspecified_entries_count_nowhere() -> None:
    probabilities, targets = complete_data(1)
    hidden = np.random.default_rng(12).uniform(size=targets.shape) < 0.3
    targets[hidden] = -1
    first = score(np.where(hidden, 0.0, probabilities), targets)
    second = score(np.where(hidden, 1.0, probabilities), targets)
    for name in ("positives", "negatives", *MEASURES):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.totals == second.totals
    assert not math.isnan(first.totals.mean_accuracy)


@pytest.mark.parametrize("constant", [-1, 0, 1])
def test_attributes_without_both_labels_leave_the_means(constant: int) -> None:
    probabilities, targets = complete_data(2)
    extra = np.full((60, 1), constant, dtype=np.int8)
    wider = np.concatenate([probabilities, np.random.default_rng(13).uniform(size=(60, 1))], axis=1)
    scores = check(wider, np.concatenate([targets, extra], axis=1), 0.5)
    reference = score(probabilities, targets, 0.5)
    assert scores.scorable.tolist() == [True] * 7 + [False]
    assert all(math.isnan(getattr(scores, name)[7]) for name in MEASURES)
    for name in ("mean_accuracy", "mean_average_precision", "macro_precision", "macro_f1"):
        assert getattr(scores.totals, name) == pytest.approx(getattr(reference.totals, name))
    # The others do count it, unless it is specified nowhere.
    same = scores.totals.micro_precision == pytest.approx(reference.totals.micro_precision)
    assert same == (constant == -1)


@pytest.mark.parametrize("constant", [-1, 0])
def test_totals_that_nothing_defines_are_nan(constant: int) -> None:
    scores = check(np.full((3, 2), 0.7), np.full((3, 2), constant, dtype=np.int8), 0.5)
    totals = dataclasses.asdict(scores.totals)
    # What a false alarm is worth in the micro precision is defined; the recall of nothing is not.
    undefined = set(totals) - {"micro_precision", "micro_f1"}
    assert [name for name in undefined if not math.isnan(totals[name])] == []


# Against scikit-learn


@pytest.mark.parametrize("seed", range(4))
def test_attributes_agree_with_scikit_learn(seed: int) -> None:
    probabilities, targets = complete_data(seed)
    scores, found = score(probabilities, targets), probabilities >= 0.5
    for c in range(7):
        true, called = targets[:, c], found[:, c]
        expected = {
            "recall_positive": sklearn_metrics.recall_score(true, called),
            "recall_negative": sklearn_metrics.recall_score(true, called, pos_label=0),
            "mean_accuracy": sklearn_metrics.balanced_accuracy_score(true, called),
            "precision": sklearn_metrics.precision_score(true, called),
            "f1": sklearn_metrics.f1_score(true, called),
            "average_precision": sklearn_metrics.average_precision_score(true, probabilities[:, c]),
        }
        assert set(expected) == set(MEASURES)
        for name, value in expected.items():
            assert getattr(scores, name)[c] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("seed", range(4))
def test_totals_agree_with_scikit_learn(seed: int) -> None:
    probabilities, targets = complete_data(seed)
    assert targets.any(axis=1).all(), "scikit-learn also averages over images with no positive"
    thresholds = np.random.default_rng(seed).uniform(0.2, 0.9, size=7)
    totals, found = score(probabilities, targets, thresholds).totals, probabilities >= thresholds
    expected = {
        "mean_average_precision": sklearn_metrics.average_precision_score(
            targets, probabilities, average="macro"
        ),
        "instance_accuracy": sklearn_metrics.jaccard_score(
            targets, found, average="samples", zero_division=0
        ),
    }
    measures = {
        "precision": sklearn_metrics.precision_score,
        "recall": sklearn_metrics.recall_score,
        "f1": sklearn_metrics.f1_score,
    }
    for kind, average in (("instance", "samples"), ("macro", "macro"), ("micro", "micro")):
        for name, measure in measures.items():
            # Instance F1 comes from the averages, scikit-learn's is averaged over the images.
            if (kind, name) != ("instance", "f1"):
                value = measure(targets, found, average=average, zero_division=0)
                expected[f"{kind}_{name}"] = value
    for name, value in expected.items():
        assert getattr(totals, name) == pytest.approx(value, abs=1e-12), name


# Refusals


@pytest.mark.parametrize(
    ("shape", "target_shape", "thresholds"),
    [
        ((4, 3), (4, 2), 0.5),
        ((4, 3), (3, 3), 0.5),
        ((4, 3), (3, 4), 0.5),
        ((4, 1), (4, 3), 0.5),
        ((4, 3), (1, 3), 0.5),
        ((4, 3), (4, 3), np.full(1, 0.5)),
        ((4, 3), (4, 3), np.full(2, 0.5)),
        ((4, 3), (4, 3), np.full(4, 0.5)),
        ((4, 3), (4, 3), np.full((4, 1), 0.5)),
    ],
    ids=str,
)
def test_shapes_that_do_not_match_are_refused(
    shape: tuple[int, int], target_shape: tuple[int, int], thresholds: Array | float
) -> None:
    with pytest.raises(ValueError):
        score(np.full(shape, 0.5), np.ones(target_shape, dtype=np.int8), thresholds)


def test_nan_probabilities_are_refused() -> None:
    probabilities, targets = complete_data(0)
    probabilities[5, 2] = NAN
    with pytest.raises(ValueError):
        score(probabilities, targets)
