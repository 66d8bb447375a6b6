"""Names of backbones, and weights from torch's cache, from files, and from nowhere."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.backbones import make_backbone
from vaa_cli.core.models.names import backbone_name
from vaa_cli.core.models.weights import load_weights


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch cache, from which torchvision's weights are looked for."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def cached_file(cache: Path, name: str) -> Path:
    return cache / Path(get_model_weights(name).DEFAULT.url).name


def test_short_names_are_the_papers_backbones() -> None:
    assert backbone_name("densenet") == "densenet201"
    assert backbone_name("resnet") == "resnet101"
    assert backbone_name("ResNet50") == "resnet50"


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("resnet102", "resnet101"), ("densnet", "densenet"), ("rsnet18", "resnet18")],
)
def test_unknown_names_suggest_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(VAAError, match=meant):
        backbone_name(typo)


def test_names_near_to_nothing_list_the_choice() -> None:
    with pytest.raises(VAAError, match="resnet18, resnet34"):
        backbone_name("zzzzzz")


@pytest.mark.parametrize("name", ["resnet18", "densenet121"])
def test_imagenet_weights_come_from_the_cache(cache: Path, name: str) -> None:
    torch.manual_seed(1)
    state = get_model(name, weights=None).state_dict()
    torch.save(state, cached_file(cache, name))
    loaded = load_weights("imagenet", name)
    assert loaded is not None
    backbone = make_backbone(name, loaded)
    first = next(backbone.parameters())
    torch.testing.assert_close(first, next(iter(state.values())))


def test_a_version_of_the_weights_is_named(cache: Path) -> None:
    states = {}
    for seed, entry in enumerate(get_model_weights("resnet50")):
        torch.manual_seed(seed)
        states[entry.name] = get_model("resnet50", weights=None).state_dict()
        torch.save(states[entry.name], cache / Path(entry.url).name)
    assert list(states) == ["IMAGENET1K_V1", "IMAGENET1K_V2"]
    for weights, name in (
        ("imagenet1k_v1", "IMAGENET1K_V1"),
        ("imagenet1k_v2", "IMAGENET1K_V2"),
        ("imagenet", "IMAGENET1K_V2"),
    ):
        loaded = load_weights(weights, "resnet50")
        assert loaded is not None
        assert torch.equal(loaded["conv1.weight"], states[name]["conv1.weight"])
    with pytest.raises(
        VAAError, match="resnet18 has no weights imagenet1k_v2; it has imagenet1k_v1"
    ):
        load_weights("imagenet1k_v2", "resnet18")
    with pytest.raises(VAAError, match=r"backbone=convnext_atto\.TAG"):
        load_weights("imagenet1k_v1", "convnext_atto")


def test_densenets_old_names_are_understood(cache: Path) -> None:
    """torchvision's DenseNet files say norm.1 where the module says norm1."""
    state = get_model("densenet121", weights=None).state_dict()
    old = {
        key.replace("norm1", "norm.1").replace("conv2", "conv.2") if "denselayer" in key else key: v
        for key, v in state.items()
    }
    assert old.keys() != state.keys()
    torch.save(old, cached_file(cache, "densenet121"))
    assert load_weights("imagenet", "densenet121").keys() == state.keys()  # type: ignore[union-attr]


def test_a_broken_file_in_the_cache_is_named(cache: Path) -> None:
    cached_file(cache, "resnet18").write_bytes(b"no weights at all")
    with pytest.raises(VAAError, match=r"resnet18-.*broken.*delete"):
        load_weights("imagenet", "resnet18")


def test_pickled_code_in_the_cache_is_not_run(cache: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str, ...]]:
            return exec, (f"open({str(tmp_path / 'sprung')!r}, 'w')",)

    torch.save({"conv1.weight": Trap()}, cached_file(cache, "resnet18"))
    with pytest.raises(VAAError):
        load_weights("imagenet", "resnet18")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_files(tmp_path: Path, suffix: str) -> None:
    state = get_model("resnet18", weights=None).state_dict()
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, path)
    else:
        save_file(state, path)
    loaded = load_weights(str(path), "resnet18")
    assert loaded is not None
    assert loaded.keys() == state.keys()


def test_no_weights_are_none() -> None:
    assert load_weights("none", "resnet18") is None


def test_another_networks_weights_are_refused() -> None:
    with pytest.raises(VAAError, match="not resnet34's"):
        make_backbone("resnet34", get_model("resnet18", weights=None).state_dict())


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 not a zip"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_hold_no_weights_are_refused(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(VAAError, match="not a file of weights"):
        load_weights(str(path), "resnet18")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VAAError, match=r"gone\.pth"):
        load_weights(str(tmp_path / "gone.pth"), "resnet18")
