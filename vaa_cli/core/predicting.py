"""Pictures in, probabilities out; nothing here needs torch."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.decoding_pool import DecodingPool, PixelBatch
from vaa_cli.core.engine import Engine
from vaa_cli.core.prediction import Prediction
from vaa_cli.core.requests import Request


class Predictor:
    """An engine with the pool that feeds it.

    Args:
        engine: computes the model.
        pool: decodes pictures to the size that the model takes.
        mirror: average over each picture and its mirror image (test-time augmentation).
        padded: compute a batch that is not full in the shape of the full ones, also if it is the
            first: each row then comes out as it does among more.
    """

    def __init__(
        self, engine: Engine, pool: DecodingPool, mirror: bool = False, padded: bool = False
    ) -> None:
        self.engine, self.card = engine, engine.card
        self.batch_size = pool.batch_size
        self._pool, self._mirror, self._padded = pool, mirror, padded

    def predict(self, requests: Iterable[Request]) -> Iterator[Prediction]:
        """A prediction for each request, in order; broken pictures have theirs too."""
        for batch in self._pool.load(requests):
            yield from self._predictions(batch)

    def _predictions(self, batch: PixelBatch) -> Iterator[Prediction]:
        count = len(batch.requests)
        probabilities = None
        if len(batch.problems) < count:
            # An engine is at its best, and its rows are the same, while the shape is. But for a
            # few pictures alone, a full batch would be wasted.
            self._padded = self._padded or count == self.batch_size
            probabilities = self._compute(batch.pixels if self._padded else batch.pixels[:count])
        more_frames = set(batch.more_frames)
        for place, request in enumerate(batch.requests):
            problem = batch.problems.get(place)
            if problem is None and probabilities is not None:
                yield Prediction(request, probabilities[place], more_frames=place in more_frames)
            else:
                yield Prediction(request, None, problem)

    def _compute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = self.engine.probabilities(pixels)
        if self._mirror:
            mirrored = self.engine.probabilities(np.ascontiguousarray(pixels[..., ::-1]))
            probabilities = (probabilities + mirrored) * np.float32(0.5)
        return probabilities
