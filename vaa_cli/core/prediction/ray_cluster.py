"""Predicting on a Ray cluster: a streaming pipeline of Ray Data, with a model in each actor.

The pictures are found here, in their order, and named to the pipeline as far ahead as it has place
for them. Actors read, decode and compute them, and the predictions come back in order; whichever
worker or node is lost meanwhile, Ray has its part done again. So all that is done with predictions
is as without Ray: rows, parts, and jobs that go on.
"""

import contextlib
import logging
import os
import re
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.images.requests import ImageSource, Request, batched
from vaa_cli.core.images.url_inputs import url_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.prediction.predictor import Prediction, Predictor
from vaa_cli.core.prediction.stream import PredictionStream
from vaa_cli.core.system.files import content_parts, reading_errors, whole_file
from vaa_cli.core.system.storage import is_url

# No report is sent, stderr keeps to what concerns the user, and nothing starts a cluster unasked.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}
# Batches of a block, the unit that Ray moves and does again; and the blocks that wait to be begun.
_BLOCK_BATCHES, _WAITING_BLOCKS = 8, 8
# Calls that an actor has at once: one that is computed, and one whose pictures are decoded.
_CALLS = 2
# Seconds that finding one more picture may take when no more are wanted.
_END_LIMIT = 5.0
_LONGEST_REASON = 300
# Cores of an actor at most: decoding and computing one model do not use more of them well.
_MOST_CORES, _MOST_DECODING = 16, 8


@contextmanager
def ray_cluster(address: str) -> Iterator[Any]:
    """A connection to Ray.

    Args:
        address: `ray` for the cluster that RAY_ADDRESS names, or else for a new one on this
            machine, which ends with the block; or an address such as `ray://head:10001`.

    Yields:
        The module `ray`.

    Raises:
        VAAError: Ray is not installed, or there is no such cluster.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise VAAError("this needs Ray: pip install 'ray[data]'") from error
    was_connected = ray.is_initialized()
    named = None if address == "ray" else address
    if not was_connected:
        try:
            with _without_stderr():
                ray.init(named, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # of gRPC, or of Ray's many own
            raise VAAError(f"no Ray cluster at {address}: {one_line(error, 120)}") from error
    try:
        yield ray
    finally:
        if not was_connected:
            ray.shutdown()


@contextmanager
def _without_stderr() -> Iterator[None]:
    """A block in which libraries print nothing: Ray reports its own log level, for one."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclass(frozen=True)
class _Model:
    """A model and the options of its predictor, as they go to an actor on another machine."""

    files: dict[str, bytes]
    name: str
    options: EngineOptions
    mirror: bool
    time_limit: float

    @classmethod
    def of(cls, predictor: Predictor) -> "_Model":
        files = {}
        for path in content_parts(predictor.path):
            with reading_errors(path):
                files[path.name] = path.read_bytes()
        return cls(
            files, predictor.path.name, predictor.options, predictor.mirror, predictor.time_limit
        )

    def predictor(self, workers: int) -> Predictor:
        """The predictor, with the model in a temporary folder of the process."""
        folder = Path(tempfile.mkdtemp(prefix="vaa-model-"))
        for name, content in self.files.items():
            with whole_file(folder / name, sync=False) as file:
                file.write(content)
        chosen = self.options.workers
        options = EngineOptions(
            self.options.engine, self.options.precision, self.options.device,
            self.options.batch_size, workers if chosen is None else chosen,
        )  # fmt: skip
        return Predictor(folder / self.name, options, self.mirror, self.time_limit)


class _PredictionActor:
    """Predicts blocks of pictures; Ray makes some of these and calls them."""

    def __init__(self, model: Any, workers: int) -> None:
        import ray

        self._stream = PredictionStream(ray.get(model[0]).predictor(workers))

    def __call__(self, block: Any) -> Any:
        import pyarrow as pa

        (columns,) = block.to_pylist()
        rows = zip(*(columns[name] for name in _COLUMNS), strict=True)
        predictions = self._stream.predict([_source(*row) for row in rows])
        found = [one.probabilities for one in predictions]
        return _one_row(
            probabilities=([None if row is None else row.tobytes() for row in found], pa.binary()),
            problem=([one.problem for one in predictions], pa.string()),
            more_frames=([one.more_frames for one in predictions], pa.bool_()),
        )


# The columns of a block on its way to an actor.
_COLUMNS = ("path", "box", "content", "problem")


def _one_row(**columns: tuple[Sequence[Any], Any]) -> Any:
    """A block of one row that has all values of a column in a list.

    Ray Data joins blocks and cuts them as it likes, but never within a row.
    """
    import pyarrow as pa

    return pa.table(
        {name: pa.array([values], pa.list_(kind)) for name, (values, kind) in columns.items()}
    )


def _source(
    name: bytes, sides: list[float] | None, content: bytes | None, problem: str | None
) -> ImageSource:
    """A picture of a block."""
    path, box = os.fsdecode(name), None if sides is None else Box(*sides)
    if problem is not None:
        return ImageSource(path, box, problem=problem)
    if content is not None:
        return ImageSource(path, box, partial(bytes, content))
    return url_picture(path, box=box) if is_url(path) else ImageSource(path, box)


def _unread(source: ImageSource) -> Request:
    """What is asked of an actor; a picture in an archive is read here, where that is open."""
    if source.is_remote:
        return Request(source.path, source.box, problem=source.problem)
    return source.request()


def _block(requests: list[Request]) -> Any:
    """Pictures as a block of Ray."""
    import pyarrow as pa

    boxes = [None if one.box is None else list(one.box) for one in requests]
    return _one_row(
        path=([os.fsencode(_found_anywhere(one)) for one in requests], pa.binary()),
        box=(boxes, pa.list_(pa.float64())),
        content=([one.content for one in requests], pa.large_binary()),
        problem=([one.problem for one in requests], pa.string()),
    )


def _found_anywhere(request: Request) -> str:
    """The path of a picture as processes with another working folder find it."""
    is_file = request.content is None and not is_url(request.path)
    return os.path.abspath(request.path) if is_file else request.path


class _Feed:
    """The pictures on their way to the pipeline, and what is known of those that are under way.

    Args:
        ray: the module.
        sources: the pictures.
        rows: pictures of a block.
        blocks: blocks that may be under way, so that neither names nor bytes fill the memory here.
    """

    def __init__(self, ray: Any, sources: Iterable[ImageSource], rows: int, blocks: int) -> None:
        from ray.util.queue import Queue

        self._queue = Queue(actor_options={"num_cpus": 0})
        self._sources, self._rows = sources, rows
        self._places = threading.Semaphore(blocks)
        self._begun: deque[list[tuple[str, Box | None]]] = deque()
        self._error: Exception | None = None
        self._has_ended = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def datasource(self) -> Any:
        """The blocks, for Ray Data to read."""
        from ray.data import Datasource, ReadTask
        from ray.data.block import BlockMetadata

        queue = self._queue

        def blocks() -> Iterator[Any]:
            while (block := queue.get()) is not None:
                yield block

        class Pictures(Datasource):
            def estimate_inmemory_data_size(self) -> None:
                return None

            def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
                unknown = BlockMetadata(
                    num_rows=None, size_bytes=None, exec_stats=None, input_files=None
                )
                return [ReadTask(blocks, unknown)]

        return Pictures()  # type: ignore[no-untyped-call]

    def taken(self) -> list[tuple[str, Box | None]]:
        """The pictures of the block that was under way longest, which has come back now."""
        self._places.release()
        return self._begun.popleft()

    def require_whole(self) -> None:
        """Check that all pictures were found.

        Raises:
            VAAError: finding them failed.
        """
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Name no more pictures."""
        self._has_ended = True
        self._places.release()
        self._thread.join(_END_LIMIT)  # it must not use Ray when that has ended

    def _work(self) -> None:
        try:
            for requests in batched(map(_unread, self._sources), self._rows):
                self._places.acquire()
                if self._has_ended:
                    return
                self._begun.append([(request.path, request.box) for request in requests])
                self._queue.put(_block(requests))
        except Exception as error:  # whoever takes the predictions gets it
            self._error = error
        if not self._has_ended:
            with contextlib.suppress(Exception):  # Ray may have ended before
                self._queue.put(None)


def predict_on_ray(
    ray: Any, predictor: Predictor, sources: Iterable[ImageSource]
) -> Iterator[Prediction]:
    """Predict pictures on a cluster.

    Args:
        ray: the module, connected to the cluster.
        predictor: the predictor, which is not opened here.
        sources: the pictures; files must be readable on all nodes by the same paths.

    Yields:
        A prediction for each picture, in order.

    Raises:
        VAAError: the model cannot be computed there, or the cluster is lost.
    """
    size = _actor_size(ray.nodes(), predictor.options.device)
    model = ray.put(_Model.of(predictor))
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # a block a row, see `_one_row`
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = predictor.options.batch_size * _BLOCK_BATCHES
    feed = _Feed(ray, sources, rows, _WAITING_BLOCKS + size.count * (_CALLS + 1))
    blocks = ray.data.read_datasource(feed.datasource(), override_num_blocks=1, num_cpus=0)
    predicted = blocks.map_batches(
        _PredictionActor,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_args=([model], min(size.cores, _MOST_DECODING)),
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=size.count, max_tasks_in_flight_per_actor=_CALLS + 1,
            max_concurrent_calls_per_actor=_CALLS, enable_true_multi_threading=True,
        ),
        num_cpus=size.cores,
        num_gpus=size.gpus,
    )  # fmt: skip
    try:
        for table in predicted.iter_batches(batch_size=1, batch_format="pyarrow"):
            yield from _predictions(table, feed.taken())
        feed.require_whole()
    except ray.exceptions.RayError as error:
        raise VAAError(f"on Ray: {_reason(error)}") from error
    finally:
        feed.end()


def _reason(error: BaseException) -> str:
    """What went wrong in an actor, out of the errors that Ray wraps around it."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, VAAError):
            return str(found)
        found = getattr(found, "cause", None) or found.__cause__
    # Ray may have kept its text alone.
    named = re.findall(r"\bVAAError: (.+)", str(error))
    return named[-1] if named else one_line(Exception(error), _LONGEST_REASON)


def _predictions(table: Any, pictures: Sequence[tuple[str, Box | None]]) -> Iterator[Prediction]:
    """The predictions of a block."""
    (columns,) = table.to_pylist()
    for (path, box), found, problem, more_frames in zip(
        pictures, columns["probabilities"], columns["problem"], columns["more_frames"], strict=True
    ):
        row = None if found is None else np.frombuffer(found, dtype=np.float32)
        yield Prediction(Request(path, box), row, problem, more_frames)


@dataclass(frozen=True)
class _ActorSize:
    """The cores and GPUs of an actor, and the number of actors that a cluster has place for."""

    cores: int
    gpus: int
    count: int


def _actor_size(nodes: Sequence[dict[str, Any]], device: str) -> _ActorSize:
    """The size of actors: one for each GPU, or for each node, of the nodes that are there."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpu = [found for found in resources if found.get("GPU", 0) >= 1]
    if with_gpu and not device.startswith("cpu"):
        cores = min(int(found.get("CPU", 1) // found["GPU"]) for found in with_gpu)
        count = sum(int(found["GPU"]) for found in with_gpu)
        return _ActorSize(max(1, min(_MOST_CORES, cores)), 1, count)
    sizes = [int(found["CPU"]) for found in resources if found.get("CPU", 0) >= 1]
    if not sizes:
        raise VAAError("the Ray cluster has no CPUs")
    cores = min(_MOST_CORES, *sizes)
    return _ActorSize(cores, 0, sum(size // cores for size in sizes))
