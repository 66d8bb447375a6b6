"""Bootstrap draws, each scored as the metrics and scikit-learn score the pictures drawn."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from vaa_cli.core.evaluation import bootstrap as bootstrap_module
from vaa_cli.core.evaluation.bootstrap import bootstrap, interval
from vaa_cli.core.evaluation.comparison import compare_predictions, comparison_records
from vaa_cli.core.evaluation.metrics import score


def random_run(seed: int, n: int = 50, c: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    targets = rng.integers(-1, 2, (n, c)).astype(np.int8)
    targets[:, 0] = 0
    targets[0, 0] = 1  # so rare that many draws lack it
    return np.round(rng.random((n, c)), 1), targets  # with ties


def test_each_draw_is_scored_as_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, targets = random_run(0)
    drawn: list[np.ndarray] = []
    draws = bootstrap_module._draws

    def noted(*arguments: int):  # type: ignore[no-untyped-def]
        for counts in draws(*arguments):
            drawn.extend(counts)
            yield counts

    monkeypatch.setattr(bootstrap_module, "_draws", noted)
    monkeypatch.setattr(bootstrap_module, "_AT_ONCE", 50 * 7)  # several parts
    limits = np.array([0.5, 0.3, 0.6, 0.5])
    (found,) = bootstrap([(probabilities, limits)], targets, samples=40)
    assert len(drawn) == 40
    lacking = 0
    for i, counts in enumerate(drawn):
        assert counts.sum() == 50
        rows = np.repeat(np.arange(50), counts.astype(int))
        expected = score(probabilities[rows], targets[rows], limits)
        assert found.mean_accuracy[i] == pytest.approx(expected.mean_accuracy, nan_ok=True)
        assert found.average_precision[i] == pytest.approx(expected.average_precision, nan_ok=True)
        assert found.instance_f1[i] == pytest.approx(expected.totals.instance_f1)
        assert found.totals["mA"][i] == pytest.approx(expected.totals.mean_accuracy)
        assert found.totals["mAP"][i] == pytest.approx(expected.totals.mean_average_precision)
        known = targets[rows, 1] != -1
        assert found.average_precision[i, 1] == pytest.approx(
            average_precision_score(targets[rows, 1][known], probabilities[rows, 1][known])
        )
        lacking += np.isnan(found.mean_accuracy[i, 0])
    assert 0 < lacking < 40


def test_intervals_are_quantiles() -> None:
    values = np.random.default_rng(0).normal(size=(999, 2))
    mean = values.mean(axis=0)
    low, high = interval(mean, values)
    assert low == pytest.approx(np.quantile(values, 0.025, axis=0))
    assert high == pytest.approx(np.quantile(values, 0.975, axis=0))
    # Draws that are all too high are moved to the figure.
    moved = interval(mean - 3, values)
    assert moved[0] == pytest.approx(low - 3) and moved[1] == pytest.approx(high - 3)


def test_what_most_draws_lack_has_no_interval() -> None:
    values = np.ones((100, 3))
    values[:60, 0] = np.nan
    values[:40, 1] = np.nan
    values[:, 2] = np.nan
    low, high = interval(np.ones(3), values)
    assert np.isnan(low).tolist() == np.isnan(high).tolist() == [True, False, True]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of a share, mA of a coin that always says yes on two attributes is known."""
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        targets = np.stack([np.ones(400), np.zeros(400)], axis=1).astype(np.int8)
        targets[::2] = 0
        probabilities = np.where(rng.random((400, 2)) < 0.8, targets, 1 - targets)
        targets[:, 1] = -1
        (found,) = bootstrap([(probabilities, 0.5)], targets, samples=200, seed=seed)
        estimate = score(probabilities, targets).totals.mean_accuracy
        low, high = interval(estimate, found.totals["mA"])
        held += bool(low <= 0.8 <= high)
    assert 50 <= held <= 60


def test_a_run_against_itself_differs_by_nothing() -> None:
    probabilities, targets = random_run(3)
    compared = compare_predictions([[(probabilities, 0.5)]] * 2, targets, list("abcd"), samples=50)
    for one in compared:
        (difference,) = one.differences
        assert difference.value == 0 or np.isnan(difference.value)
        assert not difference.excludes_zero


def test_a_better_run_is_reported_from_noise() -> None:
    rng = np.random.default_rng(4)
    targets = rng.integers(0, 2, (400, 3)).astype(np.int8)
    guessed, known = rng.random((400, 3)), np.clip(targets + rng.normal(0, 0.3, (400, 3)), 0, 1)
    again = np.clip(known + rng.normal(0, 0.01, (400, 3)), 0, 1)
    compared = compare_predictions(
        [[(guessed, 0.5)], [(known, 0.5)]], targets, list("abc"), samples=200
    )
    assert all(one.differences[0].excludes_zero for one in compared)
    assert all(one.differences[0].low > 0.1 for one in compared if one.figure != "instance F1")
    same = compare_predictions([[(known, 0.5)], [(again, 0.5)]], targets, list("abc"), samples=200)
    assert sum(one.differences[0].excludes_zero for one in same) <= 2


def test_pairing_makes_differences_surer_than_the_runs() -> None:
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, (200, 1)).astype(np.int8)
    first = np.clip(targets + rng.normal(0, 0.7, (200, 1)), 0, 1)
    second = np.where(rng.random((200, 1)) < 0.05, 1 - first, first)
    compared = compare_predictions([[(first, 0.5)], [(second, 0.5)]], targets, ["a"], samples=300)
    total = compared[0]
    width = total.values[0].high - total.values[0].low
    assert total.differences[0].high - total.differences[0].low < 0.8 * width


def test_records_have_all_figures() -> None:
    probabilities, targets = random_run(6)
    runs = [(probabilities, 0.5), (1 - probabilities, 0.5)]
    compared = compare_predictions([[run] for run in runs], targets, list("abcd"), samples=50)
    records = comparison_records(compared, ["x", "y"])
    assert len(records) == 2 * (3 + 2 * 4)
    expected = [score(p, targets).totals.mean_accuracy for p, _ in runs]
    assert [record["value"] for record in records[:2]] == pytest.approx(expected)
    assert records[0]["difference"] is None
    assert records[1]["difference"] == pytest.approx(expected[1] - expected[0])
    assert records[1]["difference_low"] <= records[1]["difference_high"]  # type: ignore[operator]


# Several seeds


def test_a_group_is_the_mean_of_its_runs() -> None:
    (first, targets), (second, _) = random_run(7), random_run(8)
    alone = compare_predictions([[(first, 0.5)], [(second, 0.5)]], targets, list("abcd"), 50)
    both = compare_predictions([[(first, 0.5), (second, 0.5)]], targets, list("abcd"), 50)
    for one, group in zip(alone, both, strict=True):
        values = [value.value for value in one.values]
        assert group.values[0].value == pytest.approx(np.mean(values), nan_ok=True)
        assert group.deviations[0] == pytest.approx(np.std(values, ddof=1), nan_ok=True)
        assert np.isnan(one.deviations).all()  # a run alone has none


def seeds_of(rng: np.random.Generator, targets: NDArray[np.int8], spread: float) -> list[Any]:
    """Runs of one method whose quality differs by a spread from seed to seed."""
    noises = 0.6 + spread * np.array([-1.0, 0.0, 1.0])
    return [(np.clip(targets + rng.normal(0, n, targets.shape), 0, 1), 0.5) for n in noises]


def test_intervals_hold_the_spread_of_the_seeds_too() -> None:
    rng = np.random.default_rng(9)
    targets = rng.integers(0, 2, (400, 2)).astype(np.int8)
    widths = []
    for spread in (0.0, 0.2):
        runs = seeds_of(rng, targets, spread)
        interval = compare_predictions([runs], targets, ["a", "b"], 400)[0].values[0]
        widths.append(interval.high - interval.low)
    assert widths[1] > 1.5 * widths[0]


def test_seeds_are_paired_where_there_are_as_many() -> None:
    """A constant gain at every seed is sure, however much the seeds differ."""
    rng = np.random.default_rng(10)
    targets = rng.integers(0, 2, (400, 2)).astype(np.int8)
    runs = seeds_of(rng, targets, 0.3)
    better = [(np.clip(0.85 * p + 0.15 * targets, 0, 1), limit) for p, limit in runs]
    paired = compare_predictions([runs, better], targets, ["a", "b"], 400)[0].differences[0]
    alone = compare_predictions([runs, better[:2]], targets, ["a", "b"], 400)[0].differences[0]
    assert paired.excludes_zero and paired.value > 0
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)
