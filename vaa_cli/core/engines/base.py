"""The interface of all engines, and the options that choose among them."""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.names import PrecisionName

EngineName = Literal["auto", "torch", "compile", "openvino", "onnx"]
ENGINES: tuple[str, ...] = get_args(EngineName)
# The precisions of training, and that of a model that was quantised.
ENGINE_PRECISIONS: tuple[str, ...] = (*get_args(PrecisionName), "int8")


class Engine(Protocol):
    """Computes the probabilities of images with a trained model.

    Attributes:
        name: name of the engine, its device and its precision, for messages.
        card: card of the model.
    """

    name: str
    card: ModelCard

    def prepare(self, count: int) -> None:
        """Make ready for batches of so many images, ahead of the first one."""
        ...

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute probabilities.

        Args:
            pixels: images `[n x 3 x h x w]`. Engines are fastest when n is the same in each call.

        Returns:
            Probabilities `[n x c]`.
        """
        ...


@dataclass(frozen=True)
class EngineOptions:
    """Engine, precision and device of a trained model.

    Attributes:
        engine: one of `ENGINES`; `auto` chooses the fastest that is installed.
        precision: one of `ENGINE_PRECISIONS`; `auto` chooses the fastest that is exact enough.
        device: `auto`, or a device as PyTorch names it. OpenVINO and ONNX Runtime compute on the
            CPU.
        batch_size: images in a batch.
        workers: number of decoding processes; None chooses for the machine, 0 decodes in this
            process.

    Example:
        >>> from vaa_cli.core.engines.base import EngineOptions
        >>> EngineOptions(engine="torch", precision="fp32", workers=0).check()
    """

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    batch_size: int = 32
    workers: int | None = None

    def check(self) -> None:
        """Check the values that do not depend on the machine.

        Raises:
            VAAError: the engine or the precision is unknown, or a number is out of range.
        """
        if self.engine not in ENGINES:
            raise VAAError(f"unknown engine {self.engine!r}; use {', '.join(ENGINES)}")
        if self.precision not in ENGINE_PRECISIONS:
            names = ", ".join(ENGINE_PRECISIONS)
            raise VAAError(f"unknown precision {self.precision!r}; use {names}")
        if self.batch_size < 1:
            raise VAAError(f"batch_size {self.batch_size} is less than 1")
        if self.workers is not None and self.workers < 0:
            raise VAAError(f"workers {self.workers} is less than 0")
