"""Normalisation and probabilities."""

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.inference import Normalisation, probabilities_of

CARD = ModelCard(
    "resnet18", ("a", "b"), (0.5, 0.5), (0.1, 0.2), (64, 64), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4),
    (3, 4), "pooled", 8, "data", 1, {},
)  # fmt: skip


@given(value=st.integers(0, 255), channel=st.integers(0, 2))
def test_the_formula(value: int, channel: int) -> None:
    pixels = torch.zeros((1, 3, 2, 2), dtype=torch.uint8)
    pixels[:, channel] = value
    found = Normalisation(CARD.mean, CARD.std)(pixels)
    expected = (value / 255 - CARD.mean[channel]) / CARD.std[channel]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0, channel].numpy(), expected, atol=2e-6)


def test_probabilities_are_divided_by_the_temperatures() -> None:
    logits = torch.tensor([[2.0, -1.0]])
    plain = 1 / (1 + np.exp(-np.array([2.0, -1.0])))
    np.testing.assert_allclose(probabilities_of(logits, CARD)[0].numpy(), plain, atol=1e-6)
    calibrated = replace(CARD, temperatures=(2.0, 0.5))
    divided = 1 / (1 + np.exp(-np.array([1.0, -2.0])))
    np.testing.assert_allclose(probabilities_of(logits, calibrated)[0].numpy(), divided, atol=1e-6)
