"""Optimizers and learning rate schedulers of the recipes."""

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.training.recipes import Recipe

PLATEAU_FACTOR = 0.1


def make_optimizer(
    model: VAA, recipe: Recipe, momentum: float, device: torch.device, backbone_scale: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW, Adam or SGD over all weights of a model, by the recipe.

    Args:
        model: the model.
        recipe: the recipe.
        momentum: momentum of SGD.
        device: device of the model.
        backbone_scale: learning rate of the backbone as a fraction of that of the heads.
    """
    fused = device.type in ("cpu", "cuda")
    backbone = set(model.backbone.parameters()) if backbone_scale != 1 else set()
    heads = [p for p in model.parameters() if p not in backbone]
    # The heads come first: theirs is the rate that is shown.
    groups: list[dict[str, Any]] = []
    for parameters, lr in (
        (heads, recipe.lr),
        ([p for p in model.parameters() if p in backbone], backbone_scale * recipe.lr),
    ):
        if recipe.optimizer != "adamw":
            groups.append({"params": parameters, "lr": lr, "weight_decay": recipe.weight_decay})
            continue
        # Decay pulls filters to zero; on norms and biases it only shifts what they are there to
        # set.
        decayed = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups.append({"params": decayed, "lr": lr, "weight_decay": recipe.weight_decay})
        groups.append({"params": others, "lr": lr, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, recipe.lr, momentum=momentum, fused=fused)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(groups, recipe.lr, fused=fused)
    return torch.optim.AdamW(groups, recipe.lr, fused=fused)


def make_scheduler(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int, warmup_share: float
) -> LambdaLR | ReduceLROnPlateau:
    """The scheduler of the learning rate: by steps, or by the score on val."""
    if recipe.plateau:
        return ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=PLATEAU_FACTOR,
            patience=recipe.plateau - 1,  # torch acts on the epoch after its patience is over
            threshold=0.0,
            min_lr=[group["lr"] * PLATEAU_FACTOR**recipe.drops for group in optimizer.param_groups],
        )
    total = recipe.epochs * steps_per_epoch
    warmup = max(1, round(warmup_share * total))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return LambdaLR(optimizer, factor)
