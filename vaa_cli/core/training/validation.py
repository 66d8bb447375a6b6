"""What val says of a model that is being trained."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
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

THRESHOLD = 0.5


class TableLogits(NamedTuple):
    """What is said of the rows of a table.

    Attributes:
        logits: `[n x c]` float32, NaN in the rows of broken pictures.
        problems: what is wrong with these, by row.
    """

    logits: Tensor
    problems: dict[int, str]


class Validator:
    """A model that is being trained, on its device, with the loader that feeds it.

    Args:
        model: the model, in evaluation mode or not.
        card: what the model needs to know of its images.
        compute: device and precision.
        loader: decodes pictures to the card's size.
        batch_size: pictures a step.
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
        """What the model says of uint8 images `[n x 3 x h x w]`."""
        return apply_model(self.model, self.card, self.compute, pixels)

    def logits(self, pixels: Tensor) -> Tensor:
        """Aggregated logits, float32 `[n x c]`, of uint8 images `[n x 3 x h x w]`."""
        return self.output(pixels).logits.float()

    def table_logits(
        self,
        table: LabelTable,
        group: ProcessGroup | None = None,
        after_batch: Callable[[], None] | None = None,
    ) -> TableLogits:
        """Aggregated logits of all rows of a table, computed by all processes together.

        Args:
            table: the pictures.
            group: the processes that share the work; all of them get all that comes of it.
            after_batch: called after each batch, as often in each process.
        """
        group = group or ProcessGroup()
        share = group.shard(len(table))
        batches = batched(table_requests(table, share), self.batch_size)
        device = self.compute.device
        logits = torch.full((len(share), len(self.card.attributes)), math.nan, device=device)
        problems: dict[int, str] = {}
        loaded = self._loader.load(batches)
        for start in range(0, -(-len(table) // group.world_size), self.batch_size):
            batch = next(loaded, None)
            if batch is not None:
                if batch.decoded:
                    places = torch.tensor(batch.decoded, device=device) + start
                    logits[places] = self.logits(batch.pixels)
                for position, problem in batch.problems.items():
                    problems[batch.requests[position].row] = problem
            if after_batch is not None:
                after_batch()
        whole = group.all_gather(logits, len(table)).cpu()
        return TableLogits(whole, group.all_gather_problems(problems))


@dataclass(frozen=True)
class Validation:
    """What val says of a model.

    Attributes:
        scores: of its predictions.
        loss: their cross-entropy (eq. 3), by the aggregated logits.
        problems: what is wrong with the pictures that could not be scored, by row.
    """

    scores: Scores
    loss: float
    problems: dict[int, str]


def validate(
    validator: Validator,
    split: LabelTable,
    group: ProcessGroup,
    after_batch: Callable[[], None] | None = None,
) -> Validation:
    """Score a model on a split; the arguments are those of `Validator.table_logits`.

    Raises:
        VAAError: the predictions are no numbers.
    """
    logits, problems = validator.table_logits(split, group, after_batch)
    whole = np.array([row for row in range(len(split)) if row not in problems], dtype=np.int64)
    logits, labels = logits[whole], split.labels[whole]
    loss = reduce_terms(cross_entropy(logits, torch.from_numpy(labels))).item()
    if len(whole) and not math.isfinite(loss):
        raise VAAError("the predictions on val are no longer numbers; try a smaller --lr")
    return Validation(score(logits.sigmoid().numpy(), labels, THRESHOLD), loss, problems)
