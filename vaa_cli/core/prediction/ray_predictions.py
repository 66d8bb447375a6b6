"""Predicting on a Ray cluster: a streaming pipeline of Ray Data, with a model in each actor.

The pictures are found here, in their order, and named to the pipeline as far ahead as it has place
for them. Actors read, decode and compute them, and the predictions come back in order; whichever
worker or node is lost meanwhile, Ray has its part done again. So all that is done with predictions
is as without Ray: rows, parts, and jobs that go on.
"""

import contextlib
import logging
import re
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.images.requests import ImageSource, batched
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.prediction.predictor import Prediction, Predictor
from vaa_cli.core.prediction.ray_blocks import (
    COLUMNS,
    block_of,
    one_row,
    predictions_of,
    source_of,
    unread,
)
from vaa_cli.core.prediction.ray_cluster import ActorSize, actor_size
from vaa_cli.core.prediction.stream import PredictionStream
from vaa_cli.core.system.files import content_parts, reading_errors, whole_file

# Batches of a block, the unit that Ray moves and does again; and the blocks that wait to be begun.
_BLOCK_BATCHES, _WAITING_BLOCKS = 8, 8
# Calls that an actor has at once: one that is computed, and one whose pictures are decoded.
_CALLS, _MOST_DECODING = 2, 8
# Seconds that finding one more picture may take when no more are wanted, and between two looks at
# whether a pipeline in the cluster has ended.
_END_LIMIT, _POLL = 5.0, 1.0
_LONGEST_REASON = 300


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
        rows = zip(*(columns[name] for name in COLUMNS), strict=True)
        predictions = self._stream.predict([source_of(*row) for row in rows])
        found = [one.probabilities for one in predictions]
        return one_row(
            probabilities=([None if row is None else row.tobytes() for row in found], pa.binary()),
            problem=([one.problem for one in predictions], pa.string()),
            more_frames=([one.more_frames for one in predictions], pa.bool_()),
        )


class _Feed:
    """The pictures on their way to the pipeline, and what is known of those that are under way.

    Args:
        sources: the pictures.
        rows: pictures of a block.
        blocks: blocks that may be under way, so that neither names nor bytes fill the memory here.
    """

    def __init__(self, sources: Iterable[ImageSource], rows: int, blocks: int) -> None:
        from ray.util.queue import Queue

        self.queue = Queue(actor_options={"num_cpus": 0})
        self._sources, self._rows = sources, rows
        self._places = threading.Semaphore(blocks)
        self._begun: deque[list[tuple[str, Box | None]]] = deque()
        self._error: Exception | None = None
        self._has_ended = False
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

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
            for requests in batched(map(unread, self._sources), self._rows):
                self._places.acquire()
                if self._has_ended:
                    return
                self._begun.append([(request.path, request.box) for request in requests])
                self.queue.put(block_of(requests))
        except Exception as error:  # whoever takes the predictions gets it
            self._error = error
        if not self._has_ended:
            with contextlib.suppress(Exception):  # Ray may have ended before
                self.queue.put(None)


def _datasource(queue: Any) -> Any:
    """The blocks of a queue, up to a None, for Ray Data to read."""
    from ray.data import Datasource, ReadTask
    from ray.data.block import BlockMetadata

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


def _predicted_blocks(queue: Any, model: list[Any], size: ActorSize) -> Iterator[Any]:
    """The pipeline: blocks of predictions for the blocks of a queue, in order.

    Raises:
        VAAError: the model cannot be computed, or the cluster is lost.
    """
    import ray
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.target_max_block_size = 1  # a block a row, see `one_row`
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = ray.data.read_datasource(_datasource(queue), override_num_blocks=1, num_cpus=0)
    predicted = blocks.map_batches(
        _PredictionActor,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_args=(model, min(size.cores, _MOST_DECODING)),
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=size.count, max_tasks_in_flight_per_actor=_CALLS + 1,
            max_concurrent_calls_per_actor=_CALLS, enable_true_multi_threading=True,
        ),
        num_cpus=size.cores,
        num_gpus=size.gpus,
    )  # fmt: skip
    try:
        yield from predicted.iter_batches(batch_size=1, batch_format="pyarrow")
    except ray.exceptions.RayError as error:
        raise VAAError(f"on Ray: {_reason(error)}") from error


class _RemotePipeline:
    """The pipeline in a process of the cluster: Ray Data does not run in a client of Ray."""

    def run(self, queue: Any, model: list[Any], size: ActorSize, results: Any) -> str | None:
        """Put the predictions into another queue; the problem if there is one."""
        try:
            for block in _predicted_blocks(queue, model, size):
                results.put(block)
        except VAAError as error:
            return str(error)
        return None


def _blocks_from_cluster(ray: Any, queue: Any, model: list[Any], size: ActorSize) -> Iterator[Any]:
    """What `_predicted_blocks` gives, from a process of the cluster.

    Raises:
        VAAError: as there, or that process is lost.
    """
    from ray.util.queue import Empty, Queue

    results = Queue(_WAITING_BLOCKS, actor_options={"num_cpus": 0})
    pipeline = ray.remote(num_cpus=0)(_RemotePipeline).remote()
    end = pipeline.run.remote(queue, model, size, results)
    while True:
        try:
            yield results.get(timeout=_POLL)
        except Empty:
            if not ray.wait([end], timeout=0)[0] or not results.empty():
                continue
            try:
                problem = ray.get(end)
            except ray.exceptions.RayError as error:
                raise VAAError(f"on Ray: {_reason(error)}") from error
            if problem is not None:
                raise VAAError(problem) from None
            return


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
    size = actor_size(ray.nodes(), predictor.options.device)
    model = [ray.put(_Model.of(predictor))]
    rows = predictor.options.batch_size * _BLOCK_BATCHES
    feed = _Feed(sources, rows, _WAITING_BLOCKS + size.count * (_CALLS + 1))
    if ray.util.client.ray.is_connected():
        blocks = _blocks_from_cluster(ray, feed.queue, model, size)
    else:
        blocks = _predicted_blocks(feed.queue, model, size)
    try:
        for block in blocks:
            yield from predictions_of(block, feed.taken())
        feed.require_whole()
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
