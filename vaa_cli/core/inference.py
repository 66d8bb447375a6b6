"""Pictures in, probabilities out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaa_cli.core.checkpoint import ModelCard
from vaa_cli.core.devices import Compute
from vaa_cli.core.labels import LabelTable
from vaa_cli.core.loading import (
    BatchSource,
    Request,
    batched,
    normalise,
    table_requests,
)
from vaa_cli.core.model import VAA


@dataclass(frozen=True)
class Prediction:
    """What is said of one picture: its probabilities `[c]`, or what is wrong with it."""

    request: Request
    probabilities: NDArray[np.float32] | None
    problem: str | None = None


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
    def logits(self, pixels: Tensor) -> Tensor:
        """Aggregated logits, float32 `[n x c]`, of uint8 images `[n x 3 x h x w]`."""
        images = normalise(pixels.to(self.compute.device), self.card.mean, self.card.std)
        images = images.contiguous(memory_format=torch.channels_last)
        self.model.eval()
        with self.compute.autocast():
            logits: Tensor = self.model(images).logits
        return logits.float()

    def predict(self, requests: Iterable[Request]) -> Iterator[Prediction]:
        """A prediction for each request, in order; broken pictures have theirs too."""
        for batch in self._loader.load(batched(requests, self.batch_size)):
            rows = iter(())
            if batch.decoded:
                rows = iter(self.logits(batch.pixels).sigmoid().cpu().numpy())
            for position, request in enumerate(batch.requests):
                problem = batch.problems.get(position)
                yield Prediction(request, None if problem else next(rows), problem)

    def table_logits(self, table: LabelTable) -> Iterator[Tensor]:
        """Aggregated logits of a table's rows, batch by batch, on the CPU.

        Raises:
            VAAError: a picture is missing or broken.
        """
        for batch in self._loader.load(batched(table_requests(table), self.batch_size)):
            batch.require_whole()
            yield self.logits(batch.pixels).cpu()


def table_probabilities(predictor: Predictor, table: LabelTable) -> NDArray[np.float32]:
    """The probabilities of all rows of a table, `[n x c]`.

    Raises:
        VAAError: a picture is missing or broken.
    """
    logits = torch.cat(list(predictor.table_logits(table)))
    probabilities: NDArray[np.float32] = logits.sigmoid().numpy()
    return probabilities
