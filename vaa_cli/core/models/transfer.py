"""A new model that starts from a trained one: the backbone, attention, and attributes in common."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA, attribute_axis

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Transfer:
    """What a new model has of a trained one.

    Attributes:
        taken: attributes whose rows of every head are the trained model's.
        fresh: attributes that the trained model does not have.
        left_out: attributes of the trained model that the new one does not have.
        fresh_parts: parts of the new model of another shape, which start at random.
    """

    taken: tuple[str, ...]
    fresh: tuple[str, ...]
    left_out: tuple[str, ...]
    fresh_parts: tuple[str, ...]

    def __str__(self) -> str:
        parts = ["backbone", f"{len(self.taken)} of {len(self.taken + self.fresh)} attributes"]
        text = f"taken: {' and '.join(parts)}"
        if self.fresh:
            text += f"; new: {_listed(self.fresh)}"
        if self.left_out:
            text += f"; left out: {_listed(self.left_out)}"
        if self.fresh_parts:
            text += f"; of another shape, started at random: {_listed(self.fresh_parts)}"
        return text


def transfer(model: VAA, card: ModelCard, path: Path) -> Transfer:
    """Start a model from a trained one.

    Args:
        model: the new model, on the CPU; its tensors are written over.
        card: its card.
        path: the trained model's file.

    Raises:
        VAAError: the file is no model, has another backbone, or no attribute in common.
    """
    trained, source = load_model(path)
    if source.backbone != card.backbone:
        raise VAAError(
            f"{path} has the backbone {source.backbone}, not {card.backbone}; "
            f"train with `backbone={source.backbone}`"
        )
    taken = tuple(name for name in card.attributes if name in source.attributes)
    if not taken:
        raise VAAError(
            f"none of the attributes of {path} ({_listed(source.attributes)}) is among those to "
            f"be learned ({_listed(card.attributes)}); vaa rename gives attributes other names"
        )
    into = torch.tensor([card.attributes.index(name) for name in taken])
    rows = torch.tensor([source.attributes.index(name) for name in taken])
    given = _by_stage(trained.state_dict(), source)
    fresh_parts: dict[str, None] = {}
    with torch.no_grad():
        for key, tensor in _by_stage(model.state_dict(), card).items():
            axis = attribute_axis(key)
            found = given.get(key)
            if found is None or not _fits(tensor, found, axis):
                fresh_parts[_part(key)] = None
            elif axis is None:
                tensor.copy_(found)
            else:
                tensor.index_copy_(axis, into, found.index_select(axis, rows))
    fresh = tuple(name for name in card.attributes if name not in taken)
    left_out = tuple(name for name in source.attributes if name not in taken)
    done = Transfer(taken, fresh, left_out, tuple(fresh_parts))
    _LOGGER.info("%s: %s", path, done)
    return done


def _by_stage(state: dict[str, Tensor], card: ModelCard) -> dict[str, Tensor]:
    """Tensors by names that have the stage of an attention module in the place of its position."""
    named = {}
    for key, tensor in state.items():
        room, _, rest = key.partition(".")
        position, _, name = rest.partition(".")
        if room in ("attention", "classifiers"):
            key = f"{room}.stage {card.stages[int(position)]}.{name}"
        named[key] = tensor
    return named


def _fits(tensor: Tensor, found: Tensor, axis: int | None) -> bool:
    """Whether two tensors have one shape, but for the number of attributes."""
    if tensor.dim() != found.dim():
        return False
    sizes = zip(tensor.shape, found.shape, strict=True)
    return all(one == other or place == axis for place, (one, other) in enumerate(sizes))


def _part(key: str) -> str:
    """The part of a model that a tensor belongs to, for people."""
    room, _, rest = key.partition(".")
    singular = {"classifiers": "classifier", "norms": "norm"}.get(room, room)
    return f"{singular} of {rest.partition('.')[0]}" if rest.startswith("stage ") else singular


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
