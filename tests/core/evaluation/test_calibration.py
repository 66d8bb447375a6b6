"""Scaling, thresholds and the calibration error, against scikit-learn and plain search."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from vaa_cli.core.evaluation.calibration import (
    Metric,
    calibration_error,
    fit_calibration,
    fit_platt,
    logits_of,
)

METRICS = {"mA": balanced_accuracy_score, "F1": f1_score}


def drawn(
    n: int, temperature: float, shift: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels that follow them, were they divided by the temperature and shifted."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, n)
    return logits, rng.random(n) < expit(logits / temperature + shift)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
@pytest.mark.parametrize("shift", [-3.0, 0.0, 1.0])
def test_the_scaling_that_labels_were_drawn_with_is_found(temperature: float, shift: float) -> None:
    found = fit_platt(*drawn(50_000, temperature, shift))
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.shift == pytest.approx(shift, abs=0.1)


def test_no_other_scaling_is_likelier() -> None:
    logits, present = drawn(500, 2.5, -1.0)
    found = fit_platt(logits, present)
    # Platt's targets are a copy of each label and, for the rest, one of the other kind.
    positives = present.sum()
    unsure = np.where(present, 1 / (positives + 2), 1 / (500 - positives + 2))
    targets = np.concatenate([present, ~present])
    weights = np.concatenate([1 - unsure, unsure])

    def loss(temperature: float, shift: float) -> float:
        scaled = expit(np.concatenate([logits, logits]) / temperature + shift)
        return float(log_loss(targets, scaled, sample_weight=weights))

    best = loss(*found)
    for temperature in np.geomspace(0.5, 15, 20):
        for shift in np.linspace(-3, 3, 25):
            assert best <= loss(temperature, shift) + 1e-6


def labelled(rng: np.random.Generator, n: int) -> np.ndarray:
    """Labels `[n x 1]`, of which five at least are of each kind."""
    targets = (rng.random((n, 1)) < 0.4).astype(np.int8)
    targets[:10, 0] = [0, 1] * 5
    return targets


@pytest.mark.parametrize("metric", ["mA", "F1"])
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(10, 60))
def test_no_other_threshold_is_better(metric: Metric, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    logits, targets = np.round(rng.normal(size=(n, 1)), 1), labelled(rng, n)  # with ties
    found = fit_calibration(logits, targets, metric, shrinkage=0)
    of = METRICS[metric]
    probabilities = expit(logits / found.temperatures + found.shifts)[:, 0]

    def value(threshold: float) -> float:
        return float(of(targets[:, 0], probabilities >= threshold))

    known = np.unique(probabilities)
    candidates = [0.0, *known, *((known[1:] + known[:-1]) / 2), 1.0]
    assert value(found.thresholds[0]) == pytest.approx(max(map(value, candidates)))


def test_a_threshold_is_in_the_middle_of_what_is_as_good() -> None:
    logits = np.array([-4, -3, -3, -2, -2, 2, 2, 3, 3, 4], dtype=float)[:, None]
    found = fit_calibration(logits, [[0]] * 5 + [[1]] * 5, shrinkage=0)
    assert found.thresholds[0] == pytest.approx(0.5, abs=1e-4)  # logit 0, between -2 and 2


def test_rare_attributes_are_drawn_to_all_of_them() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    logits = rng.normal(0, 3, (n, 3))
    targets = (rng.random((n, 3)) < expit(logits / [1.0, 4.0, 4.0])).astype(np.int8)
    targets[20:, 2] = -1  # twenty labels are all that is known of the third
    targets[:20, 2] = [1] * 6 + [0] * 14
    found = fit_calibration(logits, targets, shrinkage=30)
    few = min((targets[:, 0] == 1).sum(), (targets[:, 0] == 0).sum())
    assert found.weights[0] == pytest.approx(few / (few + 30))
    assert found.weights[2] == pytest.approx(6 / 36)
    alone = fit_calibration(logits, targets, shrinkage=0)
    assert alone.weights.tolist() == [1, 1, 1]
    known = targets != -1
    shared = fit_platt(logits[known], targets[known] == 1)
    for c in range(3):
        weight = found.weights[c]
        own = math.log(alone.temperatures[c])
        expected = math.exp(weight * own + (1 - weight) * math.log(shared.temperature))
        assert found.temperatures[c] == pytest.approx(expected)
        expected = weight * alone.shifts[c] + (1 - weight) * shared.shift
        assert found.shifts[c] == pytest.approx(expected, abs=1e-6)
    assert found.temperatures[0] < found.temperatures[2] < found.temperatures[1]


def test_attributes_with_few_labels_have_what_all_have_and_their_own_prior() -> None:
    logits, present = drawn(300, 2.0)
    few = np.zeros(300, dtype=bool)
    few[:4] = True
    targets = np.stack([present, few, np.full(300, -1)], axis=1).astype(np.int8)
    priors = [float(present.mean()), 0.02, None]
    found = fit_calibration(np.stack([logits] * 3, axis=1), targets, priors=priors)
    assert found.weights[1:].tolist() == [0, 0] and found.anchored.tolist() == [1, 2]
    assert found.temperatures[1] == found.temperatures[2] and found.shifts[1] == found.shifts[2]
    # The offset from their priors is the same; that of the third is not known, so a half.
    offset = logit(found.thresholds[1]) - logit(0.02)
    assert logit(found.thresholds[2]) - logit(0.5) == pytest.approx(offset)
    f1 = fit_calibration(np.stack([logits] * 3, axis=1), targets, "F1", priors=priors)
    assert f1.thresholds[1] == f1.thresholds[2]


PRIORS = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6])


def exact_posteriors(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels that were drawn with them, of attributes that are as rare as `PRIORS`."""
    rng = np.random.default_rng(seed)
    # Where a normal distribution of logits has a mean probability of the prior, about.
    spread = np.linspace(1, 3, len(PRIORS))
    centres = [
        brentq(lambda m, a=a, s=s: expit(m + s * GRID).mean() - a, -20, 20)
        for a, s in zip(PRIORS, spread, strict=True)
    ]
    logits = rng.normal(centres, spread, (n, len(PRIORS)))
    return logits, (rng.random(logits.shape) < expit(logits)).astype(np.int8)


GRID = np.random.default_rng(5).normal(size=20_000)


def mean_accuracy(logits: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> float:
    values = [
        balanced_accuracy_score(targets[:, c], logits[:, c] >= thresholds[c])
        for c in range(len(PRIORS))
    ]
    return float(np.mean(values))


def test_thresholds_are_nearly_the_best_that_there_are() -> None:
    """Of exact probabilities, the best threshold for mA is the prior; val has 500 pictures."""
    lost, gained = [], []
    for seed in range(8):
        logits, targets = exact_posteriors(500, seed)
        found = fit_calibration(logits, targets, priors=PRIORS.tolist())
        others, truth = exact_posteriors(20_000, 100 + seed)
        limits = (logit(found.thresholds) - found.shifts) * found.temperatures
        mine = mean_accuracy(others, truth, limits)
        lost.append(mean_accuracy(others, truth, logit(PRIORS)) - mine)
        gained.append(mine - mean_accuracy(others, truth, np.zeros(len(PRIORS))))
    assert np.mean(lost) < 0.005 and np.mean(gained) > 0.1


@pytest.mark.parametrize("targets", [np.full((9, 2), -1), np.ones((9, 2)), np.eye(9, 2)])
def test_nothing_to_learn_from(targets: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no attribute has 5 positives and 5 negatives"):
        fit_calibration(np.zeros((9, 2)), targets)


def test_labels_that_logits_separate_have_a_finite_temperature() -> None:
    logits = np.array([-5.0] * 5 + [5.0] * 5)[:, None]
    found = fit_calibration(logits, [[0]] * 5 + [[1]] * 5, shrinkage=0)
    # Five labels of a kind, each taken as 6/7 sure: a logit of 5 stands for no more than that.
    assert found.temperatures[0] == pytest.approx(5 / math.log(6), rel=1e-3)


def test_logits_come_back_from_probabilities() -> None:
    logits = np.random.default_rng(0).uniform(-30, 12, (50, 3))
    temperatures = np.array([0.8, 1.0, 3.0])
    shifts = np.array([0.0, -1.0, 2.0])
    found = logits_of(expit(logits / temperatures + shifts), temperatures, shifts)
    assert found == pytest.approx(logits, abs=1e-6)
    assert logits_of(expit(logits)) == pytest.approx(logits, abs=1e-6)
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
