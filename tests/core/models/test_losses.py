"""Losses against eq. 3, 4, 6 and 7 of the method, written out here with NumPy loops in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vaa_cli.core.models.losses import (
    LossParts,
    VAALoss,
    attribute_weights,
    cross_entropy,
    focal,
    reduce_terms,
)

Array = npt.NDArray[np.float64]
Terms = Callable[[Tensor, Tensor], Tensor]
Loss = Literal["focal", "bce"]
Scheme = Literal["prior", "label", "none"]

SCHEMES: tuple[Scheme, ...] = ("prior", "label", "none")
LOSSES: tuple[Loss, ...] = ("focal", "bce")
GAMMAS = (0.0, 0.1, 0.5, 1.0, 2.0)
# Float32 tolerances allow for the cancellation in x - log sigmoid(x) at |x| up to 10.
TOLERANCE = {torch.float32: (1e-5, 2e-6), torch.float64: (1e-9, 1e-12)}
PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)

seeds = st.integers(0, 2**32 - 1)
rows = st.integers(1, 7)
columns = st.integers(1, 6)
gammas = st.floats(0.0, 3.0)


def oracle_terms(logits: Array, targets: npt.NDArray[np.int8], gamma: float) -> Array:
    """Eq. 4 entry by entry without w_c; gamma = 0 makes it eq. 3."""
    terms = np.zeros(logits.shape)
    for s, c in np.ndindex(*logits.shape):
        if targets[s, c] == -1:
            continue
        signed = logits[s, c] if targets[s, c] == 1 else -logits[s, c]
        log_right = -np.logaddexp(0.0, -signed)
        log_wrong = -np.logaddexp(0.0, signed)
        terms[s, c] = -math.exp(gamma * log_wrong) * log_right
    return terms


def oracle_weight(prior: float, label: int, scheme: str) -> float:
    """w_c for one label; an attribute that never varies in train, or was never seen, has 1."""
    if scheme == "none" or math.isnan(prior) or prior in (0.0, 1.0):
        return 1.0
    if scheme == "prior":
        return math.exp(-prior)
    return math.exp(1.0 - prior) if label == 1 else math.exp(prior)


def oracle_parts(
    primary: Array,
    heads: list[Array],
    targets: npt.NDArray[np.int8],
    priors: Array,
    std: Array | None = None,
    *,
    gamma: float = 0.5,
    weights: str = "prior",
    primary_loss: str = "focal",
    attention_loss: str = "bce",
    attention_weight: float = 1.0,
    weighed: str = "primary",
) -> tuple[float, float, list[float]]:
    """Eq. 7: total, primary and attention scalars, by loops over samples and attributes."""
    samples, attributes = primary.shape
    first = 0.0
    terms = oracle_terms(primary, targets, gamma if primary_loss == "focal" else 0.0)
    for s in range(samples):
        for c in range(attributes):
            weight = oracle_weight(priors[c], targets[s, c], weights)
            first += weight * terms[s, c] / samples
    others = []
    for head in heads:
        terms = oracle_terms(head, targets, gamma if attention_loss == "focal" else 0.0)
        value = 0.0
        for s in range(samples):
            for c in range(attributes):
                weight = 1.0
                if weighed == "all":
                    weight = oracle_weight(priors[c], targets[s, c], weights)
                weight *= 1.0 + (0.0 if std is None else std[s, c])
                value += weight * terms[s, c] / samples
        others.append(value)
    return first + attention_weight * sum(others), first, others


def draw_targets(rng: np.random.Generator, n: int, c: int) -> Tensor:
    """Present, absent and unspecified labels, each a third of the time."""
    return torch.from_numpy(rng.integers(-1, 2, size=(n, c), dtype=np.int8))


def draw_logits(
    rng: np.random.Generator, n: int, c: int, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Logits in the range that trained networks reach."""
    return torch.from_numpy(np.clip(rng.normal(0.0, 3.0, size=(n, c)), -10, 10)).to(dtype)


def draw_priors(rng: np.random.Generator, c: int) -> Tensor:
    """Priors of which some are constant in train (0, 1) and some missing (NaN)."""
    priors = rng.uniform(0.01, 0.99, size=c).astype(np.float32)
    special = rng.random(c)
    priors[special < 0.3] = np.nan
    priors[special < 0.2] = 1.0
    priors[special < 0.1] = 0.0
    return torch.from_numpy(priors)


def to_array(tensor: Tensor) -> Array:
    """Float64 copy of a tensor of any float type."""
    return tensor.detach().double().numpy()


def focal_terms(gamma: float) -> Terms:
    """The focal loss with gamma bound, to share tests with the cross-entropy."""
    return lambda logits, targets: focal(logits, targets, gamma=gamma)


def vaa_terms(logits: Tensor, targets: Tensor) -> Tensor:
    """The whole loss with all logits alike, to share tests with its parts."""
    std = torch.linspace(0.0, 0.5, targets.numel()).reshape(targets.shape)
    priors = torch.linspace(0.1, 0.9, targets.shape[1])
    return VAALoss(priors).forward(logits, [logits, logits], targets, std).total


ELEMENTWISE = pytest.mark.parametrize(
    "terms",
    [cross_entropy, *(focal_terms(gamma) for gamma in GAMMAS)],
    ids=["cross_entropy", *(f"focal-{gamma}" for gamma in GAMMAS)],
)
EVERY = pytest.mark.parametrize(
    "loss", [cross_entropy, focal, vaa_terms], ids=["cross_entropy", "focal", "vaa"]
)
HALVES = pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)


# Terms of eq. 3 and 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@PROPERTY
@given(n=rows, c=columns, gamma=gammas, seed=seeds)
def test_terms_match_the_equations(
    dtype: torch.dtype, n: int, c: int, gamma: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits, targets = draw_logits(rng, n, c, dtype), draw_targets(rng, n, c)
    rtol, atol = TOLERANCE[dtype]
    for actual, g in (
        (cross_entropy(logits, targets), 0.0),
        (focal(logits, targets, gamma), gamma),
    ):
        assert actual.dtype == dtype
        expected = oracle_terms(to_array(logits), targets.numpy(), g)
        np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=atol)
        assert (actual[targets == -1] == 0).all()


def test_focal_gamma_defaults_to_one_half() -> None:
    logits, targets = torch.tensor([[0.0, 2.0]]), torch.tensor([[1, 0]], dtype=torch.int8)
    # sigma(0) = 1/2, so the first term is sqrt(1/2) * log 2.
    sigma = 1 / (1 + math.exp(-2.0))
    expected = [math.sqrt(0.5) * math.log(2.0), -math.sqrt(sigma) * math.log(1 - sigma)]
    np.testing.assert_allclose(to_array(focal(logits, targets)), [expected], rtol=1e-6)


@PROPERTY
@given(n=rows, c=columns, seed=seeds)
def test_focal_without_focus_is_cross_entropy(n: int, c: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, targets = draw_logits(rng, n, c), draw_targets(rng, n, c)
    torch.testing.assert_close(
        focal(logits, targets, gamma=0.0), cross_entropy(logits, targets), rtol=1e-12, atol=1e-14
    )


# Stability


@ELEMENTWISE
@pytest.mark.parametrize("size", [100.0, 1000.0])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_extreme_logits_reach_their_limits(terms: Terms, size: float, dtype: torch.dtype) -> None:
    # Row 0 is right with certainty: no loss, no slope. Row 1 is wrong with certainty: the loss
    # is |x| with slope 1 at any gamma. Both sizes are exact in every type.
    logits = torch.tensor([[size, -size], [size, -size]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([[1, 0], [0, 1]], dtype=torch.int8)
    values = terms(logits, targets)
    (gradient,) = torch.autograd.grad(values.sum(), logits)
    np.testing.assert_allclose(to_array(values), [[0.0, 0.0], [size, size]], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(to_array(gradient), [[0, 0], [1, -1]], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("size", [100.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("attention", LOSSES)
def test_extreme_logits_keep_the_whole_loss_finite(
    size: float, dtype: torch.dtype, attention: Loss
) -> None:
    logits = torch.tensor([[size, -size], [size, -size]], dtype=dtype, requires_grad=True)
    targets = torch.tensor([[1, 0], [0, 1]], dtype=torch.int8)
    loss = VAALoss(torch.tensor([0.5, 0.5]), weights="none", attention=attention)
    parts = loss(logits, [logits], targets)
    (gradient,) = torch.autograd.grad(parts.total, logits)
    # One of two samples is wrong on both attributes, in both parts: (2 x + 2 x) / 2.
    assert parts.total.item() == pytest.approx(2 * size, rel=1e-6)
    np.testing.assert_allclose(to_array(gradient), [[0, 0], [1, -1]], rtol=1e-2, atol=1e-6)


@EVERY
@HALVES
def test_half_precision_is_computed_in_float32(loss: Terms, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(3)
    half = draw_logits(rng, 9, 5, dtype).requires_grad_()
    full = half.detach().float().requires_grad_()
    targets = draw_targets(rng, 9, 5)
    in_half, in_full = loss(half, targets), loss(full, targets)
    assert in_half.dtype == torch.float32
    assert torch.equal(in_half, in_full)
    (half_gradient,) = torch.autograd.grad(in_half.sum(), half)
    (full_gradient,) = torch.autograd.grad(in_full.sum(), full)
    torch.testing.assert_close(half_gradient, full_gradient.to(dtype))


@EVERY
def test_autocast_does_not_lower_the_precision(loss: Terms) -> None:
    rng = np.random.default_rng(4)
    targets = draw_targets(rng, 8, 5)
    features, weight = draw_logits(rng, 8, 6).float(), draw_logits(rng, 5, 6).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = torch.nn.functional.linear(features, weight)
        low_inside, full_inside = loss(low, targets), loss(features[:, :5], targets)
    assert low.dtype == torch.bfloat16, "the test needs autocast to act on its logits"
    for inside, logits in ((low_inside, low), (full_inside, features[:, :5])):
        assert inside.dtype == torch.float32
        assert torch.equal(inside, loss(logits.float(), targets))


# Gradients


@ELEMENTWISE
def test_gradients_of_the_terms(terms: Terms) -> None:
    rng = np.random.default_rng(5)
    targets = draw_targets(rng, 4, 5)
    logits = draw_logits(rng, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: terms(x, targets), (logits,))


@pytest.mark.parametrize("primary", LOSSES)
@pytest.mark.parametrize("attention", LOSSES)
def test_gradients_of_the_whole_loss(primary: Loss, attention: Loss) -> None:
    rng = np.random.default_rng(6)
    targets, std = draw_targets(rng, 3, 4), torch.from_numpy(rng.uniform(0, 0.5, (3, 4)))
    logits = [draw_logits(rng, 3, 4).requires_grad_() for _ in range(3)]
    loss = VAALoss(draw_priors(rng, 4).double(), primary=primary, attention=attention)
    assert torch.autograd.gradcheck(lambda p, a, b: loss(p, (a, b), targets, std).total, logits)


@EVERY
@pytest.mark.parametrize("hidden", [0.0, 3.0, 1000.0, -1000.0])
def test_unspecified_labels_get_no_gradient(loss: Terms, hidden: float) -> None:
    rng = np.random.default_rng(7)
    targets = draw_targets(rng, 6, 5)
    masked = targets == -1
    assert masked.any() and not masked.all()
    logits = draw_logits(rng, 6, 5, torch.float32).masked_fill(masked, hidden).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(logits, targets).sum(), logits)
    assert (gradient[masked] == 0).all()
    assert (gradient[~masked] != 0).all()


# Weights


@pytest.mark.parametrize("scheme", SCHEMES)
@PROPERTY
@given(
    priors=st.lists(
        st.one_of(st.floats(0, 1, width=32), st.sampled_from([0.0, 1.0, math.nan])),
        min_size=1,
        max_size=8,
    )
)
@example(priors=[0.0, 1.0, math.nan, 0.25])
def test_weights_match_their_scheme(scheme: Scheme, priors: list[float]) -> None:
    weights = attribute_weights(torch.tensor(priors), scheme)
    expected = [[oracle_weight(prior, label, scheme) for prior in priors] for label in (0, 1)]
    assert weights.shape == (2, len(priors))
    np.testing.assert_allclose(to_array(weights), expected, rtol=1e-6)


@pytest.mark.parametrize("scheme", ["", "Prior", "sqrt"])
def test_unknown_scheme_is_refused(scheme: str) -> None:
    with pytest.raises(ValueError):
        attribute_weights(torch.tensor([0.5]), scheme)  # type: ignore[arg-type]


# Reduction


def test_reduction_sums_attributes_and_averages_samples() -> None:
    terms = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]])
    reduced = reduce_terms(terms)
    assert reduced.shape == ()
    assert reduced.item() == (6.0 + 18.0) / 2


@EVERY
def test_samples_without_labels_count_in_the_mean(loss: Terms) -> None:
    rng = np.random.default_rng(8)
    logits, targets = draw_logits(rng, 3, 4), draw_targets(rng, 3, 4)
    empty = torch.full((2, 4), -1, dtype=torch.int8)

    def scalar(x: Tensor, y: Tensor) -> float:
        values = loss(x, y) if loss is not vaa_terms else VAALoss(priors)(x, [x], y).total
        return (reduce_terms(values) if values.ndim else values).item()

    priors = torch.tensor([0.1, 0.4, 0.6, 0.9])
    longer = scalar(torch.cat([logits, draw_logits(rng, 2, 4)]), torch.cat([targets, empty]))
    assert longer == pytest.approx(scalar(logits, targets) * 3 / 5, rel=1e-6)
    assert longer > 0


# The whole loss


@PROPERTY
@given(
    n=rows,
    c=columns,
    heads=st.integers(0, 3),
    gamma=gammas,
    weights=st.sampled_from(SCHEMES),
    primary=st.sampled_from(LOSSES),
    attention=st.sampled_from(LOSSES),
    factor=st.floats(0, 4),
    weighed=st.sampled_from(["primary", "all"]),
    weighted=st.booleans(),
    seed=seeds,
)
def test_whole_loss_matches_the_equations(
    n: int,
    c: int,
    heads: int,
    gamma: float,
    weights: Scheme,
    primary: Loss,
    attention: Loss,
    factor: float,
    weighed: Literal["primary", "all"],
    weighted: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    targets, priors = draw_targets(rng, n, c), draw_priors(rng, c)
    logits = [draw_logits(rng, n, c) for _ in range(heads + 1)]
    std = torch.from_numpy(rng.uniform(0, 0.5, (n, c)).astype(np.float32)) if weighted else None
    loss = VAALoss(priors, gamma, weights, primary, attention, factor, weighed)
    parts = loss(logits[0], logits[1:], targets, std)
    total, first, others = oracle_parts(
        to_array(logits[0]),
        [to_array(head) for head in logits[1:]],
        targets.numpy(),
        to_array(priors),
        None if std is None else to_array(std),
        gamma=gamma,
        weights=weights,
        primary_loss=primary,
        attention_loss=attention,
        attention_weight=factor,
        weighed=weighed,
    )
    assert isinstance(parts, LossParts) and isinstance(parts.attention, tuple)
    assert all(part.shape == () for part in (parts.total, parts.primary, *parts.attention))
    assert parts.primary.item() == pytest.approx(first, rel=1e-6, abs=1e-12)
    assert [part.item() for part in parts.attention] == pytest.approx(others, rel=1e-6, abs=1e-12)
    assert parts.total.item() == pytest.approx(total, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_defaults_are_those_of_the_method(heads: int) -> None:
    rng = np.random.default_rng(9)
    targets, priors = draw_targets(rng, 6, 5), torch.tensor([0.05, 0.3, 0.5, 0.7, 0.95])
    logits = [draw_logits(rng, 6, 5) for _ in range(heads + 1)]
    parts = VAALoss(priors)(logits[0], tuple(logits[1:]), targets)
    total, first, others = oracle_parts(
        to_array(logits[0]),
        [to_array(head) for head in logits[1:]],
        targets.numpy(),
        to_array(priors),
    )
    assert parts.primary.item() == pytest.approx(first, rel=1e-6)
    assert [part.item() for part in parts.attention] == pytest.approx(others, rel=1e-6)
    assert parts.total.item() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("attention", LOSSES)
def test_std_weighs_attention_and_takes_no_gradient(attention: Loss) -> None:
    rng = np.random.default_rng(10)
    targets = draw_targets(rng, 5, 4)
    primary, head = draw_logits(rng, 5, 4), draw_logits(rng, 5, 4).requires_grad_()
    std = torch.full((5, 4), 0.25, dtype=torch.float64, requires_grad=True)
    loss = VAALoss(torch.full((4,), 0.3), attention=attention)
    plain, weighted = loss(primary, [head], targets), loss(primary, [head], targets, std)
    assert torch.equal(weighted.primary, plain.primary)
    torch.testing.assert_close(weighted.attention[0], 1.25 * plain.attention[0])
    into_head, into_std = torch.autograd.grad(weighted.total, (head, std), allow_unused=True)
    assert (into_head[targets != -1] != 0).all()
    assert into_std is None or not into_std.any()
