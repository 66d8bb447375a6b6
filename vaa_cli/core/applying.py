"""Applying a model, not training it, to images as they are decoded."""

import torch
from torch import Tensor

from vaa_cli.core.devices import Compute
from vaa_cli.core.loading import normalise
from vaa_cli.core.model import VAA, VAAOutput
from vaa_cli.core.model_card import ModelCard


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
