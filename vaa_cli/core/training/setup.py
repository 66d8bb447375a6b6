"""What a training begins with: the model card and the run's config.json."""

import math
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
import torchvision

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.validation import THRESHOLD


def model_card(data: Prepared, options: TrainingOptions) -> ModelCard:
    """What a model that is to be trained is like; no epoch is done."""
    return ModelCard(
        backbone=options.backbone,
        attributes=data.attributes,
        thresholds=(THRESHOLD,) * len(data.attributes),
        priors=tuple(None if math.isnan(a) else a for a in data.priors.prior.tolist()),
        image_size=options.image_size,
        box_margin=data.box_margin,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        stages=tuple(sorted(options.stages)),
        classifier=options.classifier,
        hidden=options.hidden,
        output_stride=options.output_stride,
        data=str(data.folder.resolve()),
        epoch=0,
        validation={},
    )


def _config(
    data: Prepared, options: TrainingOptions, compute: Compute, group: ProcessGroup
) -> dict[str, Any]:
    return {
        "options": asdict(options),
        "recipe": asdict(options.resolved()),
        "data": str(data.folder.resolve()),
        "compute": str(compute),
        "processes": group.world_size,
        "versions": {
            "vaa": version("vaa-cli"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
