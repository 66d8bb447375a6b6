"""The moving average of weights: a ← d·a + (1 − d)·w with d = min(decay, (1 + n) / (10 + n))."""

import io

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.training.ema import ExponentialMovingAverage


def tiny_model(seed: int) -> VAA:
    torch.manual_seed(seed)
    return VAA("resnet18", 2, (32, 32), stages=(), hidden=2)


def change(model: VAA, seed: int) -> None:
    """What a step of training does to weights and to running means and counts."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor))
            else:
                tensor.add_(1)


@settings(max_examples=3, deadline=None)
@given(decay=st.floats(0.0, 0.999), updates=st.integers(1, 12))
def test_the_formula(decay: float, updates: int) -> None:
    model = tiny_model(0)
    average = ExponentialMovingAverage(model, decay)
    expected = {k: v.clone().double() for k, v in model.state_dict().items()}
    for n in range(updates):
        change(model, n)
        before = {k: v.clone() for k, v in model.state_dict().items()}
        average.update(model)
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        kept = min(decay, (1 + n) / (10 + n))
        for name, value in before.items():
            counted = not value.is_floating_point()
            share = 0.0 if counted else kept
            expected[name] = share * expected[name] + (1 - share) * value.double()
    for name, value in average.model.state_dict().items():
        torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-5)
    assert not average.model.training
    assert not any(p.requires_grad for p in average.model.parameters())


def test_a_restored_average_goes_on_bit_for_bit() -> None:
    model = tiny_model(0)
    average = ExponentialMovingAverage(model, 0.9)
    for seed in range(3):
        change(model, seed)
        average.update(model)
    file = io.BytesIO()
    torch.save(average.state_dict(), file)
    file.seek(0)
    restored = ExponentialMovingAverage(tiny_model(7), 0.9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for seed in range(3, 6):
        change(model, seed)
        average.update(model)
        restored.update(model)
    for name, value in average.model.state_dict().items():
        assert torch.equal(value, restored.model.state_dict()[name]), name
