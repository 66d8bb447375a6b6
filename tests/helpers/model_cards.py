"""Cards of models for tests."""

from collections.abc import Sequence
from typing import Any

from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.card import ModelCard


def make_card(attributes: Sequence[str], **changes: Any) -> ModelCard:
    """The card of a small model of some attributes, with changes."""
    fields: dict[str, Any] = {
        "backbone": "resnet18", "attributes": tuple(attributes),
        "thresholds": (0.5,) * len(attributes), "priors": (0.1,) * len(attributes),
        "image_size": (64, 32), "mean": IMAGENET_MEAN, "std": IMAGENET_STD, "stages": (3, 4),
        "classifier": "pooled", "hidden": 8, "data": "none", "epoch": 1, "validation": {},
    }  # fmt: skip
    return ModelCard(**{**fields, **changes})
