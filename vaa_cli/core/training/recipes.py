"""Recipes: how a model is optimised where the user chooses nothing else."""

from dataclasses import dataclass
from typing import Literal

from vaa_cli.core.images.names import AugmentName

RecipeName = Literal["default", "paper"]


@dataclass(frozen=True)
class Recipe:
    """The optimisation of a model, where the user chooses nothing else.

    Attributes:
        optimizer: `adamw` with warm-up and cosine, or `sgd` with a schedule by plateaus.
        epochs: passes over the training split.
        batch_size: images in a batch.
        lr: highest learning rate.
        weight_decay: weight decay.
        patience: number of epochs with neither a better score nor a lower loss on val that end
            training.
        augment: kind of augmentation, see `images.augment.Augmentation`.
    """

    optimizer: Literal["adamw", "sgd"]
    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    patience: int
    augment: AugmentName


RECIPES: dict[RecipeName, Recipe] = {
    # A cosine that is ended early never comes to its small rates.
    "default": Recipe("adamw", 30, 32, 3e-4, 0.05, patience=0, augment="pad-crop"),
    # The authors' code. It divides the rate after 10 such epochs, 3 times; then 10 more end it.
    "paper": Recipe("sgd", 100, 24, 1e-4, 5e-4, patience=40, augment="resize-crop"),
}
