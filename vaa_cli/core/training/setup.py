"""The model card and the config.json that a training begins with."""

import math
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch
import torchvision

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.augment import Augmentation
from vaa_cli.core.images.batch import BatchSource
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.ram_cache import RAMCache
from vaa_cli.core.models.backbones import normalisation
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.seeding import require_deterministic
from vaa_cli.core.training.train_state import is_synchronised
from vaa_cli.core.training.validation import THRESHOLD


def model_card(data: Prepared, options: TrainingOptions) -> ModelCard:
    """The card of a model before its first epoch."""
    mean, std = normalisation(options.backbone)
    recipe = options.resolved()
    return ModelCard(
        backbone=options.backbone,
        attributes=data.attributes,
        thresholds=(THRESHOLD,) * len(data.attributes),
        priors=tuple(None if math.isnan(a) else a for a in data.priors.prior.tolist()),
        image_size=recipe.image_size,
        box_margin=data.box_margin,
        mean=mean,
        std=std,
        stages=tuple(sorted(recipe.stages)),
        classifier=options.classifier,
        attention=options.attention,
        confidence=options.confidence,
        hidden=options.hidden,
        output_stride=options.output_stride,
        groups=dict(data.groups),
        data=str(data.folder.resolve()),
        epoch=0,
        validation={},
    )


def run_config(
    data: Prepared, options: TrainingOptions, compute: Compute, group: ProcessGroup
) -> dict[str, Any]:
    """The content of config.json: options, data, device and versions."""
    return {
        "options": asdict(options),
        "recipe": asdict(options.resolved()),
        "data": str(data.folder.resolve()),
        "dataset": {"name": data.name, "root": str(data.split("train").root.resolve())},
        "compute": str(compute),
        "processes": group.world_size,
        "versions": {
            "vaa": version("vaa-cli"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "timm": version("timm"),
        },
    }


def growth(options: TrainingOptions) -> dict[str, Any]:
    """The entries of config.json that change where a run gets more epochs."""
    chosen = {"epochs": options.epochs, "patience": options.patience}
    return {"options": chosen, "recipe": asdict(options.resolved())}


def smallest_batch(options: TrainingOptions, compute: Compute, group: ProcessGroup) -> int:
    """The fewest images that a batch needs.

    Batch normalisation needs two images at a time: in each process and each part of a batch, or
    with synchronised statistics in each part.

    Raises:
        VAAError: several processes cannot train on this device.
    """
    if group.world_size > 1 and compute.device.type not in ("cpu", "cuda"):
        raise VAAError(f"{group.world_size} processes cannot train together on {compute}; use cpu")
    together = is_synchronised(options, group)
    at_once = max(2, group.world_size) if together else 2 * group.world_size
    return at_once * options.accumulate


def set_algorithms(deterministic: bool) -> None:
    """Choose deterministic algorithms, or the fastest ones."""
    if deterministic:
        require_deterministic()
    else:
        torch.backends.cudnn.benchmark = True  # all batches but one are of the same size


def open_batch_sources(
    data: Prepared, options: TrainingOptions, compute: Compute, group: ProcessGroup
) -> tuple[BatchSource, BatchSource]:
    """Start decoding pictures: the sources of the batches of train and of val."""
    arguments = (options.workers, compute.pins_memory, data.box_margin, group.local_world_size)
    recipe = options.resolved()
    size = recipe.image_size
    augmentation = Augmentation(recipe.augment, options.mirror, options.jitter, options.erase)
    if options.cache == "ram":
        train = RAMCache(data.split("train"), size, True, *arguments, augmentation)
        return train, RAMCache(data.split("val"), size, False, *arguments)
    loader = PictureLoader(size, *arguments, augmentation)
    return loader, loader
