"""Layers that the parts of the model are made of."""

from torch import Tensor, nn


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
