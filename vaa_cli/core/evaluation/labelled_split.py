"""A split of a prepared folder with the labels of a model's attributes."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from vaa_cli.core.datasets.prepared import DEFAULT_FOLDER, Prepared, read_prepared
from vaa_cli.core.engines.formats import read_any_card
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.table import UNSPECIFIED, LabelTable
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.runs.training_rows import read_training_rows, table_rows
from vaa_cli.core.system.location import Location
from vaa_cli.core.system.storage import is_url

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledSplit:
    """A split of a prepared folder, with the labels that a model can be scored on.

    Attributes:
        name: name of the split: train, val or test.
        model: path of the model file.
        card: card of the model.
        dataset: the whole prepared dataset.
        table: the rows of the split, with the labels of the model's attributes.
        unlabelled: the model's attributes that the folder has no labels of.
    """

    name: str
    model: Path
    card: ModelCard
    dataset: Prepared
    table: LabelTable
    unlabelled: list[str]

    @property
    def folder(self) -> Location:
        """Path or URL of the prepared folder."""
        return self.dataset.folder


def read_split(model: Path, data: Location | str | None, split: str) -> LabelledSplit:
    """Read the split that a model is scored on; the model itself is not opened.

    Logs a warning for attributes that only the model or only the folder has, and for pictures that
    the model was trained on.

    Args:
        model: path of the model file.
        data: the prepared folder, or its URL; None for the one that the model was trained on.
        split: train, val or test.

    Raises:
        VAAError: the model's card or the folder cannot be read, or the split has no labels.
    """
    card = read_any_card(model)
    is_there = is_url(card.data) or Path(card.data).exists()
    dataset = read_prepared(data or (card.data if is_there else DEFAULT_FOLDER))
    folder = dataset.folder
    table = dataset.split(split)
    if not (table.labels != UNSPECIFIED).any():
        raise VAAError(f"{folder} has no labelled {split} pictures; choose another `split`")
    labels, missing, extra = table.labels_for(card.attributes)
    if missing:
        _LOGGER.warning("%s has no labels of %s; they are not scored", folder, ", ".join(missing))
    if extra:
        names = ", ".join(extra)
        _LOGGER.warning("the model does not know %s of %s; they are left out", names, folder)
    _warn_of_training_rows(model, dataset, table)
    table = replace(table, labels=labels, attributes=card.attributes)
    return LabelledSplit(split, model, card, dataset, table, missing)


def _warn_of_training_rows(model: Path, dataset: Prepared, table: LabelTable) -> None:
    """Warn of pictures that the run of a model was trained on, on which its figures say little."""
    known = read_training_rows(model.parent, dataset.name, table.root)
    found = sum(row in known for row in table_rows(table.row_images, table.boxes)) if known else 0
    if found:
        _LOGGER.warning(
            "%s was trained on %s of these %s pictures; its figures on them are better than on "
            "pictures that it has not seen",
            model.parent,
            f"{found:,}",
            f"{len(table):,}",
        )
