"""Recipes: how a model is trained where the user chooses nothing else."""

from dataclasses import dataclass
from typing import Literal

from vaa_cli.core.images.names import AugmentName
from vaa_cli.core.models.names import LossName, Weighting

RecipeName = Literal["default", "paper", "par-baseline"]


@dataclass(frozen=True)
class Recipe:
    """The training of a model, where the user chooses nothing else.

    Attributes:
        optimizer: `adamw`, `adam` (whose weight decay is part of the gradient) or `sgd`.
        plateau: epochs without a better score on val after which the rate is divided by ten; 0 for
            a warm-up and a cosine.
        drops: number of times that it is divided at the most.
        epochs: passes over the training split.
        batch_size: images in a batch.
        lr: highest learning rate.
        weight_decay: weight decay.
        patience: number of epochs with neither a better score nor a lower loss on val that end
            training; 0 never does.
        augment: kind of augmentation, see `images.augment.Augmentation`.
        image_size: height and width in pixels.
        stages: stages that carry attention.
        loss: loss of the primary logits.
        loss_weights: its weights; None for those that go with the loss.
        ema: decay of the moving average of the weights, 0 for none; None for one that fits the
            number of steps, see `ema.fitting_decay`.
        clip_norm: norm that gradients are scaled down to; 0 leaves them.
    """

    optimizer: Literal["adamw", "adam", "sgd"]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int
    augment: AugmentName
    plateau: int = 0
    drops: int = 0
    image_size: tuple[int, int] = (224, 224)
    stages: tuple[int, ...] = (3, 4)
    loss: LossName = "focal"
    loss_weights: Weighting | None = None
    ema: float | None = None
    clip_norm: float = 0.0


RECIPES: dict[RecipeName, Recipe] = {
    # A cosine that is ended early never comes to its small rates.
    "default": Recipe("adamw", 30, 32, 3e-4, 0.05, patience=0, augment="pad-crop"),
    # The authors' code. It divides the rate after 10 such epochs, 3 times; then 10 more end it.
    "paper": Recipe(
        "sgd",
        100,
        24,
        1e-4,
        5e-4,
        patience=40,
        augment="resize-crop",
        plateau=10,
        drops=3,
        ema=0.0,
    ),
    # Jia et al., Rethinking of Pedestrian Attribute Recognition (arXiv 2107.03576), their code:
    # average pooling, a linear layer and weighted cross-entropy.
    "par-baseline": Recipe(
        "adam",
        30,
        64,
        1e-4,
        5e-4,
        patience=0,
        augment="pad-crop",
        plateau=5,
        drops=3,
        image_size=(256, 192),
        stages=(),
        loss="bce",
        loss_weights="label",
        ema=0.9998,
        clip_norm=10.0,
    ),
}
