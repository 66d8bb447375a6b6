"""The backbones that there are, by torchvision's names; nothing here needs torch."""

import difflib
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


def backbone_name(name: str) -> str:
    """The full name of a backbone: `densenet` is densenet201, `resnet` is resnet101.

    Raises:
        VAAError: there is no such backbone; suggests the nearest names.
    """
    full = ALIASES.get(name.lower(), name.lower())
    if full not in BACKBONES:
        nearest = difflib.get_close_matches(full, (*ALIASES, *BACKBONES), n=3, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(nearest)}?"
            if nearest
            else f"choose one of {', '.join(BACKBONES)}"
        )
        raise VAAError(f"unknown backbone {name!r}; {hint}")
    return full


ClassifierName = Literal["spatial", "spatial-full", "pooled"]
LossName = Literal["focal", "bce"]
Weighting = Literal["prior", "label", "none"]
PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
