"""Temperatures, thresholds and the calibration error, against scikit-learn and plain search."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from vaa_cli.core.evaluation.calibration import (
    Metric,
    calibration_error,
    fit_calibration,
    fit_temperature,
    logits_of,
)

METRICS = {"mA": balanced_accuracy_score, "F1": f1_score}


def drawn(
    n: int, temperature: float, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels that follow them, were they divided by the temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(shift, 3, n)
    return logits, rng.random(n) < expit(logits / temperature)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    logits, present = drawn(50_000, temperature)
    assert fit_temperature(logits, present) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_is_likelier() -> None:
    logits, present = drawn(500, 2.5)
    found = fit_temperature(logits, present)
    # Platt's targets are a copy of each label and, for the rest, one of the other kind.
    positives = present.sum()
    unsure = np.where(present, 1 / (positives + 2), 1 / (500 - positives + 2))
    targets = np.concatenate([present, ~present])
    weights = np.concatenate([1 - unsure, unsure])

    def loss(temperature: float) -> float:
        shares = expit(np.concatenate([logits, logits]) / temperature)
        return float(log_loss(targets, shares, sample_weight=weights))

    assert all(loss(found) <= loss(other) + 1e-9 for other in np.geomspace(0.5, 15))


@pytest.mark.parametrize("metric", ["mA", "F1"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60))
def test_no_other_threshold_is_better(metric: Metric, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    logits = np.round(rng.normal(size=(n, 1)), 1)  # with ties
    targets = (rng.random((n, 1)) < 0.4).astype(np.int8)
    targets[:2, 0] = 0, 1
    found = fit_calibration(logits, targets, metric, shrinkage=0)
    of = METRICS[metric]

    def value(threshold: float) -> float:
        probabilities = expit(logits[:, 0] / found.temperatures[0])
        return float(of(targets[:, 0], probabilities >= threshold))

    shares = np.unique(expit(logits / found.temperatures))
    candidates = [0.0, *shares, *((shares[1:] + shares[:-1]) / 2), 1.0]
    assert value(found.thresholds[0]) == pytest.approx(max(map(value, candidates)))


def test_a_threshold_is_in_the_middle_of_what_is_as_good() -> None:
    logits = np.array([[-3.0], [-2.0], [2.0], [4.0]])
    targets = np.array([[0], [0], [1], [1]])
    found = fit_calibration(logits, targets, shrinkage=0)
    assert found.thresholds[0] == pytest.approx(0.5)  # logit 0, between -2 and 2


def test_rare_attributes_are_drawn_to_all_of_them() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    logits = rng.normal(0, 3, (n, 3))
    targets = (rng.random((n, 3)) < expit(logits / [1.0, 4.0, 4.0])).astype(np.int8)
    targets[5:, 2] = -1  # five labels are all that is known of the third
    targets[:5, 2] = 1, 0, 0, 0, 0
    found = fit_calibration(logits, targets, shrinkage=20)
    few = min((targets[:, 0] == 1).sum(), (targets[:, 0] == 0).sum())
    assert found.weights[0] == pytest.approx(few / (few + 20))
    assert found.weights[2] == pytest.approx(1 / 21)
    alone = fit_calibration(logits, targets, shrinkage=0)
    assert alone.weights.tolist() == [1, 1, 1]
    known = targets != -1
    shared = fit_temperature(logits[known], targets[known] == 1)
    for c in range(3):
        own, weight = alone.temperatures[c], found.weights[c]
        expected = math.exp(weight * math.log(own) + (1 - weight) * math.log(shared))
        assert found.temperatures[c] == pytest.approx(expected)
    assert found.temperatures[0] < found.temperatures[2] < found.temperatures[1]


def test_an_attribute_that_cannot_be_scored_has_what_all_have() -> None:
    logits, present = drawn(300, 2.0)
    targets = np.stack([present, np.zeros(300), np.full(300, -1)], axis=1).astype(np.int8)
    found = fit_calibration(np.stack([logits] * 3, axis=1), targets)
    assert found.weights[1:].tolist() == [0, 0]
    assert found.temperatures[1] == found.temperatures[2]
    assert found.thresholds[1] == found.thresholds[2]
    assert np.isfinite(found.temperatures).all() and np.isfinite(found.thresholds).all()


@pytest.mark.parametrize("targets", [np.full((4, 2), -1), np.ones((4, 2)), np.zeros((4, 2))])
def test_nothing_to_learn_from(targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no attribute has both"):
        fit_calibration(np.zeros((4, 2)), targets)


def test_labels_that_logits_tell_for_sure_have_a_finite_temperature() -> None:
    logits = np.array([[-5.0], [-4.0], [4.0], [5.0]])
    found = fit_calibration(logits, [[0], [0], [1], [1]], shrinkage=0)
    # Four labels, each taken as 3/4 sure: a logit of 4 stands for no more than that.
    assert 2 < found.temperatures[0] < 10


def test_logits_come_back_from_probabilities() -> None:
    logits = np.random.default_rng(0).uniform(-30, 12, (50, 3))
    temperatures = np.array([0.8, 1.0, 3.0])
    found = logits_of(expit(logits / temperatures), temperatures)
    assert found == pytest.approx(logits, abs=1e-6)
    assert np.isfinite(logits_of(np.array([0.0, 1.0]))).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 300))
def test_the_calibration_error_is_that_of_the_curve(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.random(n) ** rng.uniform(0.2, 5)
    present = rng.random(n) < 0.3
    true, predicted = calibration_curve(present, shares, n_bins=15)
    counts = np.histogram(shares, bins=np.linspace(0, 1, 16))[0]
    expected = (counts[counts > 0] * np.abs(true - predicted)).sum() / n
    assert calibration_error(shares, present.astype(int)) == pytest.approx(expected)


def test_unspecified_labels_have_no_error() -> None:
    assert calibration_error([[0.9, 0.1], [0.2, 0.7]], [[1, -1], [-1, -1]]) == pytest.approx(0.1)
    assert math.isnan(calibration_error([0.5], [-1]))
