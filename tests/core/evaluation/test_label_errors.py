"""Labels that models contradict, against loops over every cell."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.helpers.pictures import make_table
from vaa_cli.core.evaluation.label_errors import (
    LabelErrors,
    calibrated_on_labels,
    contradicted,
    label_error_cells,
    likely_errors,
)


def cells(errors: LabelErrors) -> list[tuple[int, int]]:
    return list(zip(errors.rows.tolist(), errors.attributes.tolist(), strict=True))


@st.composite
def tables(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    labels = rng.integers(-1, 2, shape).astype(np.int8)
    return rng.uniform(0.01, 0.99, shape), labels


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.inf


@given(tables())
@settings(deadline=None)
def test_what_confident_learning_suspects(
    table: tuple[NDArray[np.float64], NDArray[np.int8]],
) -> None:
    probabilities, labels = table
    expected: dict[tuple[int, int], tuple[float, bool]] = {}
    for c in range(labels.shape[1]):
        column = list(zip(probabilities[:, c].tolist(), labels[:, c].tolist(), strict=True))
        positives, negatives = ([p for p, y in column if y == side] for side in (1, 0))
        sides = {1: mean(positives), 0: mean([1 - p for p in negatives])}
        for row, (p, y) in enumerate(column):
            other = 1 - p if y == 1 else p
            is_suspect = y >= 0 and other >= sides[1 - y] - 1e-12
            if is_suspect or (y >= 0 and other > 0.5):
                expected[row, c] = (other, is_suspect)
    errors = likely_errors(probabilities, labels)
    assert set(cells(errors)) == set(expected)
    assert errors.suspect is not None
    assert errors.suspect.tolist() == [expected[cell][1] for cell in cells(errors)]
    sureness = [expected[cell][0] for cell in cells(errors)]
    assert sureness == sorted(sureness, reverse=True)


@given(tables(), st.floats(0.05, 0.95))
@settings(deadline=None)
def test_what_a_model_contradicts(
    table: tuple[NDArray[np.float64], NDArray[np.int8]], threshold: float
) -> None:
    probabilities, labels = table
    errors = contradicted(probabilities, labels, (threshold,) * labels.shape[1])
    expected = {
        (row, c)
        for row in range(labels.shape[0])
        for c in range(labels.shape[1])
        if labels[row, c] >= 0 and (probabilities[row, c] >= threshold) != (labels[row, c] == 1)
    }
    assert set(cells(errors)) == expected
    found = errors.probabilities
    distance = np.abs(np.log(found / (1 - found)) - math.log(threshold / (1 - threshold)))
    assert (np.diff(distance) <= 1e-9).all()


def test_flipped_labels_come_first() -> None:
    """Of predictions that are right but not sure, the labels that were flipped are found."""
    rng = np.random.default_rng(0)
    priors = np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.05])
    truth = (rng.random((800, 6)) < priors).astype(np.int8)
    predicted = np.where(truth == 1, 0.8, 0.1) + rng.normal(0, 0.15, truth.shape)
    flipped = rng.random(truth.shape) < 0.05
    labels = np.where(flipped, 1 - truth, truth).astype(np.int8)
    first = cells(likely_errors(np.clip(predicted, 0.01, 0.99), labels))[: int(flipped.sum())]
    assert sum(bool(flipped[cell]) for cell in first) > 0.9 * flipped.sum()


def test_calibration_on_labels_keeps_the_order_and_fits_the_rates() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((4000, 2)) < (0.3, 0.01)
    logits = np.where(truth, 1.0, -1.0) + rng.normal(0, 1, truth.shape) + (2.0, -3.0)
    probabilities = 1 / (1 + np.exp(-logits))
    labels = truth.astype(np.int8)
    labels[:500, 0] = -1
    found = calibrated_on_labels(probabilities, labels)
    for c in range(2):
        known = labels[:, c] >= 0
        assert found[known, c].mean() == pytest.approx(labels[known, c].mean(), rel=0.05)
        assert (np.diff(found[np.argsort(probabilities[:, c]), c]) >= 0).all()
    few = labels.copy()
    few[:, 1] = 0
    few[:3, 1] = 1
    np.testing.assert_allclose(calibrated_on_labels(probabilities, few)[:, 1], probabilities[:, 1])


def test_the_list() -> None:
    table = make_table(
        [[1, 0], [0, 1]], images=["a.jpg", "b.jpg"], attributes=("hat", "bag"),
        boxes=[[1, 2, 3, 4], [np.nan] * 4],
    )  # fmt: skip
    errors = contradicted([[0.9, 0.7], [0.1, 0.125]], table.labels, (0.5, 0.5))
    assert list(label_error_cells(errors, table, ["train", "test"])) == [
        ("image", "left", "top", "width", "height", "split", "attribute", "label", "probability"),
        ("b.jpg", "", "", "", "", "test", "bag", "1", "0.1250"),
        ("a.jpg", "1", "2", "3", "4", "train", "bag", "0", "0.7000"),
    ]
