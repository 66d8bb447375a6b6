"""Visual attention aggregation (method section 3.1, equations 1 and 2)."""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import torch
from torch import Tensor, nn

from vaa_cli.core.models.backbones import feature_shapes, make_backbone
from vaa_cli.core.models.names import ClassifierName

CLASSIFIERS: tuple[ClassifierName, ...] = get_args(ClassifierName)
ATTENTION_STAGES = (2, 3, 4)
_LOGIT = 6.0  # of the bias of an attribute that is nearly always, or never, there


class AttentionMaps(NamedTuple):
    """The maps of one attention module, both `[n x c x h x w]`.

    Attributes:
        attention: a of eq. 2; for each image and attribute it sums to 1. float32.
        confidence: logits of the confidence branch; their sigmoid weights the attention.
    """

    attention: Tensor
    confidence: Tensor

    @property
    def weighted(self) -> Tensor:
        """The confidence-weighted map, a ⊙ sigmoid(conv(k))."""
        return self.attention * self.confidence.float().sigmoid()


class VAAOutput(NamedTuple):
    """The output of the model for a batch.

    Attributes:
        logits: ŷ, the mean over the primary and all attention logits, `[n x c]`.
        primary: ŷ_p, the backbone's own logits, `[n x c]`.
        attention: ŷ_{a_i} of each attention module, each `[n x c]`.
        maps: maps of each attention module.
    """

    logits: Tensor
    primary: Tensor
    attention: tuple[Tensor, ...]
    maps: tuple[AttentionMaps, ...]


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


class AttentionModule(nn.Module):
    """𝒜_i: an attention map and a confidence for every attribute, from one stage's features.

    Args:
        channels: F_i of the features.
        attributes: number of attributes C.
        hidden: channels of its hidden layers.
    """

    def __init__(self, channels: int, attributes: int, hidden: int = 512) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            pointwise(channels, hidden),
            pointwise(hidden, hidden),
            nn.Conv2d(hidden, attributes, 1),
        )
        self.confidence = nn.Conv2d(channels, attributes, 1)

    def forward(self, features: Tensor) -> AttentionMaps:
        """Features `[n x f x h x w]` to the maps of all attributes."""
        scores = self.attention(features)
        # In float32: a softmax over hundreds of cells loses its tail in half precision.
        attention = scores.flatten(2).float().softmax(dim=2).view(scores.shape)
        return AttentionMaps(attention, self.confidence(features))


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
        self.linear = nn.Linear(outputs, attributes)

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


# Tensors that have the attributes along an axis; in all others attributes are mixed.
_ATTRIBUTE_AXES = {
    r"primary\.(weight|bias)": 0,
    r"attention\.[^.]+\.(attention\.2|confidence)\.(weight|bias)": 0,
    r"classifiers\.[^.]+\.((pooled|spatial)\.)?(gain|bias|linear\.weight|linear\.bias)": 0,
    r"classifiers\.[^.]+\.(spatial\.)?mix\.0\.0\.weight": 1,
}


def attribute_axis(name: str) -> int | None:
    """The axis of the attributes in a tensor of `VAA`, by its name; None where there is none."""
    matches = (axis for form, axis in _ATTRIBUTE_AXES.items() if re.fullmatch(form, name))
    return next(matches, None)


class VAA(nn.Module):
    """A backbone, its primary classifier, and an attention module and classifier per stage.

    Args:
        backbone: a full name, see `names.backbone_name`.
        attributes: number of attributes C.
        image_size: height and width of the images; the spatial classifiers are made for it.
        stages: stages that carry attention, of 2, 3 and 4.
        classifier: `spatial`, `spatial-full`, `pooled` or `residual`.
        hidden: channels of the attention modules and spatial classifiers.
        weights: state dict of the backbone under torchvision's or timm's names; None for a random
            start.
        output_stride: 32, or 16 for a finer stage 4, see `backbones.make_backbone`.

    Raises:
        VAAError: the weights are not the backbone's, or it cannot have such images.
        ValueError: no such stage or classifier.

    Source: Sarafianos, Xu, Kakadiaris, ECCV 2018.
    """

    def __init__(
        self,
        backbone: str,
        attributes: int,
        image_size: tuple[int, int],
        stages: Sequence[int] = (3, 4),
        classifier: ClassifierName = "spatial",
        hidden: int = 512,
        weights: dict[str, Tensor] | None = None,
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        if not set(stages) <= set(ATTENTION_STAGES) or len(set(stages)) < len(stages):
            raise ValueError(f"stages {tuple(stages)} are not different ones of {ATTENTION_STAGES}")
        if classifier not in CLASSIFIERS:
            raise ValueError(f"unknown classifier {classifier!r}; one of {', '.join(CLASSIFIERS)}")
        shapes = feature_shapes(backbone, image_size, output_stride)
        self.stages = tuple(sorted(stages))
        self.backbone = make_backbone(backbone, weights, output_stride, image_size)
        self.norms = nn.ModuleDict()
        if not self.backbone.is_normalised:
            used = sorted({*self.stages, len(shapes)})
            self.norms.update({str(stage): ChannelNorm(shapes[stage - 1][0]) for stage in used})
        self.primary = nn.Linear(shapes[-1][0], attributes)
        self.attention = nn.ModuleList()
        self.classifiers = nn.ModuleList()
        for stage in self.stages:
            channels, height, width = shapes[stage - 1]
            self.attention.append(AttentionModule(channels, attributes, hidden))
            self.classifiers.append(_classifier(classifier, attributes, (height, width), hidden))

    def forward(self, images: Tensor) -> VAAOutput:
        """Normalised images `[n x 3 x h x w]` to logits and maps."""
        features = self.backbone(images)
        for stage, norm in self.norms.items():
            features[int(stage) - 1] = norm(features[int(stage) - 1])
        primary = self.primary(features[-1].mean(dim=(2, 3)))
        maps = tuple(
            module(features[stage - 1])
            for stage, module in zip(self.stages, self.attention, strict=True)
        )
        attention = tuple(classify(m) for classify, m in zip(self.classifiers, maps, strict=True))
        # Averaged in float32: the logits are few, and the probabilities come from them.
        logits = torch.stack([primary.float(), *(a.float() for a in attention)]).mean(dim=0)
        return VAAOutput(logits, primary, attention, maps)

    @torch.no_grad()
    def start_at(self, priors: Sequence[float | None]) -> None:
        """Set the bias of every head so that it begins with the priors of the attributes.

        Lin et al. (RetinaNet, ICCV 2017), section 4.1; clipped to logits of ±6.

        Args:
            priors: fraction of positives of each attribute; None leaves an attribute's bias.
        """
        for bias in (self.primary.bias, *map(_final_bias, self.classifiers)):
            for c, prior in enumerate(priors):
                if prior is not None:
                    odds = prior / (1 - prior) if prior < 1 else math.inf
                    bias[c] = max(-_LOGIT, min(_LOGIT, math.log(odds) if odds else -math.inf))


def _classifier(
    name: ClassifierName, attributes: int, map_size: tuple[int, int], hidden: int
) -> nn.Module:
    if name == "pooled":
        return PooledClassifier(attributes)
    if name == "residual":
        return ResidualClassifier(attributes, map_size, hidden)
    return SpatialClassifier(attributes, map_size, hidden, full=name == "spatial-full")


def _final_bias(classifier: nn.Module) -> Tensor:
    """The bias of a classifier's logits."""
    last: Any = classifier
    if isinstance(classifier, ResidualClassifier):
        last = classifier.pooled
    elif isinstance(classifier, SpatialClassifier):
        last = classifier.linear
    bias: Tensor = last.bias
    return bias
