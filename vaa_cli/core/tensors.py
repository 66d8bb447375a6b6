"""Files of tensors, read without unpickling anything."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from vaa_cli.core.errors import VAAError


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
