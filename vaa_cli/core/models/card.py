"""The card of a model file: all but the weights. Nothing here needs torch."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.names import ClassifierName
from vaa_cli.core.system.input_files import parse_json

SCHEMA = 1

# The one key of a model file's metadata, which keeps strings only; so it holds JSON.
METADATA = "vaa"


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
        stages: stages that carry attention.
        classifier: kind of attention classifier.
        hidden: channels of attention modules and classifiers.
        data: the prepared folder that it was trained on.
        epoch: the epoch whose weights these are, from 1.
        validation: the figures of that epoch on val.
        output_stride: pixels that a cell of stage 4 stands for, see `backbones.Backbone`.
        temperatures: C numbers that the logits are divided by; none before it is calibrated.
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
    output_stride: int = 32
    temperatures: tuple[float, ...] = ()

    def to_json(self) -> str:
        """The card as text, for the metadata of a model file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read back what `to_json` gave.

        Raises:
            ValueError: it is of another schema, or a field is missing or too many.
        """
        fields: dict[str, Any] = parse_json(text)
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(f"schema {schema}, this vaa reads {SCHEMA}")
        lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
        try:
            return cls(**{**fields, **lists})
        except TypeError as error:
            raise ValueError(str(error)) from error


def is_model(start: bytes) -> bool:
    """Whether a file that begins with some bytes is a model file of vaa."""
    return start[8:].startswith(b'{"__metadata__":{"vaa":')


def read_card(path: Path) -> ModelCard:
    """Read the card of a model file, without the weights.

    Raises:
        VAAError: it cannot be read or is not a model that vaa wrote.
    """
    with opened_model(path, "numpy") as (_, card):
        return card


@contextmanager
def opened_model(path: Path, framework: str) -> Iterator[tuple[Any, ModelCard]]:
    """Open a model file and read its card; errors are turned into one line.

    Args:
        path: the file.
        framework: framework of the tensors, `pt` or `numpy`.

    Raises:
        VAAError: it cannot be read or is not a model that vaa wrote.
    """
    try:
        with safe_open(path, framework=framework) as file:
            metadata = file.metadata() or {}
            if METADATA not in metadata:
                raise VAAError(f"{path} is not a model of vaa: its metadata has no {METADATA!r}")
            yield file, ModelCard.from_json(metadata[METADATA])
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        reason = one_line(error)
        reason = reason if len(reason) <= 120 else f"{reason[:120]}…"
        raise VAAError(
            f"{path} is not a model of vaa ({reason}); name a run folder or a model file in one"
        ) from error
