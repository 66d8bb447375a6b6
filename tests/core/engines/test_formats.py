"""The table of model formats."""

from pathlib import Path

import pytest

from vaa_cli.core.engines import formats
from vaa_cli.core.engines.base import ENGINES, EngineOptions
from vaa_cli.core.errors import VAAError


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.onnx", "onnx"), ("A.ONNX", "onnx"), ("a.xml", "openvino"), ("a.pt2", "torch"),
        ("a.safetensors", None), ("a", None), ("onnx", None),
    ],
)  # fmt: skip
def test_a_suffix_is_a_format(name: str, format: str | None) -> None:
    found = formats.format_of(Path("folder") / name)
    assert (found.name if found else None) == format


def test_formats_that_are_opened_are_engines() -> None:
    for name, format in formats.FORMATS.items():
        assert format.name == name
        assert name in ENGINES
        assert (format.open is None) == (format.read_card is None) == (name == "torch")
        assert set(format.runtime) <= set(format.packages)


def test_a_missing_package_is_named_with_its_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda package: None if package == "onnx" else 1)
    onnx = formats.FORMATS["onnx"]
    assert not onnx.is_installed
    onnx.require(onnx.runtime)
    message = r"^onnx needs onnx: pip install onnx, or use torch$"
    with pytest.raises(VAAError, match=message):
        onnx.require(onnx.packages, ", or use torch")


def test_int8_needs_a_package_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda package: None if package == "nncf" else 1)
    formats.require_exporter(formats.FORMATS["openvino"], int8=False)
    with pytest.raises(VAAError, match=r"int8 needs nncf: pip install nncf"):
        formats.require_exporter(formats.FORMATS["openvino"], int8=True)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (EngineOptions(batch_size=0), "batch_size 0"),
        (EngineOptions(workers=-1), "workers -1"),
        (EngineOptions("cuda"), "unknown engine 'cuda'"),
        (EngineOptions(precision="half"), "unknown precision 'half'"),
    ],
)
def test_options_out_of_range(options: EngineOptions, part: str) -> None:
    with pytest.raises(VAAError, match=part):
        options.check()
