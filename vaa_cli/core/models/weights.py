"""Files of tensors, read without unpickling anything."""

import re
import socket
import urllib.error
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models import get_model_weights

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.hub import hub_file
from vaa_cli.core.models.names import BACKBONES, NAMED_WEIGHTS


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a .safetensors file or one that `torch.save` wrote.

    Raises:
        VAAError: there is no such file, or it holds anything but named tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # the restricted unpickler meets broken files with any error
        raise VAAError(f"{path} is not a file of weights (a state dict of tensors)") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise VAAError(f"{path} is not a file of weights (a state dict of tensors)")
    return state


_DOWNLOAD_TIMEOUT = 20  # seconds without a byte


def load_weights(weights: str, name: str) -> dict[str, Tensor] | None:
    """The weights that training starts from.

    Args:
        weights: `imagenet` for torchvision's newest or timm's, `imagenet1k_v1` or `imagenet1k_v2`
            for one of torchvision's versions, `none` for a random start, or a file: a state dict of
            torchvision's or timm's network (.pth or .safetensors).
        name: the backbone.

    Returns:
        A state dict under torchvision's or timm's names, or None for `none`.

    Raises:
        VAAError: there is no such file, it is none, or the ImageNet weights are neither in the
            cache nor to be had from the network.
    """
    if weights == "none":
        return None
    is_named = weights in NAMED_WEIGHTS
    state = _imagenet_weights(name, weights) if is_named else read_tensors(Path(weights))
    if name not in BACKBONES:
        return state
    # torchvision's DenseNet files keep names from before modules could not have a dot in theirs.
    old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
    return {old.sub(r"\1\2.", key.removeprefix("module.")): value for key, value in state.items()}


def _imagenet_weights(name: str, version: str) -> dict[str, Tensor]:
    if name in BACKBONES:
        return _torchvision_weights(name, version)
    if version != "imagenet":
        raise VAAError(
            f"{version} is of torchvision's networks; the weights of timm's are named with the "
            f"backbone, such as `backbone={name}.TAG`"
        )
    from vaa_cli.core.models.timm_backbones import weights_address

    repository, file = weights_address(name)
    return read_tensors(hub_file(repository, file))


def _torchvision_weights(name: str, version: str) -> dict[str, Tensor]:
    versions = get_model_weights(name)
    entry = versions.DEFAULT
    if version != "imagenet":
        known = {one.name.lower(): one for one in versions}
        if version not in known:
            raise VAAError(f"{name} has no weights {version}; it has {', '.join(known)}")
        entry = known[version]
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        state: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            entry.url, map_location="cpu", progress=False, check_hash=True, weights_only=True
        )
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
        reason = getattr(error, "reason", error)
        raise VAAError(
            f"cannot download the ImageNet weights of {name} ({reason}): put the file "
            f"{entry.url} at {cache}, or give a file with `weights=FILE`, or start from "
            "scratch with `weights=none`"
        ) from error
    except OSError as error:
        raise VAAError(f"cannot keep the ImageNet weights of {name}: {error}") from error
    except Exception as error:
        cache = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
        raise VAAError(
            f"the ImageNet weights at {cache} are broken ({type(error).__name__}); delete the file"
        ) from error
    finally:
        socket.setdefaulttimeout(timeout)
    return state
