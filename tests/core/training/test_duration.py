"""The estimate of a training's length."""

import pytest

from vaa_cli.core.training import duration
from vaa_cli.core.training.duration import duration_text, training_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "1 min"), (100, "2 min"), (5000, "83 min"), (7200, "2 h"), (100_000, "28 h"),
     (400_000, "5 days")],
)  # fmt: skip
def test_lengths_of_time_in_words(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_estimate_grows_with_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_GPUS", ())
    monkeypatch.setattr(duration, "_operations_per_second", lambda: 1e11)
    hours = training_seconds(1000, 30) or 0.0
    assert hours == pytest.approx(1000 * 30 * 7.6e9 * 6 / 0.6e11)
    assert training_seconds(2000, 30) == pytest.approx(2 * hours)
    assert training_seconds(1000, 30, (112, 224)) == pytest.approx(hours / 2)


def test_there_is_none_where_there_may_be_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duration, "_GPUS", ("/dev/null",))
    assert training_seconds(1000, 30) is None
