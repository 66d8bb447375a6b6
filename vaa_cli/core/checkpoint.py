"""Model files and the state of a training: what is saved, and how it is read back."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise_tensors
from torch import Tensor

from vaa_cli.core.errors import VAAError
from vaa_cli.core.files import whole_file
from vaa_cli.core.model import VAA
from vaa_cli.core.model_card import METADATA, ModelCard, opened_model


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
    )


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
        # Shapes only, then the file's tensors take their places: no random start to throw away.
        with torch.device("meta"):
            model = new_model(card)
        model.load_state_dict(tensors, assign=True)
    return model.eval(), card


def copy_with_card(path: Path, out: Path, card: ModelCard) -> None:
    """Write a model file's weights with another card, whole or not at all; in its place, if asked.

    Raises:
        VAAError: the model cannot be read, or the copy not written.
    """
    with opened_model(path, "pt") as (file, _):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    with whole_file(out) as file:
        file.write(serialise_tensors(tensors, {METADATA: card.to_json()}))


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all: plain values and tensors only.

    Raises:
        VAAError: it cannot be written.
    """
    with whole_file(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # On a full disk torch's writer fails once more as it closes; the first is the reason.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> dict[str, Any]:
    """Read the state of a training, without unpickling any object.

    Raises:
        VAAError: it cannot be read or is none.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # torch and its unpickler raise many kinds for a broken file
        raise VAAError(f"{path} is not the state of a training: {type(error).__name__}") from error
    return state
