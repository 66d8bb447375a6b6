"""Applying a model, not training it, to images as they are decoded."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.vaa import VAA, VAAOutput


@torch.inference_mode()
def apply_model(model: VAA, card: ModelCard, compute: Compute, pixels: Tensor) -> VAAOutput:
    """What a model says of images.

    Args:
        model: on the device; it is left in evaluation mode.
        card: what the model needs to know of its images.
        compute: device and precision.
        pixels: uint8 `[n x 3 x h x w]`.
    """
    images = normalise(pixels.to(compute.device), card.mean, card.std)
    images = images.contiguous(memory_format=torch.channels_last)
    model.eval()
    with compute.autocast():
        output: VAAOutput = model(images)
    return output


def probabilities_of(logits: Tensor, card: ModelCard) -> Tensor:
    """The probabilities of aggregated logits `[n x c]`, with a calibrated model's temperatures."""
    temperatures = torch.tensor(card.temperatures or (1.0,), device=logits.device)
    return (logits.float() / temperatures).sigmoid()


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 `[n x 3 x h x w]` to float32 with the backbone's mean and deviation, on its device."""
    scale = pixels.new_tensor([255.0 * s for s in std], dtype=torch.float32)[:, None, None]
    shift = pixels.new_tensor([m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32)
    return pixels.float() / scale - shift[:, None, None]
