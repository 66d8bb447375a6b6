"""What the commands that score runs on a prepared folder have in common."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.commands.console import warn
from vaa_cli.commands.options import PREPARED
from vaa_cli.core.errors import VAAError
from vaa_cli.core.prediction.attention import AttentionReader
from vaa_cli.core.prediction.predictor import open_with_workers
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaa_cli.core.datasets.prepared import Prepared
    from vaa_cli.core.labels.table import LabelTable
    from vaa_cli.core.models.card import ModelCard


@dataclass(frozen=True)
class Computation:
    """How models are computed: what the options of that name say."""

    engine: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    batch_size: int = 32
    workers: int | None = None


@dataclass(frozen=True)
class LabelledSplit:
    """A split of a prepared folder, as a model sees it.

    Attributes:
        model: the model file.
        card: its card.
        folder: the prepared folder.
        dataset: all of it.
        table: the split, with the labels of the model's attributes.
        unlabelled: the model's attributes of which the folder has no labels.
    """

    model: Path
    card: "ModelCard"
    folder: Path
    dataset: "Prepared"
    table: "LabelTable"
    unlabelled: list[str]


def read_split(model: Path, data: Path | None, split: str) -> LabelledSplit:
    """Read what a model is to be scored on; the model itself is not opened.

    Args:
        model: the model file.
        data: the prepared folder; None for the one that the model was trained on.
        split: train, val or test.

    Raises:
        VAAError: the model's card or the folder cannot be read, or the split has no labels.
    """
    from vaa_cli.core.datasets.prepared import read_prepared
    from vaa_cli.core.engines.open import read_any_card
    from vaa_cli.core.labels.table import UNSPECIFIED

    card = read_any_card(model)
    trained_on = Path(card.data)
    folder = data or (trained_on if trained_on.exists() else PREPARED)
    dataset = read_prepared(folder)
    table = dataset.split(split)
    if not (table.labels != UNSPECIFIED).any():
        raise VAAError(f"{folder} has no labelled {split} pictures; choose another --split")
    labels, missing, extra = table.labels_for(card.attributes)
    if missing:
        warn(f"{folder} has no labels of {', '.join(missing)}; they are not scored")
    if extra:
        warn(f"the model does not know {', '.join(extra)} of {folder}; they are left out")
    table = replace(table, labels=labels, attributes=card.attributes)
    return LabelledSplit(model, card, folder, dataset, table, missing)


def predict_split(
    split: LabelledSplit, how: Computation, group: ProcessGroup
) -> "NDArray[np.float32]":
    """The probabilities of a split `[n x c]`, in the first process only.

    Raises:
        VAAError: the model cannot be opened, or a picture is missing or broken.
    """
    from vaa_cli.core.images.decoding_pool import DecodingPool
    from vaa_cli.core.prediction.multi_process import table_probabilities
    from vaa_cli.core.prediction.predictor import Predictor

    engine, workers = open_with_workers(
        split.model, how.engine, how.precision, how.device, how.workers, group
    )
    size, margin = split.card.image_size, split.card.box_margin
    with group.connected():
        pool = DecodingPool(size, how.batch_size, workers, margin)
        return table_probabilities(Predictor(engine, pool), split.table, group)


def attention_reader(split: LabelledSplit, computation: Computation) -> "AttentionReader":
    """The model as torch computes it; an export gives no maps."""
    from vaa_cli.core.models.devices import Compute
    from vaa_cli.core.prediction.attention import AttentionReader
    from vaa_cli.core.system.processes import decoding_workers

    workers = decoding_workers() if computation.workers is None else computation.workers
    compute = Compute.choose(computation.device, "fp32")
    return AttentionReader(split.model, compute, computation.batch_size, workers)
