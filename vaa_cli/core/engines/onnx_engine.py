"""A model computed by ONNX Runtime; nothing here needs torch."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.card import METADATA, ModelCard


class ONNXEngine:
    """An ONNX model that `vaa export` made, or vaa itself in its cache; computed in fp32.

    Args:
        path: its file.
        threads: None for one a core.

    Raises:
        VAAError: it is no such file.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.card = ModelCard.from_json(metadata[METADATA])
        except Exception as error:  # its exceptions have no base of their own
            raise VAAError(
                f"{path} is not a model that vaa export made ({one_line(error, 120)})"
            ) from error
        self._input = self._session.get_inputs()[0].name
        self.name = "onnx on cpu, fp32"

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities `[n x c]` of images `[n x 3 x h x w]`."""
        found: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        return found
