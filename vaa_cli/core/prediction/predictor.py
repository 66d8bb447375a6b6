"""Pictures in, probabilities out; nothing here needs torch."""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaa_cli.core.engines.base import Engine, EngineOptions
from vaa_cli.core.engines.formats import read_any_card
from vaa_cli.core.engines.open import open_engine
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.decode import Decoder, part_of
from vaa_cli.core.images.decoding_pool import (
    TIME_LIMIT,
    DecodingPool,
    PixelBatch,
    start_decoding_early,
)
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import Request, batched
from vaa_cli.core.images.url_inputs import named_picture
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.runs.lookup import model_file
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.processes import decoding_workers

if TYPE_CHECKING:
    import pandas as pd

# The problem of a picture of which the model makes NaN, as overflowing sums do.
NO_NUMBER = "the model gives no number for it; try `precision=fp32`"

_LOGGER = logging.getLogger(__name__)

Picture = str | Path | Image.Image | NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """The probabilities of one picture, or the problem that it has.

    Attributes:
        request: the picture.
        probabilities: `[c]`, of its attributes; None if the picture is broken.
        problem: what is wrong with it; None if nothing is.
        more_frames: whether it has several frames, of which the first was used.
    """

    request: Request
    probabilities: NDArray[np.float32] | None
    problem: str | None = None
    more_frames: bool = False


class Predictor:
    """A trained model that predicts pictures.

    All arguments can be pickled, and the model is loaded when it is first needed: a predictor can
    be made in one process and used in others, such as a Ray actor or a Spark worker. The model's
    image size, box margin and calibration are applied by themselves.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.
        options: how the model is computed.
        mirror: average the probabilities over each picture and its mirror image.
        time_limit: seconds that decoding one picture may take.
        group: the processes that share this machine; None for this one alone.

    Raises:
        VAAError: there is no such run, or its model cannot be read.

    Example:
        >>> import vaa_cli as vaa
        >>> predictor = vaa.open_predictor("runs/people")        # doctest: +SKIP
        >>> predictor(["photo.jpg"]).shape                       # doctest: +SKIP
        (1, 10)
    """

    def __init__(
        self,
        run: Path | str | None = None,
        options: EngineOptions | None = None,
        mirror: bool = False,
        time_limit: float = TIME_LIMIT,
        group: ProcessGroup | None = None,
    ) -> None:
        self.path = model_file(run, has_starter=True)
        self.options, self.group = options or EngineOptions(), group or ProcessGroup()
        self.options.check()
        self.mirror, self.time_limit = mirror, time_limit
        self._engine: Engine | None = None
        self._card: ModelCard | None = None
        workers, processes = self.options.workers, self.group.local_world_size
        self._workers = decoding_workers(processes) if workers is None else workers
        # A batch that is not full is computed in the shape of the full ones as soon as there was
        # one: engines are fastest, and rows come out the same, while the shape stays.
        self._padded = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None}  # the process that gets it loads its own

    @property
    def card(self) -> ModelCard:
        """The card of the model: attributes, thresholds, image size and more."""
        if self._card is None:
            self._card = read_any_card(self.path)
        return self._card

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes, in the order of the probabilities."""
        return self.card.attributes

    @property
    def engine(self) -> Engine:
        """The engine, opened when it is first asked for.

        Raises:
            VAAError: the model cannot be read, or the options are not possible on this machine.
        """
        if self._engine is None:
            start_decoding_early(self._workers)  # they start while the model is read
            self.use(open_engine(self.path, self.options, self.group))
        assert self._engine is not None
        return self._engine

    def use(self, engine: Engine) -> None:
        """Predict with an engine that is open already."""
        self._engine, self._card = engine, engine.card
        _LOGGER.info("%s: %s", self.path, engine.name)

    def __call__(self, images: Sequence[Picture]) -> NDArray[np.float32]:
        """Predict a few pictures, which are decoded in this process.

        Args:
            images: paths, URLs, PIL images, or uint8 arrays `[h x w x 3]`, `n` of them.

        Returns:
            Probabilities `[n x c]`, in the order of `attributes`.

        Raises:
            VAAError: a picture is missing or broken; names it.
        """
        engine = self.engine
        decoder = Decoder(engine.card.image_size, engine.card.box_margin)
        rows = [np.empty((0, len(engine.card.attributes)), dtype=np.float32)]
        for batch in batched(images, self.options.batch_size):
            pixels = np.stack([_pixels(image, decoder) for image in batch])
            rows.append(self._compute(engine, np.ascontiguousarray(pixels)))
            _require_numbers(rows[-1], batch)
        return np.concatenate(rows)

    def table(self, images: Iterable[str | Path]) -> "pd.DataFrame":
        """Predict files, which are decoded in other processes.

        Args:
            images: paths of picture files, or URLs, of which many are read at a time.

        Returns:
            A row a picture: `image`, a column of probabilities for each attribute, and `error`,
            which is empty where the picture could be read.
        """
        import pandas as pd

        sources = map(named_picture, map(str, images))
        predictions = list(self.predict(requests_ahead(sources)))
        unknown = np.full(len(self.attributes), np.nan, dtype=np.float32)
        rows = [p.probabilities if p.probabilities is not None else unknown for p in predictions]
        probabilities = np.array(rows, dtype=np.float32).reshape(-1, len(self.attributes))
        table = pd.DataFrame(probabilities, columns=list(self.attributes))
        table.insert(0, "image", [p.request.path for p in predictions])
        table["error"] = [p.problem or "" for p in predictions]
        return table

    def predict(
        self, requests: Iterable[Request], padded: bool = False, expected: int | None = None
    ) -> Iterator[Prediction]:
        """Predict a stream of pictures.

        Args:
            requests: the pictures, asked for as they are needed.
            padded: compute a first batch that is not full in the shape of a full one, too: each
                row then comes out as it does among more.
            expected: number of pictures, for which the engine is made ready while the first ones
                are decoded; None where it is not known.

        Yields:
            A prediction for each request, in order; broken pictures have one with a problem.
        """
        engine = self.engine
        self._padded = padded
        pool = DecodingPool(
            engine.card.image_size,
            self.options.batch_size,
            self._workers,
            engine.card.box_margin,
            self.time_limit,
        )
        count = self.options.batch_size
        if expected is not None and not padded:
            count = min(count, max(1, expected))
        preparing = threading.Thread(target=engine.prepare, args=(count,), daemon=True)
        preparing.start()
        try:
            for batch in pool.load(requests):
                preparing.join()
                yield from self._predictions(engine, batch)
        finally:
            preparing.join()  # a library that computes while the process ends aborts it

    def _predictions(self, engine: Engine, batch: PixelBatch) -> Iterator[Prediction]:
        count = len(batch.requests)
        probabilities = None
        if len(batch.problems) < count:
            # For a few pictures alone, a full batch would be wasted.
            self._padded = self._padded or count == self.options.batch_size
            pixels = batch.pixels if self._padded else batch.pixels[:count]
            probabilities = self._compute(engine, pixels)
        more_frames = set(batch.more_frames)
        for position, request in enumerate(batch.requests):
            problem = batch.problems.get(position)
            row = None if probabilities is None else probabilities[position]
            if problem is None and row is not None and not np.isfinite(row).all():
                problem = NO_NUMBER
            if problem is None and row is not None:
                yield Prediction(request, row, more_frames=position in more_frames)
            else:
                yield Prediction(request, None, problem)

    def _compute(self, engine: Engine, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = engine.probabilities(pixels)
        if self.mirror:
            mirrored = engine.probabilities(np.ascontiguousarray(pixels[..., ::-1]))
            probabilities = (probabilities + mirrored) * np.float32(0.5)
        return probabilities


def _require_numbers(probabilities: NDArray[np.float32], images: Sequence[Picture]) -> None:
    wrong = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if len(wrong):
        image = images[wrong[0]]
        name = image if isinstance(image, str | Path) else f"picture {wrong[0]}"
        raise VAAError(f"{name}: {NO_NUMBER}")


def open_predictor(
    run: Path | str | None = None,
    *,
    engine: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    batch_size: int = 32,
    workers: int | None = None,
    mirror: bool = False,
    time_limit: float = TIME_LIMIT,
    group: ProcessGroup | None = None,
) -> Predictor:
    """Open a trained model to predict pictures with.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.
        engine: `torch`, `compile`, `openvino`, `onnx`, or `auto` for the fastest.
        precision: `fp32`, `bf16`, `fp16`, `int8`, or `auto` for the fastest that is exact enough.
        device: a device as PyTorch names it, or `auto` for a GPU if there is one.
        batch_size: pictures in a batch.
        workers: number of decoding processes; None chooses for the machine.
        mirror: average the probabilities over each picture and its mirror image.
        time_limit: seconds that decoding one picture may take.
        group: the processes that share this machine; None for this one alone.

    Raises:
        VAAError: there is no such run, or an option is unknown.

    Example:
        >>> import vaa_cli as vaa
        >>> predictor = vaa.open_predictor("runs/people", workers=0)
        >>> predictor.attributes
        ('red', 'hat', 'striped')
        >>> predictor(["photo.png"]).shape
        (1, 3)
        >>> predictor.table(["photo.png", "missing.png"])["error"].tolist()
        ['', 'no such file']
    """
    options = EngineOptions(engine, precision, device, batch_size, workers)
    return Predictor(run, options, mirror, time_limit, group)


def _pixels(image: Picture, decoder: Decoder) -> NDArray[np.uint8]:
    """One picture as the model takes it, `[3 x h x w]`."""
    try:
        if isinstance(image, str | Path):
            scaled = decoder.decode(named_picture(str(image)).request()).picture
        else:
            whole = image if isinstance(image, Image.Image) else Image.fromarray(image)
            height, width = decoder.size
            scaled = part_of(whole).resize((width, height), Image.Resampling.BILINEAR)
    except PictureError as error:
        name = image if isinstance(image, str | Path) else "a picture"
        raise VAAError(f"{name}: {error}") from error
    return np.asarray(scaled).transpose(2, 0, 1)
