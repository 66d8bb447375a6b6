"""Conditions on predictions."""

import numpy as np
import pytest

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import Request
from vaa_cli.core.prediction.conditions import Condition, parse_condition
from vaa_cli.core.prediction.predictor import Prediction

ATTRIBUTES = ("hat", "long hair", "a > b", "bag, large")


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("hat > 0.8", Condition(0, ">", 0.8)),
        ("hat>=.5", Condition(0, ">=", 0.5)),
        ("  long hair  <  1 ", Condition(1, "<", 1.0)),
        ("a > b <= 0.25", Condition(2, "<=", 0.25)),
        ("bag, large < 0", Condition(3, "<", 0.0)),
    ],
)
def test_conditions_are_read(text: str, condition: Condition) -> None:
    assert parse_condition(text, ATTRIBUTES) == condition


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("hat", "hat > 0.8"), ("hat > 2", "from 0 to 1"), ("hat = 0.5", "hat > 0.8"), ("", "hat"),
        ("hut > 0.5", "did you mean 'hat'"), ("> 0.5", "hat > 0.8"), ("hat > x", "hat > 0.8"),
    ],
)  # fmt: skip
def test_what_is_no_condition(text: str, part: str) -> None:
    with pytest.raises(VAAError, match="`where`") as caught:
        parse_condition(text, ATTRIBUTES)
    assert part in str(caught.value)


def test_conditions_hold_or_not() -> None:
    prediction = Prediction(Request("a.jpg"), np.array([0.5, 0.1, 0, 0], dtype=np.float32))
    for text, holds in (("hat > 0.5", False), ("hat >= 0.5", True), ("long hair < 0.2", True)):
        assert parse_condition(text, ATTRIBUTES).is_fulfilled(prediction) is holds
    broken = Prediction(Request("a.jpg"), None, "broken")
    assert parse_condition("hat > 0.9", ATTRIBUTES).is_fulfilled(broken)
