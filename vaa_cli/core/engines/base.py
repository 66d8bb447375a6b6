"""The interface of all engines, and what can be chosen of them."""

import os
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.names import PrecisionName

ENGINES = ("auto", "torch", "compile", "openvino", "onnx")


PRECISIONS = (*get_args(PrecisionName), "int8")


class Engine(Protocol):
    """Computes a model.

    Attributes:
        name: the engine and the precision that it computes in.
        card: what is to be known of the model.
    """

    name: str
    card: ModelCard

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities `[n x c]` of images `[n x 3 x h x w]`; n had best be always the same."""
        ...


@dataclass(frozen=True)
class EngineChoice:
    """How a model is to be computed.

    Attributes:
        engine: one of `ENGINES`.
        precision: one of `PRECISIONS`.
        device: `auto`, or what torch calls it.
        local_rank: this process among those of this machine that work together.
        local_size: how many these are.
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    local_rank: int = 0
    local_size: int = 1

    @property
    def threads(self) -> int | None:
        """Threads for an engine that would take all cores; None to let it."""
        if self.local_world_size == 1:
            return None
        return max(1, (os.cpu_count() or 1) // self.local_world_size)
