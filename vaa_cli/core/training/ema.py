"""A moving average of the weights, which often scores better than the last ones."""

from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vaa_cli.core.models.vaa import VAA

# The average is over this fraction of all steps, about: the last of a cosine have small rates.
_SPAN = 0.05


def fitting_decay(steps: int) -> float:
    """The decay of an average that fits a training of a number of steps: 0.9 to 0.9998."""
    return min(0.9998, max(0.9, 1 - 1 / max(1.0, _SPAN * steps)))


class ExponentialMovingAverage:
    """An exponential moving average of weights and running means (Polyak averaging).

    The decay is min(decay, (1 + n) / (10 + n)) at the n-th update, as TensorFlow's
    ExponentialMovingAverage warms it up, so that the random start is soon forgotten.

    Args:
        model: the model whose weights start the average.
        decay: fraction of itself that the average keeps at an update, below 1.
    """

    def __init__(self, model: VAA, decay: float) -> None:
        self._decay, self._updates = decay, 0
        average: Any = self._average
        self._averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=True)
        # While its own counter is 0, torch copies the weights at the next update, as if there were
        # no average yet, and so the start would be lost.
        self._averaged.n_averaged += 1
        self._averaged.requires_grad_(False)
        self.model.eval()

    @property
    def model(self) -> VAA:
        """The model with the averaged weights."""
        averaged: Any = self._averaged.module
        model: VAA = averaged
        return model

    def update(self, model: VAA) -> None:
        """Take a model's weights into the average, after a step of its optimiser."""
        self._averaged.update_parameters(model)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs."""
        return {"updates": self._updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` gave."""
        self._updates = state["updates"]
        self.model.load_state_dict(state["model"])

    @torch.no_grad()
    def _average(self, averages: list[Tensor], values: list[Tensor], number: Tensor | int) -> None:
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, 1 - decay)
        else:  # batch normalisation counts its batches
            torch._foreach_copy_(averages, values)
