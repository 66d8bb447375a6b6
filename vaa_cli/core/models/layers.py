"""Layers that the parts of the model are made of."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class FullLinear(nn.Linear):
    """A linear layer that computes in float32 under autocast, too.

    Logits near 4 are 0.03 apart in bf16, and ties cost average precision.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`[n x f]` to `[n x c]`."""
        return _in_float32(super().forward, input)


class FullConv2d(nn.Conv2d):
    """A convolution that computes in float32 under autocast, too; see `FullLinear`."""

    def forward(self, input: Tensor) -> Tensor:
        """`[n x f x h x w]` to `[n x c x h x w]`."""
        return _in_float32(super().forward, input)


def _in_float32(compute: Callable[[Tensor], Tensor], input: Tensor) -> Tensor:
    """What a layer computes, without autocast."""
    kind = input.device.type
    if not torch.is_autocast_enabled(kind):
        return compute(input)
    with torch.autocast(kind, enabled=False):
        return compute(input.float())


def norm_relu(convolution: nn.Module, outputs: int) -> nn.Sequential:
    """A convolution without bias, batch normalisation (which has one), ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def pointwise(inputs: int, outputs: int) -> nn.Sequential:
    """1 x 1 convolution, batch normalisation, ReLU."""
    return norm_relu(nn.Conv2d(inputs, outputs, 1, bias=False), outputs)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each cell.

    Networks like ConvNeXt and Swin leave the sums of their blocks unnormalised; their authors put
    such a layer behind each stage whose features are used (Liu et al., ICCV 2021 and CVPR 2022).
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalise `[n x f x h x w]`."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
