"""The names of backbones, torchvision's and timm's; torch is loaded for timm's only."""

import difflib
import re
from typing import Literal

from vaa_cli.core.errors import VAAError

RESNETS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
    "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d",
    "wide_resnet50_2", "wide_resnet101_2",
)  # fmt: skip
DENSENETS = ("densenet121", "densenet161", "densenet169", "densenet201")
BACKBONES = RESNETS + DENSENETS
# The paper's choices.
ALIASES = {"resnet": "resnet101", "densenet": "densenet201"}


# Initial weights that are no file; the versions are torchvision's.
NAMED_WEIGHTS = ("imagenet", "imagenet1k_v1", "imagenet1k_v2", "none")
_SUGGESTIONS = 3
# timm's names, with or without a tag; nothing that it would look up elsewhere, as `hf-hub:` is.
_TIMM_NAME = re.compile(r"[a-z0-9_]{1,80}(\.[a-z0-9_]{1,80})?")


def backbone_name(name: str) -> str:
    """The full name of a backbone: `densenet` is densenet201, `resnet` is resnet101.

    torchvision's ResNets and DenseNets are known by their names; all others are timm's.

    Raises:
        VAAError: there is no such backbone; suggests the nearest names.
    """
    full = ALIASES.get(name.lower(), name.lower())
    if full in BACKBONES:
        return full
    known: list[str] = []
    if is_timm_name(full):
        import timm  # which loads torch

        if full in timm.list_pretrained() or (timm.is_model(full) and "." not in full):
            return full
        known = [*timm.list_models(), *(timm.list_pretrained() if "." in full else [])]
    ours = (*ALIASES, *BACKBONES)
    nearest = difflib.get_close_matches(full, ours, _SUGGESTIONS, cutoff=0.8)
    if len(nearest) < _SUGGESTIONS:
        nearest += difflib.get_close_matches(full, known, _SUGGESTIONS - len(nearest), cutoff=0.7)
    hint = (
        f"did you mean {' or '.join(nearest)}?"
        if nearest
        else f"choose one of {', '.join(BACKBONES)}, or one of timm's with four stages, such as "
        "convnext_tiny"
    )
    raise VAAError(f"unknown backbone {name!r}; {hint}")


def is_timm_name(name: str) -> bool:
    """Whether a name could be one of timm's; not whether timm knows it."""
    return name not in BACKBONES and _TIMM_NAME.fullmatch(name) is not None


AttentionName = Literal["learned", "uniform"]
ClassifierName = Literal["spatial", "spatial-full", "pooled", "residual"]
LossName = Literal["focal", "bce"]
Weighting = Literal["prior", "label", "none"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
Weighed = Literal["primary", "all"]


def heads_problem(
    classifier: ClassifierName, attention: AttentionName, confidence: bool
) -> str | None:
    """Why attention heads cannot be of these parts; None where they can. See `VAA`."""
    if confidence or classifier == "residual":
        return None
    if classifier == "pooled":
        return "the pooled classifier is made of the confidences, and cannot be without them"
    if attention == "uniform":
        return "uniform attention without confidence has nothing of the picture in it"
    return None
