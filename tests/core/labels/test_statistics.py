"""Label statistics against loops over the rows, and against numpy's correlation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.pictures import make_table
from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.labels.table import LabelTable

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)
Labels = list[list[int]]

# A few rows of one to four attributes, each -1, 0 or 1.
small = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(-1, 1), min_size=width, max_size=width), min_size=1, max_size=25
    )
)


def oracle_phi(labels: Labels, i: int, j: int) -> float:
    """Pearson's correlation over the rows in which both are specified; NaN for a constant."""
    both = [(row[i], row[j]) for row in labels if row[i] != -1 and row[j] != -1]
    if len({a for a, _ in both}) < 2 or len({b for _, b in both}) < 2:
        return math.nan
    return float(np.corrcoef([a for a, _ in both], [b for _, b in both])[0, 1])


def repeated(*rows_and_counts: tuple[list[int], int]) -> LabelTable:
    return make_table([row for row, count in rows_and_counts for _ in range(count)])


@PROPERTY
@given(small)
def test_counts_are_those_of_a_loop(labels: Labels) -> None:
    statistics = LabelStatistics.of(make_table(labels))
    width = len(labels[0])
    for i in range(width):
        column = [row[i] for row in labels]
        assert statistics.priors.positives[i] == column.count(1)
        assert statistics.priors.negatives[i] == column.count(0)
        assert statistics.priors.unspecified[i] == column.count(-1)
        for j in range(width):
            pairs = [(row[i], row[j]) for row in labels]
            assert statistics.together[i, j] == pairs.count((1, 1))
            assert statistics.present[i, j] == pairs.count((1, 0)) + pairs.count((1, 1))
            assert statistics.specified[i, j] == sum(-1 not in pair for pair in pairs)


@PROPERTY
@given(small)
def test_share_and_phi_are_those_of_their_definitions(labels: Labels) -> None:
    statistics = LabelStatistics.of(make_table(labels))
    for i, j in np.ndindex(statistics.conditional.shape):
        column = [row[j] for row in labels if row[i] == 1 and row[j] != -1]
        expected = sum(column) / len(column) if column else math.nan
        assert statistics.conditional[i, j] == pytest.approx(expected, nan_ok=True)
        phi = oracle_phi(labels, i, j)
        assert statistics.phi[i, j] == pytest.approx(phi, abs=1e-12, nan_ok=True)


@PROPERTY
@given(small)
def test_order_is_from_the_rarest_to_the_most_common(labels: Labels) -> None:
    statistics = LabelStatistics.of(make_table(labels))
    priors = []
    for i in statistics.order:
        specified = [row[i] for row in labels if row[i] != -1]
        priors.append(sum(specified) / len(specified) if specified else math.inf)
    assert priors == sorted(priors)
    assert sorted(statistics.order) == list(range(len(labels[0])))


def test_counting_many_rows_in_parts_changes_nothing() -> None:
    labels = np.random.default_rng(0).integers(-1, 2, (150_000, 2))
    statistics = LabelStatistics.of(make_table(labels.tolist()))
    first, second = labels.T
    assert statistics.together[0, 1] == ((first == 1) & (second == 1)).sum()
    assert statistics.present[0, 1] == ((first == 1) & (second != -1)).sum()
    assert statistics.specified[0, 1] == ((first != -1) & (second != -1)).sum()


def test_phi_of_very_many_rows_does_not_overflow() -> None:
    table = repeated(([1, 1], 1), ([1, 0], 1), ([0, 1], 1), ([0, 0], 3))
    once = LabelStatistics.of(table)
    factor = 10**8
    often = LabelStatistics(
        once.priors, once.together * factor, once.present * factor, once.specified * factor
    )
    assert often.phi == pytest.approx(once.phi)


# The strongest pairs


@PROPERTY
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_strongest_pairs_are_those_of_a_loop(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    # Rates of every kind, so that some pairs have rows enough and some have not.
    labels = (rng.random((60, 5)) < rng.random(5)).astype(int)
    labels[:, 1] |= labels[:, 0] & (rng.random(60) < 0.7)
    labels[rng.random(labels.shape) < 0.1] = -1
    rows: Labels = labels.tolist()
    phis = []
    for i in range(5):
        for j in range(i + 1, 5):
            both = [row for row in rows if row[i] != -1 and row[j] != -1]
            expected = [
                sum(row[i] == a for row in both) * sum(row[j] == b for row in both) / len(both)
                for a in (0, 1)
                for b in (0, 1)
            ]
            if min(expected) >= 5:
                phis.append(oracle_phi(rows, i, j))
    high, low = LabelStatistics.of(make_table(rows)).strongest(count)
    expected_high = sorted((phi for phi in phis if phi > 1e-12), reverse=True)[:count]
    expected_low = sorted(phi for phi in phis if phi < -1e-12)[:count]
    assert [pair.phi for pair in high] == pytest.approx(expected_high)
    assert [pair.phi for pair in low] == pytest.approx(expected_low)
    for pair in high + low:
        i, j = int(pair.first[-1]), int(pair.second[-1])
        cases = [(row[i], row[j]) for row in rows if row[i] != -1 and row[j] != -1]
        firsts, seconds = sum(a for a, _ in cases), sum(b for _, b in cases)
        assert firsts <= seconds
        assert pair.together == cases.count((1, 1))
        assert pair.conditional == pytest.approx(pair.together / firsts)
        assert pair.overall == pytest.approx(seconds / len(cases))


def test_the_rarer_attribute_of_a_pair_is_first() -> None:
    table = repeated(([1, 1], 20), ([1, 0], 20), ([0, 1], 0), ([0, 0], 40))
    (pair,), low = LabelStatistics.of(table).strongest(5)
    assert low == []
    # Of 20 with the second attribute all have the first, as half of all 80 do.
    assert (pair.first, pair.second) == ("attribute1", "attribute0")
    assert (pair.together, pair.conditional, pair.overall) == (20, 1, 0.5)
    assert pair.phi == pytest.approx(math.sqrt(1 / 3))


def test_pairs_with_few_rows_are_left_out() -> None:
    # 10 · 10 / 20 = 5 rows expected in each case, and 9 · 9 / 18 = 4.5.
    for each, kept in ((10, 1), (9, 0)):
        high, _ = LabelStatistics.of(repeated(([1, 1], each), ([0, 0], each))).strongest(5)
        assert len(high) == kept, each


def test_independent_attributes_are_no_pair() -> None:
    table = repeated(([1, 1], 10), ([1, 0], 10), ([0, 1], 10), ([0, 0], 10))
    assert LabelStatistics.of(table).strongest(5) == ([], [])


# Edges


@pytest.mark.parametrize("table", [make_table([[1, 0]]).select([]), make_table([[-1, -1]] * 3)])
def test_without_labels_all_is_unknown(table: LabelTable) -> None:
    statistics = LabelStatistics.of(table)
    assert statistics.specified.sum() == statistics.present.sum() == statistics.together.sum() == 0
    assert np.isnan(statistics.conditional).all() and np.isnan(statistics.phi).all()
    assert statistics.order.tolist() == [0, 1]
    assert statistics.strongest(5) == ([], [])


def test_a_constant_attribute_correlates_with_nothing() -> None:
    statistics = LabelStatistics.of(repeated(([1, 1], 30), ([1, 0], 30)))
    assert math.isnan(statistics.phi[0, 1]) and math.isnan(statistics.phi[0, 0])
    assert statistics.conditional.tolist() == [[1, 0.5], [1, 1]]
    assert statistics.strongest(5) == ([], [])


def test_one_attribute_has_no_pairs() -> None:
    statistics = LabelStatistics.of(make_table([[1], [0], [-1]]))
    assert statistics.strongest(5) == ([], [])
    assert statistics.phi.item() == pytest.approx(1)
