"""The surest decisions come first, not the largest probabilities."""

from hypothesis import given
from hypothesis import strategies as st

from vaa_cli.core.prediction.decisions import by_margin


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
