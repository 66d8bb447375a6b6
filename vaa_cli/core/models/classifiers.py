"""Attention classifiers: logits of confidence-weighted attention maps (method section 3.1)."""

from typing import Any

import torch
from torch import Tensor, nn

from vaa_cli.core.models.attention import AttentionMaps
from vaa_cli.core.models.layers import FullLinear, norm_relu, pointwise
from vaa_cli.core.models.names import ClassifierName


class CoveringConv(nn.Module):
    """A grouped convolution as large as its input: `[n x c x h x w]` to `[n x m x 1 x 1]`.

    What `nn.Conv2d(c, m, (h, w), groups=c, bias=False)` computes. With one output cell it is a
    product of matrices per group, and written as one it is many times faster on a CPU.

    Args:
        channels: c, each a group of its own.
        outputs: m, a multiple of c.
        map_size: h and w.
    """

    def __init__(self, channels: int, outputs: int, map_size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, 1, *map_size))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)  # as nn.Conv2d starts
        self.channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        """Maps to `[n x m x 1 x 1]`."""
        weight = self.weight.view(self.channels, -1, maps.shape[2] * maps.shape[3])
        per_channel = maps.flatten(2).permute(1, 0, 2) @ weight.transpose(1, 2)
        return per_channel.permute(1, 0, 2).reshape(maps.shape[0], -1, 1, 1)


class SpatialClassifier(nn.Module):
    """Logits from the confidence-weighted maps by convolutions, the last as large as the map.

    As in the spatial regularisation of Zhu et al. (CVPR 2017).

    Args:
        attributes: number of attributes C.
        map_size: height and width of the maps.
        hidden: channels of the hidden layers.
        full: an ungrouped convolution with 2 · hidden outputs over the whole map, as in the
            authors' later code, in place of the grouped one with 4 · hidden outputs.
    """

    def __init__(
        self, attributes: int, map_size: tuple[int, int], hidden: int = 512, full: bool = False
    ) -> None:
        super().__init__()
        outputs = 2 * hidden if full else 4 * hidden
        cover = (
            nn.Conv2d(hidden, outputs, map_size, bias=False)
            if full
            else CoveringConv(hidden, outputs, map_size)
        )
        self.mix = nn.Sequential(pointwise(attributes, hidden), pointwise(hidden, hidden))
        self.cover = norm_relu(cover, outputs)
        self.linear = FullLinear(outputs, attributes)

    def forward(self, maps: AttentionMaps) -> Tensor:
        """Maps to logits `[n x c]`."""
        weighted = maps.weighted
        # The map sums to at most 1 over h · w cells. Scaled so that a uniform one is 1 in every
        # cell, it is well above batch normalisation's epsilon and bf16's reach.
        cells = weighted.shape[2] * weighted.shape[3]
        hidden = self.cover(self.mix(weighted * cells))
        logits: Tensor = self.linear(hidden.flatten(1))
        return logits


class PooledClassifier(nn.Module):
    """Logits as the attention-weighted mean of the confidences: g · Σ_{h,w} a · conv(k) + b.

    Keeps each attribute's map to that attribute; Zhu et al. (CVPR 2017) train attention by it.

    Args:
        attributes: number of attributes C.
    """

    def __init__(self, attributes: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(attributes))
        self.bias = nn.Parameter(torch.zeros(attributes))

    def forward(self, maps: AttentionMaps) -> Tensor:
        """Maps to logits `[n x c]`."""
        # Over both axes at once: OpenVINO 2026.4 scales a sum over one, of flattened maps, wrongly
        # where there are several images.
        assert maps.confidence is not None
        pooled = (maps.attention * maps.confidence.float()).sum(dim=(2, 3))
        return self.gain * pooled + self.bias


class ResidualClassifier(nn.Module):
    """The pooled logits, and what a spatial classifier adds to them.

    The last layer of the spatial one starts at zero, so that each map is trained by its own
    attribute first, as in Zhu et al. (CVPR 2017), and other attributes' maps come in after that.

    Args:
        attributes: number of attributes C.
        map_size: height and width of the maps.
        hidden: channels of the hidden layers.
    """

    def __init__(self, attributes: int, map_size: tuple[int, int], hidden: int = 512) -> None:
        super().__init__()
        self.pooled = PooledClassifier(attributes)
        self.spatial = SpatialClassifier(attributes, map_size, hidden)
        nn.init.zeros_(self.spatial.linear.weight)
        nn.init.zeros_(self.spatial.linear.bias)

    def forward(self, maps: AttentionMaps) -> Tensor:
        """Maps to logits `[n x c]`."""
        logits: Tensor = self.pooled(maps) + self.spatial(maps).float()
        return logits


def make_classifier(
    name: ClassifierName, attributes: int, map_size: tuple[int, int], hidden: int
) -> nn.Module:
    """Make an attention classifier by its name; the other arguments are its own."""
    if name == "pooled":
        return PooledClassifier(attributes)
    if name == "residual":
        return ResidualClassifier(attributes, map_size, hidden)
    return SpatialClassifier(attributes, map_size, hidden, full=name == "spatial-full")


def final_bias(classifier: nn.Module) -> Tensor:
    """The bias `[c]` of an attention classifier's logits."""
    last: Any = classifier
    if isinstance(classifier, ResidualClassifier):
        last = classifier.pooled
    elif isinstance(classifier, SpatialClassifier):
        last = classifier.linear
    bias: Tensor = last.bias
    return bias
