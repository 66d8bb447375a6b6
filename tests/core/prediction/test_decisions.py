"""The surest decisions come first, not the largest probabilities."""

import math

from hypothesis import given
from hypothesis import strategies as st

from vaa_cli.core.prediction.decisions import DecisionRule, by_margin


def test_a_rare_attribute_that_is_present_comes_before_a_common_one_that_is_not() -> None:
    assert by_margin([0.9, 0.1, 0.02, 0.5], [0.95, 0.02, 0.1, 0.5]) == [1, 3, 0, 2]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_with_one_threshold_the_likeliest_come_first(probabilities: list[float]) -> None:
    order = by_margin(probabilities, [0.5] * len(probabilities))
    sorted_ones = [min(max(probabilities[c], 1e-7), 1 - 1e-7) for c in order]
    assert sorted_ones == sorted(sorted_ones, reverse=True)
    assert sorted(order) == list(range(len(probabilities)))


@given(st.lists(st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)), min_size=1))
def test_what_is_present_comes_before_what_is_not(values: list[tuple[float, float]]) -> None:
    order = by_margin([p for p, _ in values], [t for _, t in values])
    present = [values[c][0] >= values[c][1] for c in order]
    assert present == sorted(present, reverse=True)


@given(
    st.lists(st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)), min_size=5, max_size=5)
)
def test_of_a_group_the_one_furthest_above_its_threshold_is_present(
    values: list[tuple[float, float]],
) -> None:
    probabilities, thresholds = zip(*values, strict=True)
    present = DecisionRule(thresholds, groups=((1, 3, 4),)).decide([probabilities])[0].tolist()
    above = [p >= t for p, t in values]
    assert [present[0], present[2]] == [above[0], above[2]]
    members = [1, 3, 4]
    assert sum(present[c] for c in members) == any(above[c] for c in members)
    for chosen in (c for c in members if present[c]):
        margins = [math.log(p / (1 - p)) - math.log(t / (1 - t)) for p, t in values]
        assert margins[chosen] >= max(margins[c] for c in members) - 1e-9


def test_the_rule_of_some_attributes_in_another_order() -> None:
    rule = DecisionRule((0.1, 0.2, 0.3, 0.4), groups=((0, 2, 3),)).of_some([3, 1, 2])
    assert rule == DecisionRule((0.4, 0.2, 0.3), groups=((0, 2),))
    assert rule.of_some([0, 1]).groups == ()


def test_a_rare_member_wins_over_a_common_one_that_is_less_sure() -> None:
    rule = DecisionRule((0.5, 0.8, 0.05), groups=((1, 2),))
    assert rule.decide([[0.1, 0.85, 0.4], [0.9, 0.7, 0.04]]).tolist() == [
        [False, False, True],
        [True, False, False],
    ]
