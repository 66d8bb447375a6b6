"""What computes a model: the interface, and which of those that are installed suits best."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from vaa_cli.core.engines.base import ENGINES, PRECISIONS, Engine, EngineChoice
from vaa_cli.core.engines.formats import format_of
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard, read_card

_EXTRAS = {"openvino": ("openvino",), "onnx": ("onnx", "onnxruntime", "onnxscript")}


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
        from vaa_cli.core.engines.cache import converted_model

        return _engine(converted_model(path, name, on_convert), name, choice)
    from vaa_cli.core.engines.torch_engine import TorchEngine

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
        from vaa_cli.core.engines.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(path, choice.precision, choice.threads)
    from vaa_cli.core.engines.onnx_engine import ONNXEngine

    return ONNXEngine(path, choice.threads)
