"""OpenVINO without what a prediction does not need: its converter, and its telemetry."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_CONVERTER, _TELEMETRY = "openvino.tools.ovc", "openvino_telemetry"


def openvino_runtime() -> Any:
    """The module `openvino`.

    Its converter is left out unless it is loaded already: it takes a third of a second, and fails
    for users without a home folder.
    """
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    with _left_out(_CONVERTER):
        import openvino
    return openvino


def openvino_converter() -> Callable[..., Any]:
    """OpenVINO's `convert_model`, which does not report to Intel what is done here."""
    openvino_runtime()
    with _left_out(_TELEMETRY):
        from openvino.tools.ovc import convert_model
    return convert_model  # type: ignore[no-any-return]


@contextmanager
def _left_out(module: str) -> Iterator[None]:
    """Let a module that is not loaded yet be missing; OpenVINO goes on without these."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
