"""A model computed by ONNX Runtime; nothing here needs torch."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import METADATA, ModelCard, require_shapes


class ONNXEngine:
    """An ONNX model, exported by `vaa export` or converted into vaa's cache; computed in fp32.

    Args:
        path: the .onnx file.
        precision: `auto` or `fp32`.
        threads: number of threads; None for one a core.

    Raises:
        VAAError: the file is not such a model.
    """

    def __init__(self, path: Path, precision: str = "auto", threads: int | None = None) -> None:
        assert precision in ("auto", "fp32")
        self._session = _open_session(path, threads)
        self.card = _card_of(self._session, path)
        self._input = self._session.get_inputs()[0].name
        self.name = "onnx on cpu, fp32"

    def prepare(self, count: int) -> None:
        """ONNX Runtime is ready for any number of images."""

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the probabilities `[n x c]` of images `[n x 3 x h x w]`."""
        found: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        return found


def read_onnx_card(path: Path) -> ModelCard:
    """Read the card of an ONNX model, without its weights being made ready to compute.

    Raises:
        VAAError: the file is not a model that `vaa export` wrote.
    """
    try:
        import onnx
    except ImportError:  # the runtime can be installed without it
        return _card_of(_open_session(path, threads=1, optimise=False), path)
    try:
        proto = onnx.load_model(str(path), load_external_data=False)
        properties = {entry.key: entry.value for entry in proto.metadata_props}
        return ModelCard.from_json(properties[METADATA])
    except Exception as error:  # protobuf's errors have no base of their own
        raise _not_a_model(path, error) from error


def _open_session(
    path: Path, threads: int | None, optimise: bool = True
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    if threads is not None:
        options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors have no base of their own
        raise _not_a_model(path, error) from error


def _card_of(session: onnxruntime.InferenceSession, path: Path) -> ModelCard:
    try:
        card = ModelCard.from_json(session.get_modelmeta().custom_metadata_map[METADATA])
        inputs = [[*map(str, port.shape)][1:] for port in session.get_inputs()]
        outputs = [[*map(str, port.shape)][1:] for port in session.get_outputs()]
        require_shapes(card, inputs, outputs)
        return card
    except (KeyError, ValueError) as error:
        raise _not_a_model(path, error) from error


def _not_a_model(path: Path, error: Exception) -> VAAError:
    return VAAError(f"{path} is not a model that vaa export made ({one_line(error, 120)})")
