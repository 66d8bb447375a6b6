"""Pictures in, probabilities out; nothing here needs torch."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.commands.console import say
from vaa_cli.core.engines.base import Engine
from vaa_cli.core.images.decoding_pool import DecodingPool, PixelBatch
from vaa_cli.core.images.requests import Request
from vaa_cli.core.system.distributed import ProcessGroup


@dataclass(frozen=True)
class Prediction:
    """What is said of one picture: its probabilities `[c]`, or what is wrong with it.

    Attributes:
        request: the picture.
        probabilities: of its attributes; None if it is broken.
        problem: what is wrong with it.
        more_frames: it has several frames, and this is said of the first.
    """

    request: Request
    probabilities: NDArray[np.float32] | None
    problem: str | None = None
    more_frames: bool = False


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


def open_with_workers(
    path: Path, engine: str, precision: str, device: str, workers: int | None, group: ProcessGroup
) -> tuple["Engine", int]:
    """Open a model, and meanwhile let start what decoding processes are forked from.

    Args:
        path: the model file.
        engine: one of `engine.ENGINES`.
        precision: one of `engine.PRECISIONS`.
        device: `auto`, or what torch calls it.
        workers: decoding processes; None chooses for the machine.
        group: the processes that work together.

    Returns:
        The engine, and how many processes decode for it.

    Raises:
        VAAError: it is no model file, or the choice is not possible here.
    """
    from vaa_cli.core.engines.base import EngineChoice
    from vaa_cli.core.engines.open import open_engine
    from vaa_cli.core.images.decoding_pool import MODULES
    from vaa_cli.core.system.processes import decoding_workers, start_early

    workers = decoding_workers(group.local_world_size) if workers is None else workers
    if workers:
        start_early(["vaa_cli.app", *MODULES])
    choice = EngineChoice(engine, precision, device, group.local_rank, group.local_world_size)
    model = open_engine(path, choice, lambda name: say(f"converting the model for {name}, once …"))
    say(f"{path}: {model.name}")
    return model, workers
