"""Optimizers and learning rate schedulers of the two recipes."""

import math
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vaa_cli.core.training.options import Recipe

PLATEAU_EPOCHS, PLATEAU_FACTOR, PLATEAU_TIMES = 10, 0.1, 3


def make_optimizer(
    model: nn.Module, recipe: Recipe, momentum: float, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW or SGD over all weights of a model, by the recipe."""
    fused = device.type in ("cpu", "cuda")
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(),
            recipe.lr,
            momentum=momentum,
            weight_decay=recipe.weight_decay,
            fused=fused,
        )
    # Decay pulls filters to zero; on norms and biases it only shifts what they are there to set.
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, recipe.lr, fused=fused)


def make_scheduler(
    optimizer: torch.optim.Optimizer, recipe: Recipe, steps_per_epoch: int, warmup_share: float
) -> LambdaLR | ReduceLROnPlateau:
    """The scheduler of the learning rate: by steps for AdamW, by the score on val for SGD."""
    if recipe.optimizer == "sgd":
        return ReduceLROnPlateau(
            optimizer,
            mode="max",
            factor=PLATEAU_FACTOR,
            patience=PLATEAU_EPOCHS - 1,  # torch acts on the epoch after its patience is over
            threshold=0.0,
            min_lr=recipe.lr * PLATEAU_FACTOR**PLATEAU_TIMES,
        )
    total = recipe.epochs * steps_per_epoch
    warmup = max(1, round(warmup_share * total))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))

    return LambdaLR(optimizer, factor)
