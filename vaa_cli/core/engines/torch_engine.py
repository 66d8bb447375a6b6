"""A model computed by PyTorch: on a CPU or a GPU, as it is or compiled."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaa_cli.core.engines.base import EngineChoice
from vaa_cli.core.engines.graph import inference_graph
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute, is_compilers
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA


class TorchEngine:
    """A model's graph with folded batch normalisations, in channels-last order.

    Args:
        model: on the CPU.
        card: what it needs to know of its images.
        compute: device and precision.
        compiled: let torch compile it, which takes minutes on a CPU.
    """

    def __init__(
        self, model: VAA, card: ModelCard, compute: Compute, compiled: bool = False
    ) -> None:
        self.card, self._compute = card, compute
        self.name = f"{'compile' if compiled else 'torch'} on {compute}"
        graph = inference_graph(model, card).to(compute.device)
        self._compiled = compiled
        self._function: Callable[[Tensor], Tensor] = graph.to(memory_format=torch.channels_last)
        if compiled:
            # Constants may be folded and laid out for the machine: nothing here is trained.
            freezing = compute.device.type == "cpu"
            self._function = torch.compile(graph, options={"freezing": True} if freezing else None)

    @classmethod
    def open(cls, path: Path, choice: EngineChoice) -> "TorchEngine":
        """Read a model file; see `engine.open_engine`."""
        compute = Compute.choose(choice.device, choice.precision, choice.local_rank)
        model, card = load_model(path)
        return cls(model, card, compute, compiled=choice.engine == "compile")

    @torch.no_grad()
    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities `[n x c]` of images `[n x 3 x h x w]`."""
        images = torch.from_numpy(pixels).to(self._compute.device)
        images = images.contiguous(memory_format=torch.channels_last)
        try:
            with self._compute.autocast():
                found: NDArray[np.float32] = self._function(images).float().cpu().numpy()
        except RuntimeError as error:
            if self._compiled and is_compilers(error):
                raise VAAError(
                    f"torch cannot compile the model here ({one_line(error, 120)}); "
                    "use --engine torch"
                ) from error
            raise
        return found
