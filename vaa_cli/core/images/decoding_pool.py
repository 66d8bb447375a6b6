"""Pictures decoded in processes that may crash or hang, without harm to the other pictures.

Where training stops when a decoding process dies, a prediction of a million files goes on: the
picture that killed its process, or took too long, is one broken picture among the others. Pixels
are written straight into batches of a fixed shape in shared memory; nothing here needs torch.
"""

import ctypes
import multiprocessing
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.decoding_process import Answer, DecodingProcess, decode_into
from vaa_cli.core.images.requests import Request
from vaa_cli.core.system.processes import METHOD, start_early

TIME_LIMIT = 60.0  # seconds that one picture may take
# Seconds that a process may take to start, which is slow on a busy machine whatever the picture.
_START_LIMIT = 120.0
# What the decoding processes load: the module that this program starts from, and their own.
_MODULES = ("vaa_cli.__main__", "vaa_cli.core.images.decoding_pool")
# Batches in memory: one that is computed, one that is ready, one that is decoded.
_BATCHES = 3
# A process that is killed twice by the same picture is not given it a third time.
_TRIES = 2
# Bytes of pictures from archives that wait to be decoded: a batch of large ones is a lot.
_WAITING = 128 << 20


def start_decoding_early(workers: int | None) -> None:
    """Let the process start that decoding processes are forked from; nothing waits for it.

    Args:
        workers: number of decoding processes; None for some, 0 for none, which need no such one.
    """
    if workers != 0:
        start_early(_MODULES)


@dataclass
class PixelBatch:
    """Decoded pictures, in a place that the next batches use again.

    Attributes:
        requests: the requests, `n` of them.
        pixels: `[b x 3 x h x w]` uint8, b the batch size; a broken picture and what is behind the
            `n`-th is black. Valid until the next batch is asked for.
        problems: what is wrong with broken pictures, by position.
        more_frames: the positions of pictures of which only the first of several frames is shown.
    """

    requests: list[Request]
    pixels: NDArray[np.uint8]
    problems: dict[int, str] = field(default_factory=dict)
    more_frames: list[int] = field(default_factory=list)


class DecodingPool:
    """Decodes batches of pictures ahead of their use, each batch of the same shape.

    Args:
        size: height and width of the tensors.
        batch_size: pictures of a batch.
        workers: processes that decode; 0 decodes in this one, where a crash is a crash.
        box_margin: context around boxes, see `boxes.crop_region`.
        time_limit: seconds that a picture may take; its process is killed then.
    """

    def __init__(
        self,
        size: tuple[int, int],
        batch_size: int,
        workers: int,
        box_margin: float = 0.0,
        time_limit: float = TIME_LIMIT,
    ) -> None:
        self.batch_size = batch_size
        self._shape = (batch_size, 3, *size)
        self._workers, self._time_limit = workers, time_limit
        self._decoder = Decoder(size, box_margin)

    def load(self, requests: Iterable[Request]) -> Iterator[PixelBatch]:
        """Batches of `batch_size` requests, in order, the last one perhaps of fewer.

        Requests are asked for in another thread, as far ahead as there is place for them. Those
        in a batch have lost their `content`.

        Raises:
            VAAError: the processes cannot be started.
        """
        if self._workers == 0:
            yield from self._load_here(requests)
            return
        running = _Pass(self._shape, self._workers, self._decoder, self._time_limit)
        try:
            yield from running.load(requests)
        finally:
            running.end()

    def _load_here(self, requests: Iterable[Request]) -> Iterator[PixelBatch]:
        pixels = np.empty(self._shape, dtype=np.uint8)
        source = iter(requests)
        while True:
            batch = PixelBatch([], pixels)
            for position, request in enumerate(islice(source, self.batch_size)):
                batch.requests.append(_without_content(request))
                _note(batch, position, decode_into(self._decoder, request, pixels[position]))
            if not batch.requests:
                return
            pixels[len(batch.requests) :] = 0
            yield batch


def _without_content(request: Request) -> Request:
    return request if request.content is None else request._replace(content=None)


def _note(batch: PixelBatch, position: int, answer: Answer) -> None:
    if answer.problem is not None:
        batch.problems[position] = answer.problem
    elif answer.more_frames:
        batch.more_frames.append(position)


@dataclass
class _Pending:
    """A batch in the making; `left` of its places are not filled or known to stay empty."""

    batch: PixelBatch
    slot: int
    left: int
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class _Task(NamedTuple):
    """Requests of one picture for one process."""

    pending: _Pending
    requests: list[tuple[int, Request]]

    @property
    def size(self) -> int:
        """Bytes that it holds in memory."""
        return sum(len(request.content or b"") for _, request in self.requests)


class _Pass:
    """One pass over requests: a thread that asks for them, and one for each process.

    A process has one picture at a time and a thread that waits for it, so that it is known which
    picture a process died of, and since when it works on it.
    """

    def __init__(
        self, shape: tuple[int, ...], workers: int, decoder: Decoder, time_limit: float
    ) -> None:
        start_early()
        self._context: Any = multiprocessing.get_context(METHOD)
        self._decoder, self._workers, self._time_limit = decoder, workers, time_limit
        shape = (_BATCHES, *shape)
        # Files without a name: nothing is left of them, however this process ends.
        self._shared = self._context.RawArray(ctypes.c_ubyte, int(np.prod(shape)))
        self._slots = np.frombuffer(memoryview(self._shared), dtype=np.uint8).reshape(shape)
        self._shape, self._batch_size = shape, shape[1]
        self._free: queue.Queue[int | None] = queue.Queue()
        self._tasks: queue.Queue[_Task | None] = queue.Queue()
        self._ordered: queue.Queue[_Pending | Exception | None] = queue.Queue()
        self._lock = threading.Condition()
        self._running: set[DecodingProcess] = set()
        self._waiting = 0
        self._ended = False

    def load(self, requests: Iterable[Request]) -> Iterator[PixelBatch]:
        for slot in range(_BATCHES):
            self._free.put(slot)
        threads = [threading.Thread(target=self._feed, args=(iter(requests),), daemon=True)]
        threads += [threading.Thread(target=self._drive, daemon=True) for _ in range(self._workers)]
        for thread in threads:
            thread.start()
        while (pending := self._ordered.get()) is not None:
            if isinstance(pending, Exception):
                raise pending
            pending.done.wait()
            if pending.error is not None:
                raise pending.error
            yield pending.batch
            self._free.put(pending.slot)

    def end(self) -> None:
        """Stop what still runs; nothing is waited for."""
        with self._lock:
            self._ended = True
            for process in self._running:
                process.kill()
            self._lock.notify_all()
        self._free.put(None)
        for _ in range(self._workers):
            self._tasks.put(None)

    def _feed(self, requests: Iterator[Request]) -> None:
        """Ask for requests while there is place for them, and deal out what is to be done."""
        try:
            while (slot := self._free.get()) is not None and not self._ended:
                if not self._feed_batch(requests, slot):
                    break
        except Exception as error:  # whoever asks for the batches gets it
            self._ordered.put(error)
        else:
            self._ordered.put(None)

    def _feed_batch(self, requests: Iterator[Request], slot: int) -> bool:
        """Deal out a batch; whether there was anything left for it."""
        pending = _Pending(PixelBatch([], self._slots[slot]), slot, self._batch_size)
        asked, task = pending.batch.requests, _Task(pending, [])
        try:
            for position, request in enumerate(islice(requests, self._batch_size)):
                if not asked:
                    self._ordered.put(pending)
                asked.append(_without_content(request))
                if task.requests and not _share_picture(task.requests[-1][1], request):
                    self._deal(task)
                    task = _Task(pending, [])
                task.requests.append((position, request))
        finally:  # what was asked for comes out, even if the source is broken
            if task.requests:
                self._deal(task)
            pending.batch.pixels[len(asked) :] = 0
            self._fill(pending, self._batch_size - len(asked))
        return bool(asked)

    def _deal(self, task: _Task) -> None:
        size = task.size
        with self._lock:
            self._lock.wait_for(
                lambda: self._ended or self._waiting == 0 or self._waiting + size <= _WAITING
            )
            self._waiting += size
        self._tasks.put(task)

    def _fill(self, pending: _Pending, places: int) -> None:
        with self._lock:
            pending.left -= places
            if pending.left == 0 or pending.error is not None:
                pending.batch.more_frames.sort()
                pending.done.set()

    def _drive(self) -> None:
        """Give a process one picture after the other, and a new process where one ended."""
        process: DecodingProcess | None = None
        while (task := self._tasks.get()) is not None and not self._ended:
            try:
                process, answers = self._answers(process, task)
            except Exception as error:  # likewise
                task.pending.error = error
                answers = [Answer(None)] * len(task.requests)
            self._take(task, answers)
            del task  # and the bytes that it holds
        if process is not None:
            self._forget(process)

    def _answers(
        self, process: "DecodingProcess | None", task: _Task
    ) -> tuple["DecodingProcess | None", list[Answer]]:
        problem = ""
        for _ in range(_TRIES):
            current = process or self._start()
            process = None
            try:
                answers = current.ask(task.pending.slot, task.requests, self._time_limit)
            except TimeoutError:
                self._forget(current)
                problem = f"decoding took longer than {self._time_limit:g} s"
                break
            except (EOFError, OSError):
                problem = f"decoding crashed ({self._forget(current)})"
                if self._ended:
                    break
            else:
                return current, answers
        for position, _ in task.requests:
            task.pending.batch.pixels[position] = 0
        return None, [Answer(problem)] * len(task.requests)

    def _take(self, task: _Task, answers: list[Answer]) -> None:
        with self._lock:
            for (position, _), answer in zip(task.requests, answers, strict=True):
                _note(task.pending.batch, position, answer)
            self._waiting -= task.size
            self._lock.notify_all()
        self._fill(task.pending, len(answers))

    def _start(self) -> "DecodingProcess":
        process = DecodingProcess(self._context, self._shared, self._shape, self._decoder)
        with self._lock:
            self._running.add(process)
        if self._ended:
            process.kill()
        try:
            process.wait_until_ready(_START_LIMIT)
        except TimeoutError as error:
            self._forget(process)
            raise VAAError(
                f"no process that decodes pictures was ready within {_START_LIMIT:g} s; "
                "try fewer `workers`, or 0"
            ) from error
        except (EOFError, OSError) as error:
            end = self._forget(process)
            raise VAAError(
                f"the processes that decode pictures end as they start ({end}); try `workers=0`, "
                "which may show why"
            ) from error
        return process

    def _forget(self, process: "DecodingProcess") -> str:
        with self._lock:
            self._running.discard(process)
        return process.end()


def _share_picture(one: Request, next_one: Request) -> bool:
    """Whether two requests are for boxes of one picture, which is then decoded once."""
    return one.box is not None and next_one.box is not None and one.path == next_one.path
