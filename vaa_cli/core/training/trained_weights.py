"""Initial weights that are a trained run of vaa. Nothing here needs torch."""

from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from vaa_cli.core.models.card import is_model, read_card
from vaa_cli.core.models.names import NAMED_WEIGHTS
from vaa_cli.core.runs.lookup import STARTER_NAME, model_file
from vaa_cli.core.training.option_groups import ATTENTION_OPTIONS
from vaa_cli.core.training.options import TrainingOptions

# Options that a new training has of the run that it starts from: those of its model.
_OF_THE_MODEL = (
    "backbone",
    "image_size",
    "stages",
    "classifier",
    "attention",
    "confidence",
    "hidden",
    "output_stride",
)


def trained_model(weights: str) -> Path | None:
    """The model file that initial weights name, as a run folder or by itself; None for others.

    Raises:
        VAAError: it is a folder without a model.
    """
    path = Path(weights)
    if weights in NAMED_WEIGHTS:
        return None
    if path.is_dir() or weights == STARTER_NAME:
        return model_file(path)
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return path if is_model(file.read(64)) else None


def like_trained(options: TrainingOptions, named: Container[str]) -> TrainingOptions:
    """Options with the backbone, image size and heads of the run that they start from.

    Args:
        options: the options; where their weights are no run, they stay as they are.
        named: names of those that the user chose, which stay.

    Raises:
        VAAError: the run cannot be read.
    """
    path = trained_model(options.weights)
    if path is None:
        return options
    card = read_card(path)
    taken = {name: getattr(card, name) for name in _OF_THE_MODEL if name not in named}
    if not taken.get("stages", options.resolved().stages):  # there are no heads to be like
        taken = {name: value for name, value in taken.items() if name not in ATTENTION_OPTIONS}
    return replace(options, **taken)
