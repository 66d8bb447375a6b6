"""Visual attention aggregation (method section 3.1, equations 1 and 2)."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch
from torch import Tensor, nn

from vaa_cli.core.models.attention import AttentionMaps, AttentionModule
from vaa_cli.core.models.backbones import feature_shapes, make_backbone
from vaa_cli.core.models.classifiers import final_bias, make_classifier
from vaa_cli.core.models.layers import ChannelNorm, FullLinear
from vaa_cli.core.models.names import AttentionName, ClassifierName, heads_problem

CLASSIFIERS: tuple[ClassifierName, ...] = get_args(ClassifierName)
ATTENTION_STAGES = (2, 3, 4)
_LOGIT = 6.0  # of the bias of an attribute that is nearly always, or never, there


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
        stages: stages that carry attention, of 2, 3 and 4; none for the plain baseline.
        classifier: `spatial`, `spatial-full`, `pooled` or `residual`.
        hidden: channels of the attention modules and spatial classifiers.
        weights: state dict of the backbone under torchvision's or timm's names; None for a random
            start.
        output_stride: 32, or 16 for a finer stage 4, see `backbones.make_backbone`.
        attention: `learned` or `uniform`, see `AttentionModule`.
        confidence: whether the confidence branch weights the attention.

    Raises:
        VAAError: the weights are not the backbone's, or it cannot have such images.
        ValueError: no such stage or classifier, or one that nothing of an image would reach.

    Source: Sarafianos, Xu, Kakadiaris, ECCV 2018.
    """

    def __init__(
        self,
        backbone: str,
        attributes: int,
        image_size: tuple[int, int],
        stages: Sequence[int] = (3, 4),
        classifier: ClassifierName = "pooled",
        hidden: int = 512,
        weights: dict[str, Tensor] | None = None,
        output_stride: int = 32,
        attention: AttentionName = "learned",
        confidence: bool = True,
    ) -> None:
        super().__init__()
        if not set(stages) <= set(ATTENTION_STAGES) or len(set(stages)) < len(stages):
            raise ValueError(f"stages {tuple(stages)} are not different ones of {ATTENTION_STAGES}")
        if classifier not in CLASSIFIERS:
            raise ValueError(f"unknown classifier {classifier!r}; one of {', '.join(CLASSIFIERS)}")
        problem = heads_problem(classifier, attention, confidence)
        if problem:
            raise ValueError(problem)
        shapes = feature_shapes(backbone, image_size, output_stride)
        self.stages = tuple(sorted(stages))
        self.backbone = make_backbone(backbone, weights, output_stride, image_size)
        self.norms = nn.ModuleDict()
        if not self.backbone.is_normalised:
            used = sorted({*self.stages, len(shapes)})
            self.norms.update({str(stage): ChannelNorm(shapes[stage - 1][0]) for stage in used})
        self.primary = FullLinear(shapes[-1][0], attributes)
        self.attention = nn.ModuleList()
        self.classifiers = nn.ModuleList()
        # The pooled logits are made of the confidences, whether these weight the maps or not.
        has_branch = confidence or classifier == "residual"
        for stage in self.stages:
            channels, height, width = shapes[stage - 1]
            self.attention.append(
                AttentionModule(channels, attributes, hidden, attention, has_branch, confidence)
            )
            self.classifiers.append(
                make_classifier(classifier, attributes, (height, width), hidden)
            )

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
        for bias in (self.primary.bias, *map(final_bias, self.classifiers)):
            for c, prior in enumerate(priors):
                if prior is not None:
                    odds = prior / (1 - prior) if prior < 1 else math.inf
                    bias[c] = max(-_LOGIT, min(_LOGIT, math.log(odds) if odds else -math.inf))
