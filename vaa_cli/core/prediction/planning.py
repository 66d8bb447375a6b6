"""The time that predicting many pictures would take: a sample of them, stage by stage."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import ImageSource, Request
from vaa_cli.core.prediction.predictor import Predictor
from vaa_cli.core.system.processes import decoding_workers, usable_cores

# Pictures that are timed, and the seconds that finding pictures may take.
SAMPLE, _FINDING = 200, 20.0
# Seconds that computing is timed for.
_COMPUTING = 3.0


@dataclass(frozen=True)
class Found:
    """The pictures that were found.

    Attributes:
        count: number of pictures.
        is_all: whether there are no more of them.
        rate: pictures found a second.
        sample: the first of them.
    """

    count: int
    is_all: bool
    rate: float
    sample: list[ImageSource]


@dataclass(frozen=True)
class StageRates:
    """Pictures a second of each stage, by itself.

    Attributes:
        reading: reading as many at once as a prediction does.
        decoding: decoding in one process.
        inference: computing the model on all that the engine uses.
        cores: cores of this machine.
        workers: decoding processes of a prediction.
        shares_cores: whether the engine computes on the cores that decode.
        bytes_each: mean number of bytes of a picture.
        problems: pictures of the sample that cannot be used.
    """

    reading: float
    decoding: float
    inference: float
    cores: int
    workers: int
    shares_cores: bool
    bytes_each: float
    problems: int

    @property
    def decoding_all(self) -> float:
        """Pictures decoded a second by all processes."""
        return self.decoding * min(self.workers, self.cores)

    @property
    def rate(self) -> float:
        """Pictures a second of all stages together."""
        computing = min(self.decoding_all, self.inference)
        if self.shares_cores:  # each picture needs its time of both
            computing = 1 / (1 / (self.decoding * self.cores) + 1 / self.inference)
        return min(self.reading, computing)

    @property
    def bound(self) -> str:
        """The stage that would have to be faster first."""
        stages = {
            "reading": self.reading, "decoding": self.decoding_all, "inference": self.inference,
        }  # fmt: skip
        if self.reading <= self.rate:
            return "reading"
        del stages["reading"]
        return min(stages, key=lambda name: stages[name])


def find_sample(sources: Iterable[ImageSource], seconds: float = _FINDING) -> Found:
    """Find pictures for a while.

    Args:
        sources: the pictures.
        seconds: seconds that this may take.

    Raises:
        VAAError: there are none.
    """
    start, count, sample = time.perf_counter(), 0, list[ImageSource]()
    is_all = True
    for source in sources:
        if len(sample) < SAMPLE:
            # A picture in an archive can be read only until the next one is asked for.
            sample.append(_kept(source))
        count += 1
        if time.perf_counter() - start > seconds:
            is_all = False
            break
    if not sample:
        raise VAAError("no pictures; nothing to plan")
    return Found(count, is_all, count / max(1e-9, time.perf_counter() - start), sample)


def measure_stages(predictor: Predictor, sample: list[ImageSource]) -> StageRates:
    """Time each stage of a prediction by itself on some pictures.

    Args:
        predictor: the predictor.
        sample: the pictures, which are repeated where they are few.

    Raises:
        VAAError: none of them can be used, or the model cannot be computed.
    """
    start = time.perf_counter()
    requests = [_with_content(request) for request in requests_ahead(sample)]
    reading = len(requests) / (time.perf_counter() - start)

    engine = predictor.engine
    decoder = Decoder(engine.card.image_size, engine.card.box_margin)
    pixels, start = [], time.perf_counter()
    for request in requests:
        try:
            pixels.append(np.asarray(decoder.decode(request).picture).transpose(2, 0, 1))
        except PictureError:
            continue
    decoding = len(requests) / (time.perf_counter() - start)
    if not pixels:
        raise VAAError(f"none of {len(requests)} pictures can be used; is this the right place?")

    size = predictor.options.batch_size
    repeated = [pixels[number % len(pixels)] for number in range(size)]
    batch = np.ascontiguousarray(np.stack(repeated))
    engine.prepare(size)
    inference = size * _calls_a_second(lambda: engine.probabilities(batch))
    workers = predictor.options.workers
    return StageRates(
        reading,
        decoding,
        inference / (2 if predictor.mirror else 1),
        usable_cores(),
        decoding_workers() if workers is None else max(1, workers),
        "cpu" in engine.name,
        float(np.mean([len(request.content or b"") for request in requests])),
        len(requests) - len(pixels),
    )


def _calls_a_second(call: Callable[[], object]) -> float:
    call()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < _COMPUTING:
        call()
        calls += 1
    return calls / (time.perf_counter() - start)


def _kept(source: ImageSource) -> ImageSource:
    """A picture that can be read later, too."""
    if source.read is None or source.is_remote:
        return source
    request = source.request()
    content = request.content or b""
    return source._replace(read=lambda: content, problem=request.problem)


def _with_content(request: Request) -> Request:
    """A request with the bytes of its file, so that reading is no part of decoding."""
    if request.content is not None or request.problem is not None:
        return request
    try:
        with open(request.path, "rb") as file:
            return request._replace(content=file.read())
    except OSError as error:
        return request._replace(problem=error.strerror or str(error))
