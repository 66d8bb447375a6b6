"""The formats of model files beside vaa's own: one table of suffixes, packages, readers, writers.

Nothing here needs torch; each function imports what it needs when it is called.
"""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.core.engines.base import Engine
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import METADATA, ModelCard, read_card
from vaa_cli.core.system.output_files import require_output

if TYPE_CHECKING:
    from vaa_cli.core.models.vaa import VAA


@dataclass(frozen=True)
class ModelFormat:
    """A format that `vaa export` writes.

    Attributes:
        name: name of the format, of the extra that installs its packages, and of the engine that
            computes it.
        suffix: suffix of its files, by which they are known.
        runtime: packages that computing a model needs.
        packages: packages that converting a model and computing it need.
        write: writes a model; takes the path, the model in evaluation mode, and its card.
        read_card: reads the card of a file without opening an engine; None for a format that vaa
            writes and does not read.
        open: opens a file as an engine; takes the path, the precision, and the number of threads
            or None for one a core. None as for `read_card`.
    """

    name: str
    suffix: str
    runtime: tuple[str, ...]
    packages: tuple[str, ...]
    write: Callable[[Path, "VAA", ModelCard], None]
    read_card: Callable[[Path], ModelCard] | None = None
    open: Callable[[Path, str, int | None], Engine] | None = None

    @property
    def is_installed(self) -> bool:
        """Whether the packages that convert and compute a model are installed."""
        return not _missing(self.packages)

    def require(self, packages: tuple[str, ...], otherwise: str = "") -> None:
        """Check that packages are installed.

        Args:
            packages: `runtime` or `packages` of this format.
            otherwise: advice beside installing them.

        Raises:
            VAAError: one of them is not installed.
        """
        missing = _missing(packages)
        if missing:
            install = f"pip install {' '.join(missing)}"
            raise VAAError(f"{self.name} needs {', '.join(missing)}: {install}{otherwise}")


def _missing(packages: tuple[str, ...]) -> list[str]:
    return [package for package in packages if find_spec(package) is None]


def _write_onnx(path: Path, model: "VAA", card: ModelCard) -> None:
    from vaa_cli.core.engines.convert import write_onnx

    write_onnx(path, model, card)


def _read_onnx_card(path: Path) -> ModelCard:
    from vaa_cli.core.engines.onnx_engine import read_onnx_card

    return read_onnx_card(path)


def _open_onnx(path: Path, precision: str, threads: int | None) -> Engine:
    from vaa_cli.core.engines.onnx_engine import ONNXEngine

    return ONNXEngine(path, precision, threads)


def _write_openvino(path: Path, model: "VAA", card: ModelCard) -> None:
    from vaa_cli.core.engines.convert import write_openvino

    write_openvino(path, model, card)


def _read_openvino_card(path: Path) -> ModelCard:
    from vaa_cli.core.engines.openvino_engine import read_openvino_card

    return read_openvino_card(path)


def _open_openvino(path: Path, precision: str, threads: int | None) -> Engine:
    from vaa_cli.core.engines.openvino_engine import OpenVINOEngine

    return OpenVINOEngine(path, precision, threads)


def _write_torch(path: Path, model: "VAA", card: ModelCard) -> None:
    from vaa_cli.core.engines.convert import write_torch

    write_torch(path, model, card)


FORMATS = {
    format.name: format
    for format in (
        ModelFormat(
            "onnx",
            ".onnx",
            runtime=("onnxruntime",),
            packages=("onnx", "onnxscript", "onnxruntime"),
            write=_write_onnx,
            read_card=_read_onnx_card,
            open=_open_onnx,
        ),
        ModelFormat(
            "openvino",
            ".xml",
            runtime=("openvino",),
            packages=("openvino",),
            write=_write_openvino,
            read_card=_read_openvino_card,
            open=_open_openvino,
        ),
        ModelFormat("torch", ".pt2", runtime=(), packages=(), write=_write_torch),
    )
}


def format_of(path: Path) -> ModelFormat | None:
    """The format of a model file by its suffix; None for vaa's own, and for other files."""
    by_suffix = {format.suffix: format for format in FORMATS.values()}
    return by_suffix.get(path.suffix.lower())


def is_export(format: ModelFormat, path: Path) -> bool:
    """Whether a file is an export of vaa in a format."""
    if format.read_card is None:  # a torch.export program, which is a zip archive
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(f"/{METADATA}.json") for name in archive.namelist())
        except (OSError, zipfile.BadZipFile):
            return False
    try:
        format.read_card(path)
    except VAAError:
        return False
    return True


def require_export_target(path: Path, format: ModelFormat) -> None:
    """Check that an export may be written: only an earlier one is replaced.

    Raises:
        VAAError: something else has the name, or that of the weights beside an .xml file.
    """
    beside = path.with_suffix(".bin") if format.suffix == ".xml" else None
    if path.exists():
        kind = f"an export of vaa for {format.name}"
        require_output(path, kind, lambda start: is_export(format, path))
    elif beside is not None and beside.exists():
        raise VAAError(f"{beside} is there without {path.name}, so it stays; name another file")


def require_exporter(format: ModelFormat, int8: bool) -> None:
    """Check that the packages that an export needs are installed.

    Raises:
        VAAError: one of them is not installed.
    """
    format.require(format.packages)
    if int8 and _missing(("nncf",)):
        raise VAAError("int8 needs nncf: pip install nncf")


def read_any_card(path: Path) -> ModelCard:
    """Read the card of a model file, whether it is vaa's own or an export; opens no engine.

    Raises:
        VAAError: the file cannot be read, or a package that reads it is not installed.
    """
    format = format_of(path)
    if format is None or format.read_card is None:
        return read_card(path)
    format.require(format.runtime)
    return format.read_card(path)
