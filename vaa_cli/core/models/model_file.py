"""Model files and the state of a training: what is saved, and how it is read back."""

from pathlib import Path

import torch
from safetensors.torch import save as serialise_tensors
from torch import Tensor

from vaa_cli.core.models.card import METADATA, ModelCard, opened_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.system.files import whole_file


def new_model(card: ModelCard, weights: dict[str, Tensor] | None = None) -> VAA:
    """A new model of a card's kind; `weights` starts its backbone, see `VAA`."""
    return VAA(
        card.backbone,
        len(card.attributes),
        card.image_size,
        card.stages,
        card.classifier,
        card.hidden,
        weights,
        card.output_stride,
        card.attention,
        card.confidence,
    )


def parameter_count(card: ModelCard) -> int:
    """The number of parameters of a card's model."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in new_model(card).parameters())


def save_model(path: Path, model: VAA, card: ModelCard) -> None:
    """Write a model file, whole or not at all.

    Raises:
        VAAError: it cannot be written.
    """
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    with whole_file(path) as file:
        file.write(serialise_tensors(tensors, {METADATA: card.to_json()}))


def load_model(path: Path) -> tuple[VAA, ModelCard]:
    """Read a model file onto the CPU, ready to predict.

    Raises:
        VAAError: it cannot be read or is not a model that vaa wrote.
    """
    with opened_model(path, "pt") as (file, card):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # A file may keep weights in half precision; they are computed with in single.
        tensors = {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
        model = _with_tensors(card, tensors)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise ValueError(f"{name} has weights that are no numbers")
    return model.eval(), card


def _with_tensors(card: ModelCard, tensors: dict[str, Tensor]) -> VAA:
    """A model of a card's kind with the tensors of a file."""
    # Shapes only, then the file's tensors take their places: no random start to throw away.
    with torch.device("meta"):
        model = new_model(card)
    model.load_state_dict(tensors, assign=True)
    if any(buffer.is_meta for buffer in model.buffers()):
        # Some transformers work out tables when they are made, which no file holds.
        model = new_model(card)
        model.load_state_dict(tensors)
    return model


def copy_with_card(path: Path, out: Path, card: ModelCard) -> None:
    """Write a model file's weights with another card, whole or not at all; in its place, if asked.

    Raises:
        VAAError: the model cannot be read, or the copy not written.
    """
    with opened_model(path, "pt") as (file, _):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with whole_file(out) as file:
        file.write(serialise_tensors(tensors, {METADATA: card.to_json()}))
