"""Model files and the state of a training: what is saved, and how it is read back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise_tensors
from torch import Tensor

from vaa_cli.core.choices import ClassifierName
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.files import whole_file
from vaa_cli.core.model import VAA

SCHEMA = 1

# The one key of a model file's metadata; safetensors keeps strings only, so it holds JSON.
_METADATA = "vaa"


@dataclass(frozen=True)
class ModelCard:
    """All that predicting needs beside the weights; travels in the model file.

    Attributes:
        backbone: its full name.
        attributes: the names of the C attributes, in the order of the logits.
        thresholds: C probabilities at or above which an attribute is decided to be present.
        priors: C shares of positives in training; None where an attribute had no label.
        image_size: height and width.
        box_margin: context around boxes that it was trained with, see `boxes.crop_region`.
        mean: per channel, of images in [0, 1].
        std: per channel.
        stages: which stages carry attention.
        classifier: kind of attention classifier.
        hidden: channels of attention modules and classifiers.
        data: the prepared folder that it was trained on.
        epoch: the epoch whose weights these are, from 1.
        validation: the figures of that epoch on val.
    """

    backbone: str
    attributes: tuple[str, ...]
    thresholds: tuple[float, ...]
    priors: tuple[float | None, ...]
    image_size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stages: tuple[int, ...]
    classifier: ClassifierName
    hidden: int
    data: str
    epoch: int
    validation: dict[str, float | None]
    box_margin: float = 0.0

    def to_json(self) -> str:
        """The card as the model file keeps it."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read back what `to_json` gave.

        Raises:
            ValueError: it is of another schema, or a field is missing or too many.
        """
        fields: dict[str, Any] = json.loads(text)
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(f"schema {schema}, this vaa reads {SCHEMA}")
        lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        try:
            return cls(**{**fields, **lists})
        except TypeError as error:
            raise ValueError(str(error)) from error

    def build(self, weights: dict[str, Tensor] | None = None) -> VAA:
        """A new model of this kind; `weights` starts its backbone, see `VAA`."""
        return VAA(
            self.backbone,
            len(self.attributes),
            self.image_size,
            self.stages,
            self.classifier,
            self.hidden,
            weights,
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
        file.write(serialise_tensors(tensors, {_METADATA: card.to_json()}))


def load_model(path: Path) -> tuple[VAA, ModelCard]:
    """Read a model file onto the CPU, ready to predict.

    Raises:
        VAAError: it cannot be read or is not a model that vaa wrote.
    """
    with _model_file(path) as (file, card):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        # Shapes only, then the file's tensors take their places: no random start to throw away.
        with torch.device("meta"):
            model = card.build()
        model.load_state_dict(tensors, assign=True)
    return model.eval(), card


def read_card(path: Path) -> ModelCard:
    """Read what a model file says of its model, and not the weights.

    Raises:
        VAAError: it cannot be read or is not a model that vaa wrote.
    """
    with _model_file(path) as (_, card):
        return card


@contextmanager
def _model_file(path: Path) -> Iterator[tuple[Any, ModelCard]]:
    """A model file, open, and its card; what is wrong with it is told in one line."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if _METADATA not in metadata:
                raise VAAError(f"{path} is not a model of vaa: its metadata has no {_METADATA!r}")
            yield file, ModelCard.from_json(metadata[_METADATA])
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = one_line(error)
        reason = reason if len(reason) <= 120 else f"{reason[:120]}…"
        raise VAAError(
            f"{path} is not a model of vaa ({reason}); name a run folder or a model file in one"
        ) from error


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
