"""The formats of models for other programs, and what writing them takes; nothing needs torch."""

from importlib.util import find_spec
from pathlib import Path

from vaa_cli.core.errors import VAAError

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
_PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("openvino",), "torch": ()}


def format_of(path: Path) -> str | None:
    """The format that a file's name tells; None if it tells none."""
    return {ending: kind for kind, ending in ENDINGS.items()}.get(path.suffix.lower())


def check_ending(path: Path, kind: str) -> None:
    """Make sure that a file of a format is called so, by which it is known later.

    Raises:
        VAAError: it is not.
    """
    if path.suffix != ENDINGS[kind]:
        raise VAAError(f"{path}: a file for {kind} ends in {ENDINGS[kind]}; name it so")


def require_exporter(kind: str, int8: bool) -> None:
    """Make sure that what an export needs is installed.

    Raises:
        VAAError: it is not.
    """
    missing = [package for package in _PACKAGES[kind] if find_spec(package) is None]
    if missing:
        raise VAAError(f"{kind} needs {', '.join(missing)}: pip install 'vaa-cli[{kind}]'")
    if int8 and find_spec("nncf") is None:
        raise VAAError("int8 needs nncf: pip install 'vaa-cli[int8]'")
