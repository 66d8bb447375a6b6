"""The prediction history against eq. 5, written out here over lists of floats."""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vaa_cli.core.models.prediction_history import PredictionHistory

Array = npt.NDArray[np.float64]
Records = list[list[Array]]

# Eq. 5 is at most 1.35-Lipschitz in the root mean square of the errors of its probabilities, so
# the permitted storage error of 1e-5 gives 1.35e-5, and float32 a little more.
ATOL = 1.5e-5


def oracle_std(recorded: list[Array], attributes: int) -> Array:
    """Eq. 5 for one sample with the population variance, attribute by attribute."""
    count, result = len(recorded), np.zeros(attributes)
    if count < 2:
        return result
    for c in range(attributes):
        values = [float(row[c]) for row in recorded]
        mean = math.fsum(values) / count
        variance = math.fsum((value - mean) ** 2 for value in values) / count
        result[c] = math.sqrt(variance + variance**2 / (count - 1))
    return result


def oracle_matrix(records: Records, attributes: int, length: int) -> Array:
    """Eq. 5 for every sample over its newest records."""
    return np.stack([oracle_std(recorded[-length:], attributes) for recorded in records])


def run_epochs(
    history: PredictionHistory,
    records: Records,
    attributes: int,
    epochs: int,
    rng: np.random.Generator,
) -> None:
    """Feed epochs of random subsets, in random order and batches, to history and records."""
    for _ in range(epochs):
        order = rng.permutation(len(records))
        order = order[: rng.integers(0, len(records) + 1)]
        for batch in np.array_split(order, rng.integers(1, 4)):
            # A spread of widths: near-constant predictions near 0 and 1 must not be lost to
            # the cancellation of E[p^2] - E[p]^2.
            centre = rng.choice([0.02, 0.5, 0.98], size=(len(batch), attributes))
            width = rng.choice([1e-4, 1e-2, 1.0], size=(len(batch), attributes))
            drawn = centre + width * rng.uniform(-0.5, 0.5, size=(len(batch), attributes))
            values = np.clip(drawn, 0, 1).astype(np.float32)
            history.update(torch.from_numpy(batch), torch.from_numpy(values))
            for index, row in zip(batch, values, strict=True):
                records[index].append(row.astype(np.float64))


def everyone(samples: int) -> Tensor:
    """The indices of all samples."""
    return torch.arange(samples)


def filled(values: list[float], length: int = 5) -> PredictionHistory:
    """A history of one sample and one attribute that saw these probabilities in turn."""
    history = PredictionHistory(1, 1, length=length)
    for value in values:
        history.update(everyone(1), torch.tensor([[value]]))
    return history


def only_std(history: PredictionHistory) -> float:
    """The std of a history of one sample and one attribute."""
    return history.std(everyone(1)).item()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    samples=st.integers(1, 9),
    attributes=st.integers(1, 4),
    length=st.integers(2, 7),
    epochs=st.integers(0, 18),
    seed=st.integers(0, 2**32 - 1),
)
def test_std_matches_equation_5(
    samples: int, attributes: int, length: int, epochs: int, seed: int
) -> None:
    history = PredictionHistory(samples, attributes, length=length)
    records: Records = [[] for _ in range(samples)]
    run_epochs(history, records, attributes, epochs, np.random.default_rng(seed))
    std = history.std(everyone(samples))
    assert std.dtype == torch.float32
    np.testing.assert_allclose(
        std.numpy(), oracle_matrix(records, attributes, length), rtol=1e-5, atol=ATOL
    )


@pytest.mark.parametrize("centre", [0.03, 0.5, 0.97])
def test_small_spreads_are_kept(centre: float) -> None:
    # A spread of 1e-3 is far above the storage error; a variance from E[p^2] - E[p]^2 in float32
    # would be off by more than the tolerance here.
    values = [centre + 1e-3 * offset for offset in (-1.0, 0.5, 1.0, -0.25, 0.75)]
    expected = oracle_std([np.array([value]) for value in values], 1)[0]
    assert only_std(filled(values)) == pytest.approx(expected, abs=ATOL)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # var 0.09 and one degree of freedom: sqrt(0.09 + 0.0081), not 0.3.
        ([0.2, 0.8], math.sqrt(0.0981)),
        # var 1/6 and two: sqrt(1/6 + 1/72).
        ([0.0, 0.5, 1.0], math.sqrt(13 / 72)),
        # var 0.24 and four: sqrt(0.24 + 0.0576 / 4).
        ([0.0, 1.0, 1.0, 0.0, 1.0], math.sqrt(0.2544)),
    ],
)
def test_small_sample_correction_by_hand(values: list[float], expected: float) -> None:
    assert only_std(filled(values)) == pytest.approx(expected, abs=ATOL)


def test_fewer_than_two_records_give_zero() -> None:
    history = PredictionHistory(3, 2)
    assert not history.std(everyone(3)).any()
    history.update(torch.tensor([0, 1]), torch.tensor([[0.9, 0.1], [0.8, 0.2]]))
    assert not history.std(everyone(3)).any()
    history.update(torch.tensor([1]), torch.tensor([[0.1, 0.6]]))
    std = history.std(everyone(3))
    assert (std[1] > 0.1).all()
    assert not std[[0, 2]].any()


@pytest.mark.parametrize("length", [2, 5, 100])
def test_only_the_newest_are_kept(length: int) -> None:
    # 300 epochs are also more than a count or a position of one byte can hold.
    values = np.random.default_rng(1).uniform(size=300).astype(np.float32).tolist()
    newest = [np.array([value]) for value in values[-length:]]
    assert only_std(filled(values, length)) == pytest.approx(oracle_std(newest, 1)[0], abs=ATOL)
    forgotten = filled([0.0, 1.0] * length + [0.75] * length, length)
    assert only_std(forgotten) == pytest.approx(0, abs=1e-6)


def test_default_length_is_five() -> None:
    assert only_std(filled([1.0] + [0.0] * 4)) > 0.1
    assert only_std(filled([1.0] + [0.0] * 5)) == pytest.approx(0, abs=1e-6)


def test_storage_error() -> None:
    # With the records 0 and p, eq. 5 gives std^2 = v + v^2 with v = (p / 2)^2, which inverts.
    stored = torch.linspace(0, 1, 20011, dtype=torch.float64)[:, None]
    history = PredictionHistory(len(stored), 1, length=2)
    history.update(everyone(len(stored)), torch.zeros(len(stored), 1))
    history.update(everyone(len(stored)), stored.float())
    std = history.std(everyone(len(stored))).double()
    variance = (-1 + torch.sqrt(1 + 4 * std**2)) / 2
    # 1e-6 above the permitted 1e-5, for the float32 of the input and of the std.
    torch.testing.assert_close(2 * variance.sqrt(), stored, rtol=0, atol=1.1e-5)


@pytest.mark.parametrize(
    ("outside", "inside"), [(1.0 + 1e-6, 1.0), (1.004, 1.0), (-1e-6, 0.0), (-0.004, 0.0)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_values_out_of_range_are_clipped(outside: float, inside: float, dtype: torch.dtype) -> None:
    results = []
    for value in (outside, inside):
        history = PredictionHistory(1, 1)
        for probability in (0.5, value):
            history.update(everyone(1), torch.tensor([[probability]], dtype=dtype))
        results.append(only_std(history))
    assert results[0] == results[1] > 0.2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_other_float_types_are_recorded_by_value(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(2)
    given_, reference = PredictionHistory(6, 3), PredictionHistory(6, 3)
    records: Records = [[] for _ in range(6)]
    for _ in range(4):
        values = torch.rand(6, 3, generator=generator).to(dtype)
        given_.update(everyone(6), values)
        reference.update(everyone(6), values.float())
        for recorded, row in zip(records, values.double().numpy(), strict=True):
            recorded.append(row)
    std = given_.std(everyone(6))
    assert torch.equal(std, reference.std(everyone(6)))
    np.testing.assert_allclose(std.numpy(), oracle_matrix(records, 3, 5), atol=ATOL)


def test_predictions_with_a_graph_leave_none_behind() -> None:
    history = PredictionHistory(2, 1)
    for value in (0.1, 0.7):
        history.update(everyone(2), torch.full((2, 1), value, requires_grad=True))
    std = history.std(everyone(2))
    assert not std.requires_grad
    assert (std > 0.2).all()


def test_std_follows_the_order_and_repeats_of_indices() -> None:
    history = PredictionHistory(7, 3)
    run_epochs(history, [[] for _ in range(7)], 3, 12, np.random.default_rng(3))
    std = history.std(everyone(7))
    assert len(set(map(tuple, std.tolist()))) == 7, "the test needs samples that differ"
    picked = torch.tensor([6, 0, 3, 3, 0, 5])
    assert torch.equal(history.std(picked), std[picked])
    assert history.std(picked[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("samples", "attributes", "length"), [(1, 1, 2), (1000, 35, 5), (50, 14, 100)]
)
def test_memory_is_bounded(samples: int, attributes: int, length: int) -> None:
    history = PredictionHistory(samples, attributes, length=length)
    probabilities = samples * attributes * length * 2
    # Checked before and after use, as the storage may not grow either.
    for _ in range(3):
        assert probabilities <= history.nbytes <= probabilities + 2 * samples + 64
        history.update(everyone(samples), torch.full((samples, attributes), 0.5))
    held = sum(value.numel() * value.element_size() for value in history.state_dict().values())
    assert held <= probabilities + 2 * samples + 64


@pytest.mark.parametrize("epochs", [0, 1, 4, 13])
def test_state_continues_identically(epochs: int) -> None:
    rng = np.random.default_rng(4)
    records: Records = [[] for _ in range(8)]
    original, restored = PredictionHistory(8, 3, length=4), PredictionHistory(8, 3, length=4)
    run_epochs(original, records, 3, epochs, rng)
    # What was there before must not show through.
    run_epochs(restored, [[] for _ in range(8)], 3, 3, rng)
    file = io.BytesIO()
    torch.save(original.state_dict(), file)
    file.seek(0)
    restored.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(6):
        assert torch.equal(original.std(everyone(8)), restored.std(everyone(8)))
        indices = torch.from_numpy(rng.permutation(8)[:6])
        values = torch.from_numpy(rng.uniform(size=(6, 3)).astype(np.float32))
        for history in (original, restored):
            history.update(indices, values)
        for index, row in zip(indices.tolist(), values.double().numpy(), strict=True):
            records[index].append(row)
    np.testing.assert_allclose(
        restored.std(everyone(8)).numpy(), oracle_matrix(records, 3, 4), rtol=1e-5, atol=ATOL
    )


@pytest.mark.parametrize("values", [[0.1, 0.9], [0.1, 0.9, 0.1, 0.9, 0.1]], ids=["part", "full"])
def test_loaded_state_is_a_copy(values: list[float]) -> None:
    # A full history shows whether the records are shared, another whether the counts are.
    original, restored = filled(values), PredictionHistory(1, 1)
    restored.load_state_dict(original.state_dict())
    before = only_std(restored)
    original.update(everyone(1), torch.tensor([[0.5]]))
    assert only_std(original) != before
    assert only_std(restored) == before > 0.3


@pytest.mark.parametrize(
    ("samples", "attributes", "length"), [(5, 3, 4), (6, 2, 4), (6, 3, 5), (3, 6, 4)]
)
def test_state_of_another_shape_is_refused(samples: int, attributes: int, length: int) -> None:
    state = PredictionHistory(samples, attributes, length=length).state_dict()
    with pytest.raises(ValueError):
        PredictionHistory(6, 3, length=4).load_state_dict(state)


@pytest.mark.parametrize("length", [-1, 0, 1, 101])
def test_length_out_of_range_is_refused(length: int) -> None:
    with pytest.raises(ValueError):
        PredictionHistory(2, 2, length=length)
