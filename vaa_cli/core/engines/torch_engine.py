"""A model computed by PyTorch: on a CPU or a GPU, eagerly or compiled."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.graph import inference_graph
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute, is_compiler_error
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.system.file_cache import cache_folder

_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


class TorchEngine:
    """The graph of a model with folded batch normalisations, in channels-last memory format.

    Args:
        model: the model, on the CPU.
        card: its card.
        compute: device and precision.
        compiled: compile the graph with `torch.compile`, which takes up to a minute on a CPU,
            and less when it was done before.
    """

    def __init__(
        self, model: VAA, card: ModelCard, compute: Compute, compiled: bool = False
    ) -> None:
        self.card, self._compute = card, compute
        self.name = f"{'compile' if compiled else 'torch'} on {compute}"
        graph = inference_graph(model, card).to(compute.device)
        self._compiled = compiled
        for tensor in graph.parameters():
            # Tables that transformers work out have more dimensions, which have no such format.
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        self._function: Callable[[Tensor], Tensor] = graph
        if compiled:
            _keep_compiled()
            # Freezing folds constants and lays them out for the machine: nothing is trained here.
            freezing = compute.device.type == "cpu"
            self._function = torch.compile(graph, options={"freezing": True} if freezing else None)

    @classmethod
    def open(cls, path: Path, options: EngineOptions, local_rank: int = 0) -> "TorchEngine":
        """Read a model file; see `open.open_engine`."""
        compute = Compute.choose(options.device, options.precision, local_rank)
        model, card = load_model(path)
        return cls(model, card, compute, compiled=options.engine == "compile")

    def prepare(self, count: int) -> None:
        """PyTorch is ready for any number of images; what is compiled, is with the first ones."""

    @torch.no_grad()
    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the probabilities `[n x c]` of images `[n x 3 x h x w]`."""
        images = torch.from_numpy(pixels).to(self._compute.device)
        images = images.contiguous(memory_format=torch.channels_last)
        try:
            with self._compute.autocast():
                found: NDArray[np.float32] = self._function(images).float().cpu().numpy()
        except RuntimeError as error:
            if self._compiled and is_compiler_error(error):
                raise VAAError(
                    f"torch cannot compile the model here ({one_line(error, 120)}); "
                    "use `engine=torch`"
                ) from error
            raise
        return found


def _keep_compiled() -> None:
    """Keep what torch compiles in vaa's cache; torch's own folder goes when the machine starts."""
    # It warns of a CUDA that is not there, which a CPU does not need.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    # torch names its own folder when it is imported, unless the user has named one.
    named = os.environ.get(_CACHE_VARIABLE)
    if named is not None and not Path(named).name.startswith("torchinductor_"):
        return
    with contextlib.suppress(OSError):
        folder = cache_folder() / ".compiled"
        folder.mkdir(parents=True, exist_ok=True)
        os.environ[_CACHE_VARIABLE] = str(folder)
