"""Applying a model to decoded images: normalisation, the forward pass, probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.vaa import VAA, VAAOutput


class Normalisation(nn.Module):
    """Scales decoded images as the backbone was trained: (x / 255 - mean) / std per channel.

    Args:
        mean: mean of each channel, of images in [0, 1].
        std: standard deviation of each channel.

    Example:
        >>> import torch
        >>> normalise = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        >>> normalise(torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)).unique()
        tensor([1.])
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Two buffers and two operations for what the formula does in three.
        scale = [255.0 * s for s in std]
        shift = [m / s for m, s in zip(mean, std, strict=True)]
        self.register_buffer("scale", torch.tensor(scale)[:, None, None])
        self.register_buffer("shift", torch.tensor(shift)[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalise images.

        Args:
            pixels: uint8 `[n x 3 x h x w]`, on the module's device.

        Returns:
            float32 `[n x 3 x h x w]`.
        """
        return pixels / self.scale - self.shift


@torch.inference_mode()
def apply_model(model: VAA, card: ModelCard, compute: Compute, pixels: Tensor) -> VAAOutput:
    """Compute logits and attention maps of images.

    Args:
        model: the model, on the device; it is left in evaluation mode.
        card: its card.
        compute: device and precision.
        pixels: uint8 `[n x 3 x h x w]`.
    """
    images = Normalisation(card.mean, card.std).to(compute.device)(pixels.to(compute.device))
    images = images.contiguous(memory_format=torch.channels_last)
    model.eval()
    with compute.autocast():
        output: VAAOutput = model(images)
    return output


def probabilities_of(logits: Tensor, card: ModelCard) -> Tensor:
    """The probabilities of aggregated logits `[n x c]`, by the model's calibration."""
    temperatures, shifts = calibration_tensors(card, logits.device)
    return (logits.float() / temperatures + shifts).sigmoid()


def calibration_tensors(
    card: ModelCard, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """The divisors of a model's logits, and what is added after that, `[c]` or `[1]` each."""
    temperatures = torch.tensor(card.temperatures or (1.0,), device=device)
    return temperatures, torch.tensor(card.shifts or (0.0,), device=device)
