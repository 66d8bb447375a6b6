"""timm's networks as backbones: stages, weights, and what becomes of their layers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from vaa_cli.core.engines.graph import inference_graph
from vaa_cli.core.engines.torch_engine import TorchEngine
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.backbones import feature_shapes, make_backbone, normalisation
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.model_file import load_model, new_model, save_model
from vaa_cli.core.models.names import backbone_name
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.models.weights import load_weights

CONVNEXT, EFFICIENTNET = "convnext_atto", "tf_efficientnet_lite0"
SWIN = "swin_tiny_patch4_window7_224"
KINDS = (CONVNEXT, EFFICIENTNET, pytest.param(SWIN, marks=pytest.mark.slow))
SIZE = (64, 96)


def card(backbone: str) -> ModelCard:
    mean, std = normalisation(backbone)
    return ModelCard(
        backbone=backbone, attributes=("hat", "bag"), thresholds=(0.5,) * 2, priors=(0.1,) * 2,
        image_size=SIZE, mean=mean, std=std, stages=(3, 4), classifier="pooled", hidden=8,
        data="none", epoch=1, validation={},
    )  # fmt: skip


def images(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", KINDS)
def test_four_stages_of_channels_height_and_width(name: str) -> None:
    backbone = make_backbone(name, image_size=SIZE).eval()
    features = backbone(images())
    strides = (4, 8, 16, 32)
    sizes = [(SIZE[0] // stride, SIZE[1] // stride) for stride in strides]
    assert [tuple(stage.shape[2:]) for stage in features] == sizes
    network: Any = timm.create_model(name, features_only=True)
    channels = network.feature_info.channels()[-4:]
    assert [stage.shape[1] for stage in features] == channels
    assert feature_shapes(name, SIZE) == [
        (count, *size) for count, size in zip(channels, sizes, strict=True)
    ]


def test_features_are_timms(tmp_path: Path) -> None:
    """Of the whole network's own method, with the weights of a file under timm's names."""
    torch.manual_seed(0)
    for name in (CONVNEXT, EFFICIENTNET):
        whole: Any = timm.create_model(name).eval()
        for module in whole.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        path = tmp_path / f"{name}.safetensors"
        save_file(whole.state_dict(), path)
        state = load_weights(str(path), name)
        found = make_backbone(name, state, image_size=SIZE).eval()(images())
        expected = whole.forward_intermediates(images(), intermediates_only=True)[-4:]
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_features_of_swin_are_turned() -> None:
    """Its own come as height, width, channels."""
    whole: Any = timm.create_model(SWIN, img_size=SIZE).eval()
    found = make_backbone(SWIN, whole.state_dict(), image_size=SIZE).eval()(images())
    expected = whole.forward_intermediates(images(), intermediates_only=True)  # turned by timm
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_all_weights_are_trained(name: str) -> None:
    """Else processes that train together would wait for gradients that never come."""
    model = new_model(card(name)).train()
    output = model(images(4))
    (output.primary.sum() + sum(logits.sum() for logits in output.attention)).backward()
    idle = [key for key, value in model.named_parameters() if value.grad is None]
    assert idle == []


@pytest.mark.parametrize("name", KINDS)
def test_the_graph_and_the_file_compute_what_the_model_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = new_model(card(name)).eval()
    path = tmp_path / "best.safetensors"
    save_model(path, model, card(name))
    read, _ = load_model(path)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, *SIZE), dtype=np.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in normalisation(name))
    with torch.no_grad():
        expected = model((torch.from_numpy(pixels) / 255 - mean) / std).logits.sigmoid().numpy()
    engine = TorchEngine(read, card(name), Compute.choose("cpu", "fp32"))
    assert engine.probabilities(pixels) == pytest.approx(expected, abs=1e-5)


def test_joined_norms_and_activations_are_folded_and_synchronised() -> None:
    model = new_model(card(EFFICIENTNET))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) > 40 and {type(norm) for norm in norms} == {nn.BatchNorm2d}
    graph = inference_graph(model.eval(), card(EFFICIENTNET))
    called = {node.target for node in graph.graph.nodes if node.op == "call_module"}
    left = [n for n, m in graph.named_modules() if isinstance(m, nn.BatchNorm2d) and n in called]
    assert left == []


def test_only_networks_without_a_last_normalisation_get_one() -> None:
    assert list(new_model(card(CONVNEXT)).norms) == ["3", "4"]
    assert list(new_model(replace(card(CONVNEXT), stages=(2,))).norms) == ["2", "4"]
    assert list(new_model(card(EFFICIENTNET)).norms) == []
    norm: Any = new_model(card(CONVNEXT)).norms["4"]
    features = 5 + 3 * torch.randn(2, norm.normalized_shape[0], 2, 3)
    normalised = norm(features)
    assert normalised.shape == features.shape
    torch.testing.assert_close(normalised.mean(dim=1), torch.zeros(2, 2, 3), rtol=0, atol=1e-5)


def test_images_are_normalised_as_timm_has_it() -> None:
    assert normalisation(EFFICIENTNET) == ((0.5,) * 3, (0.5,) * 3)
    assert normalisation(CONVNEXT) == normalisation("resnet18")


def test_names_with_a_tag_and_typos() -> None:
    assert backbone_name("resnet18.a1_in1k") == "resnet18.a1_in1k"
    assert backbone_name("ConvNeXt_Tiny") == "convnext_tiny"
    with pytest.raises(VAAError, match="did you mean convnext_tiny"):
        backbone_name("convnex_tiny")
    with pytest.raises(VAAError, match=r"did you mean .*resnet18\.a1_in1k"):
        backbone_name("resnet18.a1_in1")
    for elsewhere in ("hf-hub:someone/model", "local-dir:/tmp/x", "../x"):
        with pytest.raises(VAAError, match="unknown backbone"):
            backbone_name(elsewhere)


@pytest.mark.parametrize(
    ("name", "size", "stride", "message"),
    [
        ("vit_tiny_patch16_224", SIZE, 32, "16, 16, 16, 16 pixels a cell; .* four stages"),
        ("levit_128", (224, 224), 32, "does not give the features of four stages"),
        ("efficientformer_l1", (256, 192), 32, "cannot take 256x192 images"),
        ("hrnet_w18_small", (64, 64), 16, "cannot have an output stride of 16"),
    ],
)
def test_networks_that_do_not_fit(
    name: str, size: tuple[int, int], stride: int, message: str
) -> None:
    with pytest.raises(VAAError, match=message) as caught:
        VAA(name, 2, size, output_stride=stride)
    assert "\n" not in str(caught.value)


def test_another_networks_weights_are_refused() -> None:
    state = timm.create_model("convnext_atto").state_dict()
    for name in ("convnext_femto", EFFICIENTNET, "efficientnet_b0"):
        with pytest.raises(VAAError, match=f"the weights are not {name}'s"):
            make_backbone(name, state)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the Hugging Face hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    yield tmp_path


def test_imagenet_weights_come_from_the_hubs_cache(hub: Path) -> None:
    state = timm.create_model(CONVNEXT).state_dict()
    repository = hub / "models--timm--convnext_atto.d2_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("abc")
    (repository / "snapshots/abc").mkdir(parents=True)
    save_file(state, repository / "snapshots/abc/model.safetensors")
    loaded = load_weights("imagenet", CONVNEXT)
    assert loaded is not None and loaded.keys() == state.keys()


def test_without_network_there_is_a_line(hub: Path) -> None:
    with pytest.raises(VAAError, match=r"cannot download .*convnext_atto.*weights=FILE") as caught:
        load_weights("imagenet", CONVNEXT)
    assert "\n" not in str(caught.value)
