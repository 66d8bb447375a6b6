"""The card of a model file: all but the weights. Nothing here needs torch."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError, safe_open

from vaa_cli.core.errors import VAAError, brief, one_line
from vaa_cli.core.models.names import BACKBONES, AttentionName, ClassifierName, is_timm_name
from vaa_cli.core.system.input_files import parse_json

SCHEMA = 1

# Of a model whose logits and thresholds were fitted on nothing.
UNCALIBRATED_THRESHOLD = 0.5

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
        stages: stages that carry attention; none in a plain baseline.
        classifier: kind of attention classifier.
        hidden: channels of attention modules and classifiers.
        data: the prepared folder that it was trained on.
        epoch: the epoch whose weights these are, from 1.
        validation: the figures of that epoch on val.
        output_stride: pixels that a cell of stage 4 stands for, see `backbones.make_backbone`.
        temperatures: C numbers that the logits are divided by; none before it is calibrated.
        shifts: C numbers that are added after that; none for zeros.
        attention: `learned`, or `uniform` for the control of an ablation.
        confidence: whether the confidence branch weights the attention.
        groups: names of attributes of which a person has one at most, by the name of each group.
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
    shifts: tuple[float, ...] = ()
    attention: AttentionName = "learned"
    confidence: bool = True
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def to_json(self) -> str:
        """The card as text, for the metadata of a model file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "ModelCard":
        """Read back what `to_json` gave.

        Raises:
            ValueError: it is of another schema, or a field is missing or too many.
        """
        fields = parse_json(text)
        if not isinstance(fields, dict):
            raise ValueError("its card is no object")
        schema = fields.pop("schema", None)
        if schema != SCHEMA:
            raise ValueError(f"schema {schema}, this vaa reads {SCHEMA}")
        lists: dict[str, Any] = {
            key: tuple(value) for key, value in fields.items() if isinstance(value, list)
        }
        if isinstance(groups := fields.get("groups"), dict):
            lists["groups"] = {
                name: tuple(members) if isinstance(members, list) else members
                for name, members in groups.items()
            }
        try:
            card = cls(**{**fields, **lists})
        except TypeError as error:
            raise ValueError(str(error)) from error
        count = len(card.attributes) if isinstance(card.attributes, tuple) else 0
        for name, is_right in _CHECKS.items():
            if not is_right(getattr(card, name), count):
                raise ValueError(f"its card has {name} {brief(getattr(card, name))}")
        if not _are_groups(card.groups, card.attributes):
            raise ValueError(f"its card has groups {brief(card.groups)}")
        return card


def _is_number(value: Any, lowest: float = -math.inf, above: float = -math.inf) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value >= lowest and value > above


def _are_numbers(
    values: Any, count: int, lowest: float = -math.inf, above: float = -math.inf
) -> bool:
    is_right_count = isinstance(values, tuple) and len(values) == count
    return is_right_count and all(_is_number(value, lowest, above) for value in values)


def _are_integers(values: Any, lowest: int, highest: int) -> bool:
    return isinstance(values, tuple) and all(
        isinstance(value, int) and lowest <= value <= highest for value in values
    )


def _are_names(values: Any) -> bool:
    is_tuple = isinstance(values, tuple) and len(values) > 0
    return (
        is_tuple
        and all(isinstance(value, str) and value for value in values)
        and len(set(values)) == len(values)
    )


def _are_figures(values: Any) -> bool:
    return isinstance(values, dict) and all(
        value is None or _is_number(value) for value in values.values()
    )


def _are_groups(value: Any, attributes: tuple[str, ...]) -> bool:
    """Whether groups hold attributes, each one in one group at most."""
    if not isinstance(value, dict):
        return False
    are_lists = all(isinstance(group, tuple) and len(group) > 1 for group in value.values())
    members = [name for group in value.values() for name in group] if are_lists else []
    is_known = all(name in attributes for name in members)
    return are_lists and is_known and len(set(members)) == len(members)


# Whether each field's value can be: a model file from elsewhere could have any. The functions take
# the value and the number of attributes.
_CHECKS: dict[str, Callable[[Any, int], bool]] = {
    "attributes": lambda value, _: _are_names(value),
    "backbone": lambda value, _: (
        isinstance(value, str) and (value in BACKBONES or is_timm_name(value))
    ),
    "thresholds": _are_numbers,
    "priors": lambda value, count: (
        isinstance(value, tuple)
        and len(value) == count
        and all(prior is None or _is_number(prior, lowest=0) for prior in value)
    ),
    "image_size": lambda value, _: _are_integers(value, 8, 8192) and len(value) == 2,
    "mean": lambda value, _: _are_numbers(value, 3),
    "std": lambda value, _: _are_numbers(value, 3, above=0),
    "stages": lambda value, _: _are_integers(value, 1, 4) and len(set(value)) == len(value),
    "classifier": lambda value, _: value in get_args(ClassifierName),
    "hidden": lambda value, _: _are_integers((value,), 1, 1 << 16),
    "data": lambda value, _: isinstance(value, str),
    "epoch": lambda value, _: _are_integers((value,), 0, 1 << 40),
    "validation": lambda value, _: _are_figures(value),
    "box_margin": lambda value, _: _is_number(value, lowest=0),
    "output_stride": lambda value, _: value in (16, 32),
    "temperatures": lambda value, count: value == () or _are_numbers(value, count, above=0),
    "shifts": lambda value, count: value == () or _are_numbers(value, count),
    "attention": lambda value, _: value in get_args(AttentionName),
    "confidence": lambda value, _: isinstance(value, bool),
}


def require_shapes(card: ModelCard, inputs: list[list[str]], outputs: list[list[str]]) -> None:
    """Check that an exported model computes what its card promises.

    Args:
        card: the card.
        inputs: the shape of each input behind the number of images.
        outputs: the same of each output.

    Raises:
        ValueError: it takes other images, or gives another number of probabilities.
    """
    expected = [["3", *map(str, card.image_size)]], [[str(len(card.attributes))]]
    if (inputs, outputs) != expected:
        raise ValueError(
            f"it computes {outputs} of {inputs}, and its card promises {expected[1]} of "
            f"{expected[0]}"
        )


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
