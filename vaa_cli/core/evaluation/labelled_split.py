"""A split of a prepared folder with the labels of a model's attributes."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from vaa_cli.core.datasets.prepared import DEFAULT_FOLDER, Prepared, read_prepared
from vaa_cli.core.engines.formats import read_any_card
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import UNSPECIFIED, LabelTable
from vaa_cli.core.models.card import ModelCard

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledSplit:
    """A split of a prepared folder, with the labels that a model can be scored on.

    Attributes:
        name: name of the split: train, val or test.
        model: path of the model file.
        card: card of the model.
        folder: path of the prepared folder.
        dataset: the whole prepared dataset.
        table: the rows of the split, with the labels of the model's attributes.
        unlabelled: the model's attributes that the folder has no labels of.
    """

    name: str
    model: Path
    card: ModelCard
    folder: Path
    dataset: Prepared
    table: LabelTable
    unlabelled: list[str]


def read_split(model: Path, data: Path | None, split: str) -> LabelledSplit:
    """Read the split that a model is scored on; the model itself is not opened.

    Logs a warning for attributes that only the model or only the folder has.

    Args:
        model: path of the model file.
        data: the prepared folder; None for the one that the model was trained on.
        split: train, val or test.

    Raises:
        VAAError: the model's card or the folder cannot be read, or the split has no labels.
    """
    card = read_any_card(model)
    trained_on = Path(card.data)
    folder = data or (trained_on if trained_on.exists() else DEFAULT_FOLDER)
    dataset = read_prepared(folder)
    table = dataset.split(split)
    if not (table.labels != UNSPECIFIED).any():
        raise VAAError(f"{folder} has no labelled {split} pictures; choose another `split`")
    labels, missing, extra = table.labels_for(card.attributes)
    if missing:
        _LOGGER.warning("%s has no labels of %s; they are not scored", folder, ", ".join(missing))
    if extra:
        names = ", ".join(extra)
        _LOGGER.warning("the model does not know %s of %s; they are left out", names, folder)
    table = replace(table, labels=labels, attributes=card.attributes)
    return LabelledSplit(split, model, card, folder, dataset, table, missing)
