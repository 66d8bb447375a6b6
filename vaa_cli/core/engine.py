"""What computes a model: the interface, and which of those that are installed suits best."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.choices import PrecisionName
from vaa_cli.core.errors import VAAError
from vaa_cli.core.export_formats import format_of
from vaa_cli.core.model_card import ModelCard, read_card

ENGINES = ("auto", "torch", "compile", "openvino", "onnx")
PRECISIONS = (*get_args(PrecisionName), "int8")

_EXTRAS = {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime", "onnxscript")}


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
        if self.local_size == 1:
            return None
        return max(1, (os.cpu_count() or 1) // self.local_size)


def open_engine(
    path: Path, choice: EngineChoice, on_convert: Callable[[str], None] = lambda _: None
) -> Engine:
    """Read a model file and make it ready to compute.

    On a CPU, `auto` takes OpenVINO where it is installed, which is the fastest; on a GPU torch.
    A model of vaa's own kind is converted the first time that OpenVINO or ONNX Runtime computes
    it, and kept so in the user's cache folder.

    Args:
        path: a model file of vaa (.safetensors), or one that `vaa export` made (.onnx, .xml).
        choice: how.
        on_convert: called with the engine's name before a model is converted for it.

    Raises:
        VAAError: it is no such file, or the choice is not possible here.
    """
    if choice.engine not in ENGINES:
        raise VAAError(f"unknown engine {choice.engine!r}; use {', '.join(ENGINES)}")
    if choice.precision not in PRECISIONS:
        raise VAAError(f"unknown precision {choice.precision!r}; use {', '.join(PRECISIONS)}")
    exported = format_of(path)
    if exported == "torch":
        raise VAAError(
            f"{path}: PyTorch unpickles parts of such a file, which vaa does not do; predict with "
            "the run that it was exported from, or with an ONNX or OpenVINO export of it"
        )
    if exported is not None:
        return _exported(path, exported, choice)
    if choice.precision == "int8":
        raise VAAError(
            "int8 needs pictures to be calibrated with: vaa export --to openvino --precision int8 "
            "--calibrate PICTURES, then predict with --run FILE.xml"
        )
    read_card(path)  # what is no model is told before torch is loaded
    name = choice.engine if choice.engine != "auto" else _best_engine(choice)
    if name in _EXTRAS:
        _require(name)
        _check_precision(name, choice.precision)
        if choice.device not in ("auto", "cpu"):
            raise VAAError(f"{name} computes on the CPU here, not on {choice.device!r}; use torch")
        from vaa_cli.core.engine_cache import converted_model

        return _engine(converted_model(path, name, on_convert), name, choice)
    from vaa_cli.core.torch_engine import TorchEngine

    return TorchEngine.open(path, choice)


def read_any_card(path: Path) -> ModelCard:
    """What a model file says of its model, be it vaa's own or an export.

    Raises:
        VAAError: it cannot be read, or needs a package that is not installed.
    """
    if format_of(path) in _EXTRAS:
        return open_engine(path, EngineChoice()).card
    return read_card(path)


def installed(engine: str) -> bool:
    """Whether an engine's packages are here."""
    return all(find_spec(package) is not None for package in _EXTRAS.get(engine, ()))


def _require(engine: str) -> None:
    missing = [package for package in _EXTRAS[engine] if find_spec(package) is None]
    if missing:
        raise VAAError(
            f"{engine} needs {', '.join(missing)}: pip install 'vaa-cli[{engine}]', "
            "or use --engine torch"
        )


def _check_precision(name: str, precision: str) -> None:
    """What no processor computes is told before a model is converted; OpenVINO tells the rest."""
    if name == "onnx" and precision not in ("auto", "fp32"):
        raise VAAError(f"ONNX Runtime computes in fp32 here, not in {precision}")


def _best_engine(choice: EngineChoice) -> str:
    """The fastest here: see README for figures."""
    if choice.device not in ("auto", "cpu") or choice.precision == "fp16":
        return "torch"
    if installed("openvino") and not (choice.device == "auto" and _has_gpu()):
        return "openvino"
    return "torch"


def _has_gpu() -> bool:
    """Whether torch would find a GPU; without loading torch where there is none for sure."""
    if os.name == "posix" and os.uname().sysname == "Linux":
        # The driver's control device, AMD's, or WSL's.
        devices = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
        if not any(os.path.exists(device) for device in devices):
            return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _exported(path: Path, kind: str, choice: EngineChoice) -> Engine:
    if choice.engine not in ("auto", kind):
        raise VAAError(f"{path} is a file for {kind}; leave out --engine {choice.engine}")
    _require_runtime(kind)
    if choice.device not in ("auto", "cpu"):
        raise VAAError(f"{path} is computed on the CPU, not on {choice.device!r}")
    _check_precision(kind, choice.precision)
    return _engine(path, kind, choice)


def _require_runtime(kind: str) -> None:
    runtime = {"openvino": "openvino", "onnx": "onnxruntime"}[kind]
    if find_spec(runtime) is None:
        raise VAAError(f"{kind} needs {runtime}: pip install 'vaa-cli[{kind}]'")


def _engine(path: Path, kind: str, choice: EngineChoice) -> Engine:
    if kind == "openvino":
        from vaa_cli.core.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(path, choice.precision, choice.threads)
    from vaa_cli.core.onnx_engine import ONNXEngine

    return ONNXEngine(path, choice.threads)
