"""The losses of deep imbalanced classification (method section 3.2, equations 3, 4, 6 and 7).

Targets are int8 tensors `[n x c]`: 1 present, 0 absent, -1 unspecified. An unspecified label adds
nothing to any loss. All terms are computed from logits with `logsigmoid`, which neither overflows
nor loses the small probabilities, and in float32 at least.
"""

from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaa_cli.core.models.names import LossName, Weighed, Weighting

WEIGHTINGS: tuple[Weighting, ...] = get_args(Weighting)
LOSSES: tuple[LossName, ...] = get_args(LossName)


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy, term by term (eq. 3).

    Args:
        logits: `[n x c]`.
        targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.

    Returns:
        `[n x c]`, 0 where a label is unspecified; at least float32.
    """
    return focal(logits, targets, gamma=0.0)


def focal(logits: Tensor, targets: Tensor, gamma: float = 0.5) -> Tensor:
    """Focal loss, term by term (eq. 4 without its weights w_c).

    Args:
        logits: `[n x c]`.
        targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.
        gamma: focusing exponent γ ≥ 0; 0 gives the cross-entropy.

    Returns:
        `[n x c]`, 0 where a label is unspecified; at least float32.
    """
    logits = _at_least_float32(logits)
    # σ(−ŷ) is the probability of being wrong where y = 1, σ(ŷ) where y = 0: one signed logit
    # serves both halves of the equation.
    signed = torch.where(targets == 1, logits, -logits)
    terms = -F.logsigmoid(signed)
    if gamma:
        terms = terms * torch.exp(gamma * F.logsigmoid(-signed))
    return torch.where(targets >= 0, terms, terms.new_zeros(()))


def attribute_weights(priors: Tensor, scheme: Weighting = "prior") -> Tensor:
    """The weights w_c of eq. 4.

    Args:
        priors: `[c]`, each attribute's fraction of positives in the training split.
        scheme: `prior` is the paper's exp(−a); `label` is the asymmetric form of Li et al.
            (ACPR 2015), exp(1 − a) where y = 1 and exp(a) where y = 0; `none` is 1.

    Returns:
        `[2 x c]`: row 0 weighs y = 0, row 1 weighs y = 1. An attribute that is constant in
        training (prior 0 or 1) or has no label there (NaN) has no imbalance to correct: weight 1.

    Raises:
        ValueError: the scheme is unknown.
    """
    if scheme == "prior":
        weights = torch.exp(-priors).expand(2, -1)
    elif scheme == "label":
        weights = torch.stack([torch.exp(priors), torch.exp(1 - priors)])
    elif scheme == "none":
        weights = torch.ones_like(priors).expand(2, -1)
    else:
        raise ValueError(f"unknown weighting {scheme!r}; one of {', '.join(WEIGHTINGS)}")
    varies = (priors > 0) & (priors < 1)
    return torch.where(varies, weights, torch.ones_like(weights))


def reduce_terms(terms: Tensor) -> Tensor:
    """Sum over attributes, mean over the samples: `[n x c]` to a scalar."""
    return terms.sum(dim=1).mean()


class LossParts(NamedTuple):
    """The loss of a batch and what it is made of; scalars."""

    total: Tensor
    primary: Tensor
    attention: tuple[Tensor, ...]


class VAALoss(nn.Module):
    """L = L_w + Σ_i L_{a_i} (eq. 7).

    The primary logits take the weighted focal loss (eq. 4), each attention module's logits the
    variance-guided cross-entropy (eq. 6).

    Args:
        priors: `[c]`, see `attribute_weights`.
        gamma: focusing exponent of the focal loss.
        weights: weighting, see `attribute_weights`.
        primary: `focal` (eq. 4), or `bce` for the baseline (eq. 3).
        attention: `bce` (eq. 6), or `focal` for focal terms in its place.
        attention_weight: factor of the losses of the attention logits; 1 in the paper.
        weighed: whether the weights are on the `primary` loss, as in the paper, or on `all`.

    Raises:
        ValueError: a loss or a weighting is unknown.
    """

    weights: Tensor

    def __init__(
        self,
        priors: Tensor,
        gamma: float = 0.5,
        weights: Weighting = "prior",
        primary: LossName = "focal",
        attention: LossName = "bce",
        attention_weight: float = 1.0,
        weighed: Weighed = "primary",
    ) -> None:
        super().__init__()
        for name in (primary, attention):
            if name not in LOSSES:
                raise ValueError(f"unknown loss {name!r}; one of {', '.join(LOSSES)}")
        self.primary_gamma = gamma if primary == "focal" else 0.0
        self.attention_gamma = gamma if attention == "focal" else 0.0
        self.attention_weight, self.weighs_all = attention_weight, weighed == "all"
        self.register_buffer("weights", attribute_weights(priors.float(), weights))

    def forward(
        self,
        primary: Tensor,
        attention: Sequence[Tensor],
        targets: Tensor,
        std: Tensor | None = None,
    ) -> LossParts:
        """The loss of one batch.

        Args:
            primary: the primary logits, `[n x c]`.
            attention: the logits of each attention module, each `[n x c]`.
            targets: `[n x c]`, 1 present, 0 absent, -1 unspecified.
            std: the deviation of each sample's past predictions (eq. 5), `[n x c]`; None is 0.
        """
        weights = torch.where(targets == 1, self.weights[1], self.weights[0])
        primary_loss = reduce_terms(weights * focal(primary, targets, self.primary_gamma))
        factors = weights if self.weighs_all else torch.ones_like(weights)
        if std is not None:
            factors = factors * (1.0 + std.detach())
        attention_losses = tuple(
            reduce_terms(factors * focal(logits, targets, self.attention_gamma))
            for logits in attention
        )
        total = primary_loss + self.attention_weight * sum(
            attention_losses, primary_loss.new_zeros(())
        )
        return LossParts(total, primary_loss, attention_losses)
