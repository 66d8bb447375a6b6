"""Pictures of URLs, read many at a time and ahead of their use, in order and in bounded memory."""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import chain, count

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.requests import ImageSource, Item, Request
from vaa_cli.core.system.file_cache import CachedURL
from vaa_cli.core.system.shards import ShardMember
from vaa_cli.core.system.storage import StorageError

# Pictures that are read at once, and those that are read or wait for their turn to be decoded.
READERS = 32
_AHEAD = 128
# The same of shards, each of which is many megabytes.
_SHARD_READERS, _SHARDS_AHEAD = 8, 24
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
        self.has_ended = False

    def wait_for_place(self) -> None:
        """Wait until the pictures that were read and not taken are not too many bytes."""
        with self._taken:
            self._taken.wait_for(lambda: self.has_ended or self._held < _WAITING)

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
            self.has_ended = True
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
            self.wait_for_place()
            task = self._tasks.get()
            if task is None or self.has_ended:
                return
            source, row, future = task
            try:
                future.set_result(self._held_request(source, row))
            except BaseException as error:  # whoever asks for the request gets it
                future.set_exception(error)
            del task, source, future  # and the bytes that it holds


class _Ahead:
    """Requests of pictures that are found in another thread, at most so many ahead of their use.

    Whoever takes one need not wait for the next to be found, as with names that come by and by.
    """

    def __init__(
        self, numbered: Iterator[tuple[int, ImageSource]], readers: int, ahead: int
    ) -> None:
        self._readers, self._numbered = _Readers(readers), numbered
        self._found: queue.Queue[Future[Request] | BaseException | None] = queue.Queue(ahead)
        threading.Thread(target=self._find, daemon=True).start()

    def __iter__(self) -> Iterator[Request]:
        while (found := self._found.get()) is not None:
            if isinstance(found, BaseException):
                raise found
            yield self._readers.take(found)

    def end(self) -> None:
        """Find no more."""
        self._readers.end()
        with contextlib.suppress(queue.Empty):  # who finds may wait for a place
            while True:
                self._found.get_nowait()

    def _find(self) -> None:
        try:
            for row, source in self._numbered:
                self._readers.wait_for_place()
                if self._readers.has_ended:
                    return
                self._found.put(self._readers.submit(source, row))
            self._found.put(None)
        except BaseException as error:  # whoever takes the requests gets it
            self._found.put(error)


def fetched_ahead(items: Iterable[Item], path_of: Callable[[Item], object]) -> Iterator[Item]:
    """Items in order, each when its picture is in the cache, if that is a `CachedURL`.

    Whoever reads the picture then, in another process perhaps, does not wait for the storage.

    Args:
        items: what has a picture.
        path_of: the path of an item's picture.
    """

    def fetch_of(item: Item) -> Callable[[], object] | None:
        path = path_of(item)
        return path.content if isinstance(path, CachedURL) else None

    return _when_done(items, fetch_of, READERS, _AHEAD)


def shards_ahead(batches: Iterable[list[Request]]) -> Iterator[list[Request]]:
    """Batches in order, each when the shards it needs are in the cache, if these are at URLs.

    Args:
        batches: requests; those of a shard come one after the other, if not all at once.
    """
    begun: set[str] = set()

    def steps() -> Iterator[tuple[ShardMember | None, list[Request]]]:
        for batch in batches:
            for request in batch:
                path = request.path
                if isinstance(path, ShardMember) and path.is_remote and path.shard not in begun:
                    begun.add(path.shard)
                    yield path, []
            yield None, batch

    def fetch_of(step: tuple[ShardMember | None, list[Request]]) -> Callable[[], object] | None:
        return step[0].fetch if step[0] is not None else None

    for member, batch in _when_done(steps(), fetch_of, _SHARD_READERS, _SHARDS_AHEAD):
        if member is None:
            yield batch


def _when_done(
    items: Iterable[Item],
    fetch_of: Callable[[Item], Callable[[], object] | None],
    readers: int,
    ahead: int,
) -> Iterator[Item]:
    """Items in order, each when what it waits for is done, by many threads at a time.

    Args:
        items: the items.
        fetch_of: what is done for an item; None for nothing.
        readers: number of threads.
        ahead: items that are begun before they are needed.
    """
    begun: deque[Item] = deque()

    def sources() -> Iterator[ImageSource]:
        for item in items:
            begun.append(item)
            fetch = fetch_of(item)
            if fetch is not None:
                yield ImageSource("", read=partial(_fetch, fetch), is_remote=True)
            else:
                yield ImageSource("", problem="nothing to read")

    for _ in requests_ahead(sources(), readers=readers, ahead=ahead):
        yield begun.popleft()


def _fetch(fetch: Callable[[], object]) -> bytes:
    with contextlib.suppress(PictureError, StorageError):  # whoever reads it then finds the same
        fetch()
    return b""


def requests_ahead(
    sources: Iterable[ImageSource],
    start: int = 0,
    readers: int = READERS,
    ahead: int = _AHEAD,
) -> Iterator[Request]:
    """Requests of pictures, in order; those at URLs are read by many threads at a time.

    As long as there is none at a URL, each picture is found when its request is asked for.

    Args:
        sources: the pictures.
        start: row of the first one.
        readers: pictures that are read at once.
        ahead: pictures that are read or wait, at most.
    """
    numbered = zip(count(start), sources, strict=False)
    for row, source in numbered:
        if source.is_remote:
            begun = _Ahead(chain([(row, source)], numbered), readers, ahead)
            try:
                yield from begun
            finally:
                begun.end()
            return
        yield source.request(row)
