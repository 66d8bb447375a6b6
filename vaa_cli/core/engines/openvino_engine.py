"""A model computed by OpenVINO, the fastest engine on CPUs; nothing here needs torch."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.engines.openvino_runtime import openvino_runtime
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import METADATA, ModelCard, require_shapes

# OpenVINO's names of the precisions.
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


class OpenVINOEngine:
    """An OpenVINO model, exported by `vaa export` or converted into vaa's cache.

    Args:
        path: the .xml file, with the .bin file beside it.
        precision: `fp32`, `bf16`, `fp16`, `int8` for a model that was quantised, or `auto`: bf16
            where the processor multiplies it, else fp32.
        threads: number of threads; None for one a core.

    Raises:
        VAAError: the file is not such a model, or the processor does not compute in the precision.
    """

    def __init__(self, path: Path, precision: str = "auto", threads: int | None = None) -> None:
        self._core = openvino_runtime().Core()
        self._model, self.card = _read(self._core, path)
        able = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        quantised = any(op.get_type_name() == "FakeQuantize" for op in self._model.get_ops())
        if precision == "int8" and not quantised:
            raise VAAError(f"{path} is not quantised; export the model with `precision=int8`")
        if precision in ("auto", "int8"):
            precision = "bf16" if "BF16" in able else "fp32"
        elif precision in ("bf16", "fp16") and precision.upper() not in able:
            raise VAAError(f"this processor does not compute in {precision}; use fp32")
        self._settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        self.name = f"openvino on cpu, {'int8 and ' if quantised else ''}{precision}"
        self._compiled: Any = None
        self._batch_size = 0
        self._compiling = threading.Lock()

    def prepare(self, count: int) -> None:
        """Compile the model for batches of so many images."""
        with self._compiling:
            if count != self._batch_size:
                self._model.reshape([count, 3, *self.card.image_size])
                self._compiled = self._core.compile_model(self._model, "CPU", self._settings)
                self._batch_size = count

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the probabilities `[n x c]` of images `[n x 3 x h x w]`.

        The model is compiled for each new n.
        """
        self.prepare(len(pixels))
        found: NDArray[np.float32] = self._compiled(pixels)[0].copy()
        return found


def read_openvino_card(path: Path) -> ModelCard:
    """Read the card of an OpenVINO model; nothing is compiled.

    Raises:
        VAAError: the file is not a model that `vaa export` wrote.
    """
    return _read(openvino_runtime().Core(), path)[1]


def _read(core: Any, path: Path) -> tuple[Any, ModelCard]:
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise VAAError(f"{path} has no {weights.name} beside it, with its weights; copy both files")
    try:
        model = core.read_model(path)
        card = ModelCard.from_json(model.get_rt_info([METADATA]).value)
        outputs = [[*map(str, port.get_partial_shape())][1:] for port in model.outputs]
        inputs = [[*map(str, port.get_partial_shape())][1:] for port in model.inputs]
        require_shapes(card, inputs, outputs)
        return model, card
    except (RuntimeError, ValueError, TypeError) as error:
        raise VAAError(
            f"{path} is not a model that vaa export made ({one_line(error, 120)})"
        ) from error
