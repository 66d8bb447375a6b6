"""Pictures of URLs, read many at a time and ahead of their use, in order and in bounded memory."""

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from itertools import count

from vaa_cli.core.images.requests import ImageSource, Request

# Pictures that are read at once, and those that are read or wait for their turn to be decoded.
READERS = 32
_AHEAD = 128
# Bytes of pictures that were read and wait: past it none is begun.
_WAITING = 256 << 20


class _Readers:
    """Threads that make requests, started as they are needed; the process does not wait for them.

    A pool of concurrent.futures would be waited for, and a storage may not answer for minutes.

    Args:
        most: number of threads.
    """

    def __init__(self, most: int) -> None:
        self._tasks: queue.SimpleQueue[tuple[ImageSource, int, Future[Request]] | None] = (
            queue.SimpleQueue()
        )
        self._most, self._started = most, 0
        self._held, self._taken = 0, threading.Condition()
        self._has_ended = False

    @property
    def is_full(self) -> bool:
        """Whether the pictures that were read and not taken are many bytes."""
        return self._held >= _WAITING

    def submit(self, source: ImageSource, row: int) -> "Future[Request]":
        """Have a request made by a thread, or at once for a picture that is not at a URL."""
        future: Future[Request] = Future()
        if not source.is_remote or source.problem is not None:
            future.set_result(self._held_request(source, row))
            return future
        self._tasks.put((source, row, future))
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()
        return future

    def take(self, future: "Future[Request]") -> Request:
        """The request, which is waited for."""
        request = future.result()
        with self._taken:
            self._held -= len(request.content or b"")
            self._taken.notify_all()
        return request

    def end(self) -> None:
        """Begin no other picture."""
        with self._taken:
            self._has_ended = True
            self._taken.notify_all()
        for _ in range(self._started):
            self._tasks.put(None)

    def _held_request(self, source: ImageSource, row: int) -> Request:
        request = source.request(row)
        with self._taken:
            self._held += len(request.content or b"")
        return request

    def _work(self) -> None:
        while True:
            # Before one is begun, not after: the first of those that wait is then never held up.
            with self._taken:
                self._taken.wait_for(lambda: self._has_ended or not self.is_full)
            task = self._tasks.get()
            if task is None or self._has_ended:
                return
            source, row, future = task
            try:
                future.set_result(self._held_request(source, row))
            except BaseException as error:  # whoever asks for the request gets it
                future.set_exception(error)
            del task, source, future  # and the bytes that it holds


def requests_ahead(
    sources: Iterable[ImageSource], start: int = 0, readers: int = READERS
) -> Iterator[Request]:
    """Requests of pictures, in order; those at URLs are read by many threads at a time.

    Pictures in archives are read one after the other as they are found, and files not at all.

    Args:
        sources: the pictures, asked for as far ahead as there is place for them.
        start: row of the first one.
        readers: pictures that are read at once.
    """
    threads, waiting = _Readers(readers), deque[Future[Request]]()
    numbered = zip(count(start), sources, strict=False)
    try:
        while True:
            while len(waiting) < _AHEAD and not threads.is_full:
                row, source = next(numbered, (0, None))
                if source is None:
                    break
                waiting.append(threads.submit(source, row))
                if all(future.done() for future in waiting):
                    break  # nothing is gained by finding more of them
            if not waiting:
                return
            yield threads.take(waiting.popleft())
    finally:
        threads.end()
