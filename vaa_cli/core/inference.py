"""Pictures in, probabilities out."""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaa_cli.core.devices import Compute
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels import LabelTable
from vaa_cli.core.loading import (
    BatchSource,
    batched,
    normalise,
    not_whole,
    table_requests,
)
from vaa_cli.core.model import VAA, VAAOutput
from vaa_cli.core.model_card import ModelCard
from vaa_cli.core.requests import Request
from vaa_cli.core.world import World


@dataclass(frozen=True)
class Prediction:
    """What is said of one picture: its probabilities `[c]`, or what is wrong with it."""

    request: Request
    probabilities: NDArray[np.float32] | None
    problem: str | None = None


class TableLogits(NamedTuple):
    """What is said of the rows of a table.

    Attributes:
        logits: `[n x c]` float32, NaN in the rows of broken pictures.
        problems: what is wrong with these, by row.
    """

    logits: Tensor
    problems: dict[int, str]


class Predictor:
    """A model on its device, with the loader that feeds it.

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

    @torch.inference_mode()
    def output(self, pixels: Tensor) -> VAAOutput:
        """What the model says of uint8 images `[n x 3 x h x w]`."""
        images = normalise(pixels.to(self.compute.device), self.card.mean, self.card.std)
        images = images.contiguous(memory_format=torch.channels_last)
        self.model.eval()
        with self.compute.autocast():
            output: VAAOutput = self.model(images)
        return output

    def logits(self, pixels: Tensor) -> Tensor:
        """Aggregated logits, float32 `[n x c]`, of uint8 images `[n x 3 x h x w]`."""
        return self.output(pixels).logits.float()

    def predict(self, requests: Iterable[Request]) -> Iterator[Prediction]:
        """A prediction for each request, in order; broken pictures have theirs too."""
        for batch in self._loader.load(batched(requests, self.batch_size)):
            rows = iter(())
            if batch.decoded:
                rows = iter(self.logits(batch.pixels).sigmoid().cpu().numpy())
            for position, request in enumerate(batch.requests):
                problem = batch.problems.get(position)
                yield Prediction(request, None if problem else next(rows), problem)

    def table_logits(
        self,
        table: LabelTable,
        world: World | None = None,
        after_batch: Callable[[], None] | None = None,
    ) -> TableLogits:
        """Aggregated logits of all rows of a table, computed by all processes together.

        Args:
            table: the pictures.
            world: the processes that share the work; all of them get all that comes of it.
            after_batch: called after each batch, as often in each process.
        """
        world = world or World()
        share = world.share(len(table))
        batches = batched(table_requests(table, share), self.batch_size)
        device = self.compute.device
        logits = torch.full((len(share), len(self.card.attributes)), math.nan, device=device)
        problems: dict[int, str] = {}
        loaded = self._loader.load(batches)
        for start in range(0, -(-len(table) // world.size), self.batch_size):
            batch = next(loaded, None)
            if batch is not None:
                if batch.decoded:
                    places = torch.tensor(batch.decoded, device=device) + start
                    logits[places] = self.logits(batch.pixels)
                for position, problem in batch.problems.items():
                    problems[batch.requests[position].row] = problem
            if after_batch is not None:
                after_batch()
        for text in world.all_say(json.dumps(problems)):
            problems.update({int(row): problem for row, problem in json.loads(text).items()})
        return TableLogits(world.together(logits, len(table)).cpu(), problems)


def table_probabilities(
    predictor: Predictor, table: LabelTable, world: World | None = None
) -> NDArray[np.float32]:
    """The probabilities of all rows of a table, `[n x c]`.

    Raises:
        VAAError: a picture is missing or broken.
    """
    logits, problems = predictor.table_logits(table, world)
    for row in sorted(problems):
        raise VAAError(not_whole(str(table.path(row)), problems[row]))
    probabilities: NDArray[np.float32] = logits.sigmoid().numpy()
    return probabilities
