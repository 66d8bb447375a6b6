"""The pictures that are most useful to label, against sorting all of them."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.core.evaluation.test_group_scores import CARD
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.prediction.uncertainty import UncertainPictures

RARE = replace(CARD, priors=(0.3, None, 0.02), thresholds=(0.3, 0.5, 0.05))


def chosen(card: ModelCard, count: int, probabilities: NDArray[np.float32]) -> list[int]:
    chooser = UncertainPictures(card, count)
    for number, row in enumerate(probabilities):
        chooser.add(Prediction(Request(f"{number}"), row))
        chooser.add(Prediction(Request("broken"), None, "broken"))
    return [int(prediction.request.path) for prediction in chooser.chosen()]


def turns(card: ModelCard, count: int, probabilities: NDArray[np.float32]) -> list[int]:
    """The same by sorting each attribute's distances, the attributes in turn."""

    def logit(p: float) -> float:
        p = min(max(p, 1e-7), 1 - 1e-7)
        return math.log(p / (1 - p))

    priors = [2.0 if prior is None else prior for prior in card.priors]
    attributes = sorted(range(len(priors)), key=lambda c: priors[c])

    def distance(row: int, c: int) -> float:
        return abs(logit(float(probabilities[row, c])) - logit(card.thresholds[c]))

    lines = {
        c: sorted(range(len(probabilities)), key=lambda row: round(distance(row, c), 9))
        for c in attributes
    }
    taken: list[int] = []
    while len(taken) < min(count, len(probabilities)):
        for c in attributes:
            left = [row for row in lines[c] if row not in taken]
            if left and len(taken) < count:
                taken.append(left[0])
    return taken


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 2**31))
@settings(deadline=None)
def test_attributes_take_turns(rows: int, count: int, seed: int) -> None:
    probabilities = np.random.default_rng(seed).random((rows, 3)).astype(np.float32)
    assert chosen(RARE, count, probabilities) == turns(RARE, count, probabilities)


def test_rare_attributes_have_as_many_as_common_ones() -> None:
    rng = np.random.default_rng(0)
    # The common one is never sure, the rare one seldom near its threshold.
    probabilities = np.stack(
        [rng.uniform(0.25, 0.35, 900), np.full(900, 0.001), rng.uniform(0, 1, 900)], axis=1
    ).astype(np.float32)
    first = chosen(RARE, 30, probabilities)
    near = sorted(range(900), key=lambda row: abs(math.log(probabilities[row, 2] / 0.05)))[:10]
    assert set(near[:5]) <= set(first)


def test_nothing_to_choose_from() -> None:
    assert list(UncertainPictures(RARE, 3).chosen()) == []
