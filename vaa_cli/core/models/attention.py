"""Attention maps of one stage (method section 3.1, equation 2)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaa_cli.core.models.layers import FullConv2d, pointwise
from vaa_cli.core.models.names import AttentionName


class AttentionMaps(NamedTuple):
    """The maps of one attention module, both `[n x c x h x w]`.

    Attributes:
        attention: a of eq. 2; for each image and attribute it sums to 1. float32.
        confidence: logits of the confidence branch; None for a module without one.
        is_weighted: whether the sigmoid of the confidence weights the attention.
    """

    attention: Tensor
    confidence: Tensor | None
    is_weighted: bool = True

    @property
    def weighted(self) -> Tensor:
        """The confidence-weighted map, a ⊙ sigmoid(conv(k)); a where nothing weights it."""
        if self.confidence is None or not self.is_weighted:
            return self.attention
        return self.attention * self.confidence.float().sigmoid()


class AttentionModule(nn.Module):
    """𝒜_i: an attention map and a confidence for every attribute, from one stage's features.

    Args:
        channels: F_i of the features.
        attributes: number of attributes C.
        hidden: channels of its hidden layers.
        attention: `learned`, or `uniform` for maps that are the same everywhere: the control of an
            ablation, which has all other parts of the module.
        has_confidence: whether there is a confidence branch.
        is_weighted: whether the confidence weights the attention.
    """

    def __init__(
        self,
        channels: int,
        attributes: int,
        hidden: int = 512,
        attention: AttentionName = "learned",
        has_confidence: bool = True,
        is_weighted: bool = True,
    ) -> None:
        super().__init__()
        self.attributes, self.is_weighted = attributes, is_weighted
        self.attention = None
        if attention == "learned":
            self.attention = nn.Sequential(
                pointwise(channels, hidden),
                pointwise(hidden, hidden),
                nn.Conv2d(hidden, attributes, 1),
            )
        self.confidence = FullConv2d(channels, attributes, 1) if has_confidence else None

    def forward(self, features: Tensor) -> AttentionMaps:
        """Features `[n x f x h x w]` to the maps of all attributes."""
        confidence = None if self.confidence is None else self.confidence(features)
        if self.attention is not None:
            scores = self.attention(features)
        else:  # equal scores, whose softmax is uniform
            scores = torch.zeros_like(features[:, :1]).expand(-1, self.attributes, -1, -1)
        # In float32: a softmax over hundreds of cells loses its tail in half precision.
        attention = scores.flatten(2).float().softmax(dim=2).view(scores.shape)
        return AttentionMaps(attention, confidence, self.is_weighted)
