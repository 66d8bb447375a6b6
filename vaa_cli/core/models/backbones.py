"""Backbones: networks cut where their stages end (method section 3.1).

torchvision's ResNets and DenseNets are here, timm's networks in `timm_backbones`.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.names import BACKBONES, RESNETS

if TYPE_CHECKING:
    from vaa_cli.core.models.timm_backbones import TimmBackbone

Channels = tuple[float, float, float]

# What torchvision's ImageNet weights were trained with.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class TorchvisionBackbone(nn.Module):
    """A torchvision network as four stages, without its pooling and classifier.

    A ResNet's stage ends with its block of layers; a DenseNet's with the norm and ReLU that follow
    its dense block, which in torchvision are the first half of the transition.

    Args:
        name: one of `names.BACKBONES`.
        state: weights under torchvision's names, or None for a random start.
        output_stride: pixels of the image a cell of stage 4 stands for, 32 or 16. With 16 that
            stage is as fine as stage 3, and its 3 x 3 convolutions reach as far as before by
            dilation (Chen et al., DeepLab, TPAMI 2018); the weights are the same.

    Raises:
        VAAError: the weights are not this backbone's.
    """

    # The features of the stages are those of batch normalisation and ReLU.
    is_normalised = True

    def __init__(
        self, name: str, state: dict[str, Tensor] | None = None, output_stride: int = 32
    ) -> None:
        super().__init__()
        network: Any = get_model(name, weights=None)
        if state is not None:
            _load(network, state, name)
        if output_stride == 16:
            _refine_last_stage(network, name)
        if name in RESNETS:
            stem = nn.Sequential(network.conv1, network.bn1, network.relu, network.maxpool)
            blocks = [network.layer1, network.layer2, network.layer3, network.layer4]
            self.stages = nn.ModuleList([nn.Sequential(stem, blocks[0]), *blocks[1:]])
        else:
            self.stages = nn.ModuleList(_densenet_stages(network.features))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images `[n x 3 x h x w]` to the four stages' features, each `[n x f x h_i x w_i]`."""
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features


def _refine_last_stage(network: Any, name: str) -> None:
    """Take away the last halving of the size, and dilate the 3 x 3 convolutions behind it."""
    if name in RESNETS:
        last = network.layer4
    else:
        last = network.features.denseblock4
        network.features.transition3.pool = nn.Identity()
    for convolution in last.modules():
        if not isinstance(convolution, nn.Conv2d):
            continue
        if convolution.stride != (1, 1):
            convolution.stride = (1, 1)  # what it sees is not yet sparser
        elif convolution.kernel_size != (1, 1):
            convolution.dilation = convolution.padding = (2, 2)


def _densenet_stages(features: nn.Sequential) -> list[nn.Sequential]:
    stages: list[nn.Sequential] = []
    stage = nn.Sequential()
    for name, layer in features.named_children():
        if name.startswith("transition"):
            parts = dict(layer.named_children())
            stages.append(stage.extend([parts["norm"], parts["relu"]]))
            stage = nn.Sequential(parts["conv"], parts["pool"])
        else:
            stage.append(layer)
    stages.append(stage.append(nn.ReLU(inplace=True)))
    return stages


def make_backbone(
    name: str,
    state: dict[str, Tensor] | None = None,
    output_stride: int = 32,
    image_size: tuple[int, int] = (224, 224),
) -> "TorchvisionBackbone | TimmBackbone":
    """Make a backbone by its name.

    Args:
        name: a full name, see `names.backbone_name`.
        state: weights under torchvision's or timm's names, or None for a random start.
        output_stride: pixels of the image a cell of stage 4 stands for, 32 or 16.
        image_size: height and width of the images, which some networks are made for.

    Raises:
        VAAError: there is no such backbone, it cannot have such images, or the weights are not its
            own.
    """
    if name in BACKBONES:
        return TorchvisionBackbone(name, state, output_stride)
    from vaa_cli.core.models.timm_backbones import TimmBackbone

    return TimmBackbone(name, state, output_stride, image_size)


def normalisation(name: str) -> tuple[Channels, Channels]:
    """Mean and standard deviation of each channel of images that a backbone's weights expect."""
    if name in BACKBONES:
        return IMAGENET_MEAN, IMAGENET_STD
    from vaa_cli.core.models import timm_backbones

    return timm_backbones.normalisation(name)


def feature_shapes(
    name: str, image_size: tuple[int, int], output_stride: int = 32
) -> list[tuple[int, int, int]]:
    """Channels, height and width of the four stages' features for images of a size.

    Raises:
        VAAError: the backbone cannot take images of this size.
    """
    # On the meta device shapes are worked out without weights and without arithmetic.
    with torch.device("meta"):
        backbone = make_backbone(name, None, output_stride, image_size).eval()
        try:
            features = backbone(torch.empty(1, 3, *image_size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise VAAError(
                f"{name} cannot take {image_size[0]}x{image_size[1]} images "
                f"({one_line(error, 100)}); try another `image_size`, such as 224x224"
            ) from error
    return [(f.shape[1], f.shape[2], f.shape[3]) for f in features]


def _load(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    expected = network.state_dict()
    # The classifier of ImageNet's classes is not used; files without one are as good.
    needed = [key for key in expected if not key.startswith(("fc.", "classifier."))]
    wrong = [key for key in needed if key not in state or state[key].shape != expected[key].shape]
    wrong = [key for key in wrong if not key.endswith("num_batches_tracked")]
    if wrong:
        raise VAAError(
            f"the weights are not {name}'s: {len(wrong)} of {len(needed)} tensors are missing "
            f"or of another shape, such as {wrong[0]!r}"
        )
    network.load_state_dict({key: state.get(key, expected[key]) for key in needed}, strict=False)
