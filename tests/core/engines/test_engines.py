"""One graph of a model, and the engines that compute it."""

import copy
import logging
import os
import time
import unittest.mock
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests.helpers.model_cards import make_card
from vaa_cli.core.engines import cache as engine_cache
from vaa_cli.core.engines import formats
from vaa_cli.core.engines import open as engine_module
from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.convert import write_openvino
from vaa_cli.core.engines.export import export_model
from vaa_cli.core.engines.formats import FORMATS
from vaa_cli.core.engines.graph import inference_graph
from vaa_cli.core.engines.open import open_engine
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import new_model, save_model
from vaa_cli.core.models.names import ClassifierName
from vaa_cli.core.models.vaa import VAA

CARD = make_card(
    ("hat", "bag", "Straße"),
    thresholds=(0.5, 0.25, 0.75),
    priors=(0.5, 0.1, None),
    classifier="spatial",
    hidden=16,
    data="prepared",
)
REAL_TO_JSON = ModelCard.to_json
RUNTIMES = {"torch": "torch", "openvino": "openvino", "onnx": "onnxruntime"}


def trained(card: ModelCard) -> VAA:
    """A model whose batch normalisations have something to fold."""
    torch.manual_seed(0)
    model = new_model(card)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.3)
    return model.eval()


def pixels(card: ModelCard, count: int = 5) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (count, 3, *card.image_size), dtype=np.uint8)


@torch.no_grad()
def expected(model: VAA, card: ModelCard, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The probabilities, with the normalisation written out as it is meant."""
    shares = torch.from_numpy(images).double() / 255
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (card.mean, card.std))
    logits = model(((shares - mean) / std).float()).logits.double().numpy()
    probabilities: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return probabilities


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    save_model(path, trained(CARD), CARD)
    return path


# The graph


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backbone": "resnet50", "classifier": "pooled", "stages": (2, 3, 4)},
        {"backbone": "densenet121", "classifier": "spatial-full", "hidden": 8},
    ],
    ids=lambda changes: changes.get("backbone", "resnet18"),
)
def test_the_graph_computes_what_the_model_does(changes: dict[str, object]) -> None:
    card = replace(CARD, **changes)  # type: ignore[arg-type]
    model = trained(card)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = inference_graph(model, card)
    for count in (1, 4):
        images = pixels(card, count)
        found = graph(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(found, expected(model, card, images), atol=2e-5)
    norms = [module for module in graph.modules() if isinstance(module, nn.BatchNorm2d)]
    called = [node.target for node in graph.graph.nodes if node.op == "call_module"]
    used = [name for name, module in graph.named_modules() if module in norms and name in called]
    if card.backbone == "densenet121":
        # One before each of two convolutions of a layer, of which one can be folded; and others.
        assert len(used) < len([m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]) - 58
    elif card.classifier == "pooled":
        assert used == []
    else:  # behind the covering convolutions, which are no nn.Conv2d
        assert len(used) == len(card.stages)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


# Engines


@pytest.mark.parametrize(
    "name",
    [  # The commands' tests compare OpenVINO with torch, and ONNX is exported and read below.
        "torch",
        pytest.param("openvino", marks=pytest.mark.slow),
        pytest.param("onnx", marks=pytest.mark.slow),
    ],
)
def test_engines_compute_what_the_model_does(model_file: Path, name: str) -> None:
    pytest.importorskip(RUNTIMES[name])
    engine = open_engine(model_file, EngineOptions(name, "fp32", "cpu"))
    assert engine.card == CARD
    assert name in engine.name and "fp32" in engine.name
    for count in (3, 1, 5):
        images = pixels(CARD, count)
        found = engine.probabilities(images)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected(trained(CARD), CARD, images), atol=2e-5)


def test_auto_takes_the_fastest_that_is_installed(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_has_gpu", lambda: False)
    pytest.importorskip("openvino")
    assert engine_module._fastest_engine(EngineOptions()) == "openvino"
    monkeypatch.setattr(formats, "find_spec", lambda _: None)
    assert open_engine(model_file, EngineOptions(device="cpu")).name.startswith("torch on cpu")
    with pytest.raises(VAAError, match=r"openvino needs openvino: pip install openvino"):
        open_engine(model_file, EngineOptions("openvino"))


def test_on_a_gpu_it_is_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_has_gpu", lambda: True)
    assert engine_module._fastest_engine(EngineOptions()) == "torch"
    assert engine_module._fastest_engine(EngineOptions(device="cuda:1")) == "torch"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (EngineOptions("tensorrt"), "unknown engine 'tensorrt'"),
        (EngineOptions(precision="fp8"), "unknown precision 'fp8'"),
        (EngineOptions(precision="int8"), "vaa export"),
        (EngineOptions("openvino", device="cuda"), "not on 'cuda'"),
        (EngineOptions("onnx", "bf16"), "not in bf16"),
        (EngineOptions("torch", "fp16", "cpu"), "fp16"),
    ],
    ids=str,
)
def test_what_cannot_be_chosen(model_file: Path, choice: EngineOptions, message: str) -> None:
    if choice.engine in ("openvino", "onnx"):
        pytest.importorskip(RUNTIMES[choice.engine])
    with pytest.raises(VAAError, match=message):
        open_engine(model_file, choice)


@pytest.mark.parametrize("name", ["a.xml", "a.onnx", "a.safetensors"])
def test_files_that_are_no_models(tmp_path: Path, name: str) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnxruntime")
    (tmp_path / name).write_bytes(b"garbage")
    (tmp_path / "a.bin").touch()
    with pytest.raises(VAAError, match="is not a model"):
        open_engine(tmp_path / name, EngineOptions("torch" if "safe" in name else "auto"))


def test_an_openvino_file_without_its_weights(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "a.xml").write_bytes(b"<net/>")
    with pytest.raises(VAAError, match=r"a\.xml has no a\.bin beside it"):
        open_engine(tmp_path / "a.xml")


@pytest.mark.parametrize("suffix", [".xml", ".onnx"])
@pytest.mark.parametrize("change", ["attributes", "image_size"])
def test_an_export_that_computes_what_its_card_does_not_promise(
    tmp_path: Path, suffix: str, change: str
) -> None:
    pytest.importorskip(RUNTIMES[{".xml": "openvino", ".onnx": "onnx"}[suffix]])
    other = {
        "attributes": replace(CARD, attributes=("hat",), thresholds=(0.5,), priors=(None,)),
        "image_size": replace(CARD, image_size=(32, 32)),
    }[change]
    format = formats.format_of(Path(f"a{suffix}"))
    assert format is not None
    with unittest.mock.patch.object(ModelCard, "to_json", lambda _: REAL_TO_JSON(other)):
        format.write(tmp_path / f"a{suffix}", trained(CARD), CARD)
    with pytest.raises(VAAError, match="its card promises"):
        open_engine(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("classifier", get_args(ClassifierName))
def test_openvino_computes_several_images_of_every_classifier(
    classifier: ClassifierName, tmp_path: Path
) -> None:
    """OpenVINO 2026.4 had the pooled one wrong, but for a single image."""
    card = replace(CARD, classifier=classifier, hidden=8)
    model = trained(card)
    with torch.no_grad():
        for value in model.classifiers.parameters():
            value.normal_(0, 0.5)
    write_openvino(tmp_path / "model.xml", model, card)
    engine = FORMATS["openvino"].open(tmp_path / "model.xml", "fp32", None)  # type: ignore[misc]
    images = pixels(card, 3)
    np.testing.assert_allclose(
        engine.probabilities(images), expected(model, card, images), atol=1e-4
    )


def test_a_conversion_that_computes_something_else_is_refused(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path))

    def write(path: Path, model: VAA, card: ModelCard) -> None:
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.primary.bias.add_(1)
        write_openvino(path, other, card)

    wrong = replace(FORMATS["openvino"], write=write)
    with (
        pytest.raises(VAAError, match=r"differs from the original by up to 0\.\d+.*engine=torch"),
        engine_cache.converted_model(model_file, wrong),
    ):
        pass
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


@pytest.mark.slow
def test_a_compiled_model_computes_the_same_and_is_kept(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    options = EngineOptions(engine="compile", precision="fp32", device="cpu")
    images = pixels(CARD, 4)
    found = open_engine(model_file, options).probabilities(images)
    np.testing.assert_allclose(found, expected(trained(CARD), CARD, images), atol=2e-5)
    assert any(path.is_file() for path in (tmp_path / ".compiled").rglob("*"))


# The cache


def test_a_model_is_converted_once(
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "cache"))
    conversions = 0

    def convert(path: Path, file: Path, format: formats.ModelFormat) -> None:
        nonlocal conversions
        conversions += 1
        file.write_bytes(path.read_bytes())

    monkeypatch.setattr(engine_cache, "_convert", convert)
    openvino = formats.FORMATS["openvino"]
    with caplog.at_level(logging.INFO, "vaa_cli"):
        for _ in range(2):
            with engine_cache.converted_model(model_file, openvino) as kept:
                assert kept.read_bytes() == model_file.read_bytes()
    assert conversions == 1
    assert caplog.messages == ["converting the model for openvino, once …"]
    other = tmp_path / "other.safetensors"
    save_model(other, trained(replace(CARD, epoch=2)), replace(CARD, epoch=2))
    with engine_cache.converted_model(other, openvino) as another:
        assert another != kept
    assert conversions == 2


def test_a_digest_changes_with_the_weights_beside_an_xml_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "cache"))
    path, weights = tmp_path / "a.xml", tmp_path / "a.bin"
    path.write_bytes(b"<net/>")
    weights.write_bytes(b"1")
    before = engine_cache.model_digest(path)
    assert engine_cache.model_digest(path) == before  # kept, and the same
    weights.write_bytes(b"2")
    assert engine_cache.model_digest(path) != before


def test_of_old_ones_the_cache_keeps_a_few(tmp_path: Path) -> None:
    now = time.time()
    for i in range(12):
        (tmp_path / f"{i:02d}").mkdir()
        os.utime(tmp_path / f"{i:02d}", (now - i, now - i))
    engine_cache._remove_older(tmp_path, 8)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{i:02d}" for i in range(8)]


def test_a_prediction_goes_on_without_a_cache_that_cannot_be_written(
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(engine_cache, "process_folder", lambda: tmp_path)
    pixels = np.zeros((1, 3, *CARD.image_size), dtype=np.uint8)
    with caplog.at_level(logging.WARNING, "vaa_cli"):
        found = open_engine(model_file, EngineOptions("openvino")).probabilities(pixels)
    assert np.isfinite(found).all() and "VAA_CACHE=DIR" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_model_that_can_be_converted_nowhere(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(engine_cache, "process_folder", lambda: tmp_path / "file" / "folder")
    with pytest.raises(VAAError, match="VAA_CACHE=DIR, or use `engine=torch`"):
        open_engine(model_file, EngineOptions("openvino"))


# Exports


@pytest.mark.parametrize(
    ("kind", "name"),
    [("onnx", "m.onnx"), pytest.param("openvino", "m.xml", marks=pytest.mark.slow)],
)
def test_an_export_has_all_that_predicting_needs(
    model_file: Path, tmp_path: Path, kind: str, name: str
) -> None:
    pytest.importorskip(RUNTIMES[kind])
    parity = export_model(model_file, kind, tmp_path / "new" / name)
    assert parity.worst < 1e-5 and parity.agreeing == 1
    engine = open_engine(tmp_path / "new" / name, EngineOptions())
    assert engine.card == CARD
    images = pixels(CARD)
    found = engine.probabilities(images)
    np.testing.assert_allclose(found, expected(trained(CARD), CARD, images), atol=2e-5)
    kept = {"m.onnx"} if kind == "onnx" else {"m.xml", "m.bin"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == kept
    if kind == "openvino":
        with pytest.raises(VAAError, match="not quantised"):
            open_engine(tmp_path / "new" / name, EngineOptions(precision="int8"))
    other = {"onnx": "openvino", "openvino": "onnx"}[kind]
    with pytest.raises(VAAError, match="leave out `engine="):
        open_engine(tmp_path / "new" / name, EngineOptions(other))


@pytest.mark.slow
def test_a_torch_export_is_for_others(model_file: Path, tmp_path: Path) -> None:
    parity = export_model(model_file, "torch", tmp_path / "m.pt2")
    assert parity.worst < 1e-5
    extra = {"vaa.json": ""}
    program = torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert ModelCard.from_json(extra["vaa.json"]) == CARD
    images = pixels(CARD)
    found = program.module()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, expected(trained(CARD), CARD, images), atol=2e-5)
    with pytest.raises(VAAError, match="unpickles"):
        open_engine(tmp_path / "m.pt2", EngineOptions())


@pytest.mark.slow
def test_an_export_that_computes_something_else_is_not_written(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")

    def wrong(path: Path, model: VAA, card: ModelCard) -> None:
        write_openvino(path, trained(replace(CARD, hidden=8)), card)

    openvino = replace(formats.FORMATS["openvino"], write=wrong)
    monkeypatch.setitem(formats.FORMATS, "openvino", openvino)
    with pytest.raises(VAAError, match="differs from the original"):
        export_model(model_file, "openvino", tmp_path / "m.xml")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_int8(model_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    from PIL import Image

    for i, image in enumerate(pixels(CARD, 20)):
        Image.fromarray(image.transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    found = [ImageSource(str(path)) for path in sorted(tmp_path.glob("*.png"))]
    parity = export_model(model_file, "openvino", tmp_path / "m.xml", found)
    assert parity.pictures == 20
    assert 0 < parity.worst < 0.2 and parity.agreeing > 0.9
    engine = open_engine(tmp_path / "m.xml", EngineOptions(precision="int8"))
    assert "int8" in engine.name and engine.card == CARD
    with pytest.raises(VAAError, match="none of the pictures to calibrate with can be decoded"):
        export_model(model_file, "openvino", tmp_path / "m.xml", [ImageSource("nowhere.png")])
