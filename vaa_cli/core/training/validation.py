"""Scoring a model on val while it is trained."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.metrics import Scores, score
from vaa_cli.core.images.batch import BatchSource
from vaa_cli.core.images.requests import batched, table_requests
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import apply_model
from vaa_cli.core.models.losses import cross_entropy, reduce_terms
from vaa_cli.core.models.vaa import VAA, VAAOutput
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.options import BestBy
from vaa_cli.core.training.progress import VAL_PREFIXES

THRESHOLD = 0.5


class TableLogits(NamedTuple):
    """The logits of the rows of a table.

    Attributes:
        logits: `[n x c]` float32, NaN in the rows of broken pictures.
        problems: what is wrong with these pictures, by row.
        heads: the same of each head that is averaged, by its name in the loss; none where the
            primary head is alone.
    """

    logits: Tensor
    problems: dict[int, str]
    heads: dict[str, Tensor]


class Validator:
    """A model that is being trained, on its device, with the loader that feeds it.

    Args:
        model: the model, in either mode.
        card: its card.
        compute: device and precision.
        loader: decodes pictures to the card's image size.
        batch_size: pictures in a batch.
    """

    def __init__(
        self,
        model: VAA,
        card: ModelCard,
        compute: Compute,
        loader: BatchSource,
        batch_size: int = 32,
    ) -> None:
        self.card, self.compute, self.batch_size = card, compute, batch_size
        self.model = model.to(compute.device).to(memory_format=torch.channels_last)
        self._loader = loader

    def output(self, pixels: Tensor) -> VAAOutput:
        """Compute logits and maps of uint8 images `[n x 3 x h x w]`."""
        return apply_model(self.model, self.card, self.compute, pixels)

    @property
    def heads(self) -> tuple[str, ...]:
        """The names of the heads whose logits are averaged; none where the primary is alone."""
        attention = tuple(f"attention_{stage}" for stage in self.card.stages)
        return ("primary", *attention) if attention else ()

    def all_logits(self, pixels: Tensor) -> Tensor:
        """Aggregated logits of uint8 images, then those of each head; float32 `[n x k x c]`."""
        output = self.output(pixels)
        heads = (output.primary, *output.attention) if self.heads else ()
        return torch.stack([output.logits.float(), *(head.float() for head in heads)], dim=1)

    def table_logits(
        self,
        table: LabelTable,
        group: ProcessGroup | None = None,
        after_batch: Callable[[], None] | None = None,
    ) -> TableLogits:
        """Compute the logits of all rows of a table, in all processes together.

        Args:
            table: the pictures.
            group: the processes that share the work; all of them get the whole result.
            after_batch: called after each batch, equally often in each process.
        """
        group = group or ProcessGroup()
        rows = group.shard(len(table))
        batches = batched(table_requests(table, rows), self.batch_size)
        device = self.compute.device
        shape = len(rows), 1 + len(self.heads), len(self.card.attributes)
        logits = torch.full(shape, math.nan, device=device)
        problems: dict[int, str] = {}
        loaded = self._loader.load(batches)
        for start in range(0, -(-len(table) // group.world_size), self.batch_size):
            batch = next(loaded, None)
            if batch is not None:
                if batch.decoded:
                    positions = torch.tensor(batch.decoded, device=device) + start
                    logits[positions] = self.all_logits(batch.pixels)
                for position, problem in batch.problems.items():
                    problems[batch.requests[position].row] = problem
            if after_batch is not None:
                after_batch()
        aggregated, *heads = group.all_gather(logits, len(table)).cpu().unbind(dim=1)
        by_name = dict(zip(self.heads, heads, strict=True))
        return TableLogits(aggregated, group.all_gather_problems(problems), by_name)


@dataclass(frozen=True)
class Validation:
    """The figures of a model on val.

    Attributes:
        scores: scores of its predictions.
        loss: cross-entropy (eq. 3) of the aggregated logits.
        problems: what is wrong with the pictures that could not be scored, by row.
        heads: scores of the predictions of each head, see `TableLogits`.
    """

    scores: Scores
    loss: float
    problems: dict[int, str]
    heads: dict[str, Scores] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """The figures by their names in log.csv, but for the prefix."""
        totals = self.scores.totals
        figures = {"loss": self.loss, "mA": totals.mean_accuracy}
        figures |= {"mAP": totals.mean_average_precision, "instance_f1": totals.instance_f1}
        for name, scores in self.heads.items():
            figures[f"{name}_mA"] = scores.totals.mean_accuracy
            figures[f"{name}_mAP"] = scores.totals.mean_average_precision
        return figures


def validate(
    validator: Validator,
    split: LabelTable,
    group: ProcessGroup,
    after_batch: Callable[[], None] | None = None,
) -> Validation:
    """Score a model on a split; the arguments are those of `Validator.table_logits`.

    Raises:
        VAAError: the predictions are not finite.
    """
    logits, problems, heads = validator.table_logits(split, group, after_batch)
    whole = np.array([row for row in range(len(split)) if row not in problems], dtype=np.int64)
    logits, labels = logits[whole], split.labels[whole]
    loss = reduce_terms(cross_entropy(logits, torch.from_numpy(labels))).item()
    if len(whole) and not math.isfinite(loss):
        raise VAAError("the predictions on val are no longer numbers; try a smaller `lr`")
    return Validation(
        _score(logits, labels),
        loss,
        problems,
        {name: _score(head[whole], labels) for name, head in heads.items()},
    )


def _score(logits: Tensor, labels: NDArray[np.int8]) -> Scores:
    return score(logits.sigmoid().numpy(), labels, THRESHOLD)


@dataclass(frozen=True)
class EpochValidation:
    """The figures of an epoch on val.

    Attributes:
        figures: the columns of log.csv.
        scores: the score that chooses the best epoch, of the model and, if there is one, of the
            averaged weights.
        problems: what is wrong with the pictures that could not be scored, by row.
    """

    figures: dict[str, float]
    scores: list[float]
    problems: dict[int, str]

    @property
    def is_unscored(self) -> bool:
        """Whether no attribute can be scored."""
        return any(map(math.isnan, self.scores))


def validate_epoch(
    validators: Sequence[Validator],
    val: LabelTable,
    group: ProcessGroup,
    best_by: BestBy,
    after_batch: Callable[[], None],
) -> EpochValidation:
    """Score the model, and the averaged weights if there are any, after an epoch.

    Args:
        validators: validators of the model and of the averaged weights.
        val: the validation split.
        group: the processes that share the work.
        best_by: the score that chooses the best epoch.
        after_batch: called after each batch, equally often in each process.

    Raises:
        VAAError: the predictions are not finite.
    """
    figures: dict[str, float] = {}
    scores = []
    problems: dict[int, str] = {}
    for prefix, validator in zip(VAL_PREFIXES, validators, strict=False):
        result = validate(validator, val, group, after_batch)
        problems, by_name = result.problems, result.figures()
        figures |= {f"{prefix}{name}": value for name, value in by_name.items()}
        scores.append(by_name[best_by])
    return EpochValidation(figures, scores, problems)
