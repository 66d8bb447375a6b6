"""Opening a model file with the engine that suits it best."""

import logging
import os
from pathlib import Path

from vaa_cli.core.engines.base import Engine, EngineOptions
from vaa_cli.core.engines.formats import FORMATS, ModelFormat, format_of
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import read_card
from vaa_cli.core.system.distributed import ProcessGroup

_LOGGER = logging.getLogger(__name__)


def open_engine(
    path: Path, options: EngineOptions | None = None, group: ProcessGroup | None = None
) -> Engine:
    """Read a model file and make it ready to compute.

    On a CPU, `auto` chooses OpenVINO where it is installed, which is the fastest; on a GPU PyTorch.
    A model of vaa's own format is converted the first time that OpenVINO or ONNX Runtime computes
    it; the converted model is kept in the user's cache folder.

    Args:
        path: a model file of vaa (.safetensors), or an export (.onnx, .xml).
        options: engine, precision and device; None for the defaults.
        group: the processes that share this machine; None for this one alone.

    Raises:
        VAAError: the file cannot be read, or the options are not possible on this machine.
    """
    options, group = options or EngineOptions(), group or ProcessGroup()
    options.check()
    exported = format_of(path)
    if exported is not None:
        return _open_export(path, exported, options, group)
    if options.precision == "int8":
        raise VAAError(
            "int8 needs pictures to be calibrated with: vaa export with `to=openvino`, "
            "`precision=int8` and `calibrate=PICTURES`, then predict with `run=FILE.xml`"
        )
    read_card(path)  # a file that is no model is refused before torch is loaded
    name = options.engine if options.engine != "auto" else _fastest_engine(options)
    if name in FORMATS and name != "torch":
        format = FORMATS[name]
        format.require(format.packages, ", or use `engine=torch`")
        _check_precision(name, options.precision)
        if options.device not in ("auto", "cpu"):
            raise VAAError(f"{name} computes on the CPU here, not on {options.device!r}; use torch")
        from vaa_cli.core.engines.cache import converted_model

        with converted_model(path, format) as converted:
            return _open(converted, format, options, group)
    from vaa_cli.core.engines.torch_engine import TorchEngine

    return TorchEngine.open(path, options, group.local_rank)


def _open_export(
    path: Path, format: ModelFormat, options: EngineOptions, group: ProcessGroup
) -> Engine:
    if format.open is None:
        raise VAAError(
            f"{path}: PyTorch unpickles parts of such a file, which vaa does not do; predict with "
            "the run that it was exported from, or with an ONNX or OpenVINO export of it"
        )
    if options.engine not in ("auto", format.name):
        raise VAAError(f"{path} is a file for {format.name}; leave out `engine={options.engine}`")
    format.require(format.runtime)
    if options.device not in ("auto", "cpu"):
        raise VAAError(f"{path} is computed on the CPU, not on {options.device!r}")
    _check_precision(format.name, options.precision)
    return _open(path, format, options, group)


def _open(path: Path, format: ModelFormat, options: EngineOptions, group: ProcessGroup) -> Engine:
    assert format.open is not None
    # An engine would use all cores, of which each process has its part.
    cores, processes = os.cpu_count() or 1, group.local_world_size
    threads = max(1, cores // processes) if processes > 1 else None
    return format.open(path, options.precision, threads)


def _check_precision(engine: str, precision: str) -> None:
    """Refuse what no processor computes before a model is converted; OpenVINO knows the rest."""
    if engine == "onnx" and precision not in ("auto", "fp32"):
        raise VAAError(f"ONNX Runtime computes in fp32 here, not in {precision}")


def _fastest_engine(options: EngineOptions) -> str:
    """The name of the fastest engine here; docs/benchmarks.md has the figures."""
    if options.device not in ("auto", "cpu") or options.precision == "fp16":
        return "torch"
    has_gpu = options.device == "auto" and _has_gpu()
    if has_gpu:
        return "torch"
    if FORMATS["openvino"].is_installed:
        return "openvino"
    _LOGGER.info(
        "OpenVINO is not installed; with it (pip install openvino) a CPU predicts 1.4 to 3 times "
        "as fast"
    )
    return "torch"


def _has_gpu() -> bool:
    """Whether torch would find a GPU; loads torch only where there may be one."""
    if os.name == "posix" and os.uname().sysname == "Linux":
        # The control device of NVIDIA's driver, of AMD's, and of WSL.
        devices = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
        if not any(os.path.exists(device) for device in devices):
            return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()
