"""Pictures to batches of tensors, decoded in worker processes, in the order asked for.

What a worker gets is a request that names the picture; it keeps no list of them. So training,
validation and prediction over any stream of names share one loader, and the order of batches and
the augmentation of each sample do not depend on the number of workers.
"""

import errno
import multiprocessing
import os
import re
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from vaa_cli.core.errors import PictureError, VAAError, one_line
from vaa_cli.core.images.augment import Augmentation, augment
from vaa_cli.core.images.batch import Batch
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.loader_failures import _died, _not_handed_over
from vaa_cli.core.images.read_ahead import fetched_ahead, shards_ahead
from vaa_cli.core.images.requests import Request
from vaa_cli.core.system.process_folder import process_folder
from vaa_cli.core.system.processes import decoding_workers, follow_parent


class _Decoded(NamedTuple):
    """A `Batch` without its requests, which the process that asked still has."""

    pixels: Tensor
    problems: dict[int, str]


class _Packed:
    """An answer that is pickled already, and unpickled where it arrives.

    A worker's answers are pickled, which shares their memory, in a thread of multiprocessing's
    queue. Where that fails the queue loses the answer, and who asked for it waits for ever. So it
    is done here, where a failure is an exception.
    """

    def __init__(self, answer: _Decoded) -> None:
        self._pickled = bytes(ForkingPickler.dumps(answer))

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return ForkingPickler.loads, (self._pickled,)


class _Pictures(Dataset[Tensor | str]):
    """Turns a request into `[3 x h x w]` uint8, or into what is wrong with the picture."""

    def __init__(
        self, size: tuple[int, int], box_margin: float, augmentation: Augmentation
    ) -> None:
        self._decoder, self._augmentation = Decoder(size, box_margin), augmentation

    def __getitems__(self, requests: list[Request]) -> list[Tensor | str]:
        """The pictures of a batch, of which those at URLs are read at once."""
        ready = fetched_ahead(requests, lambda request: request.path)
        return [self[request] for request in ready]

    def __getitem__(self, request: Request) -> Tensor | str:
        try:
            decoded = self._decoder.decode(request, self._scaling(request))
        except PictureError as error:
            return str(error)
        return torch.from_numpy(np.array(decoded.picture)).permute(2, 0, 1)

    def _scaling(self, request: Request) -> Callable[[Image.Image], Image.Image] | None:
        if request.draw is None:
            return None
        rng = np.random.default_rng(request.draw)
        return partial(augment, size=self._decoder.size, rng=rng, augmentation=self._augmentation)


def _collate(samples: list[Tensor | str]) -> _Decoded | _Packed | str:
    """The answer to one list of requests, or what keeps a worker from sending it."""
    problems = {i: what for i, what in enumerate(samples) if isinstance(what, str)}
    pixels = [what for what in samples if isinstance(what, Tensor)]
    if get_worker_info() is None:
        return _Decoded(torch.stack(pixels) if pixels else _no_pixels(), problems)
    try:
        if not pixels:
            return _Packed(_Decoded(_no_pixels(), problems))
        # Put together where it is shared, which saves a copy.
        shared = torch.empty(len(pixels), *pixels[0].shape, dtype=torch.uint8)
        shared.share_memory_()  # type: ignore[no-untyped-call]
        return _Packed(_Decoded(torch.stack(pixels, out=shared), problems))
    except (RuntimeError, OSError) as error:
        return one_line(error)


def _no_pixels() -> Tensor:
    return torch.empty(0, 3, 0, 0, dtype=torch.uint8)


def _start_worker(_: int) -> None:
    follow_parent(ignore_sigterm=True)


@contextmanager
def _starting_workers() -> Iterator[None]:
    """Start processes that signals do not reach yet, and keep the handler of SIGCHLD.

    torch sets one that raises in whatever the main thread does at the time, such as writing a
    file. Without it, `load` finds within 5 s that a worker is dead.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    with suppress(OSError):
        process_folder()  # where multiprocessing then keeps its sockets
    if multiprocessing.get_start_method() != "fork":
        # It starts otherwise in the block, and lets the signals through again when it has.
        resource_tracker.ensure_running()
    on_child = signal.getsignal(signal.SIGCHLD)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, on_child or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Stream:
    """Batches of requests as the DataLoader wants them: anything that can be iterated again."""

    def __init__(self) -> None:
        self.batches: Iterable[list[Request]] = ()

    def __iter__(self) -> Iterator[list[Request]]:
        return iter(self.batches)


class PictureLoader:
    """Decodes batches of pictures to one size, ahead of their use.

    Args:
        size: height and width of the tensors.
        workers: processes that decode; 0 decodes in this one, None chooses for the machine.
        pin: put batches into page-locked memory, from which a GPU copies faster.
        box_margin: context around boxes, see `boxes.crop_region`.
        processes_here: number of processes with such a loader on this machine.
        augmentation: way in which requests with a draw are augmented.
    """

    def __init__(
        self,
        size: tuple[int, int],
        workers: int | None = None,
        pin: bool = False,
        box_margin: float = 0.0,
        processes_here: int = 1,
        augmentation: Augmentation = Augmentation(),  # noqa: B008, a constant
    ) -> None:
        if workers is None:
            workers = decoding_workers(processes_here)
        self._workers: list[BaseProcess] = []
        self._stream = _Stream()
        self._loader: DataLoader[Any] = DataLoader(
            _Pictures(size, box_margin, augmentation),
            batch_sampler=self._stream,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
        )

    def load(self, batches: Iterable[list[Request]]) -> Iterator[Batch]:
        """Decode batches of requests, in order. One such pass at a time.

        A pass may be abandoned; the next one gives its own batches.

        Raises:
            VAAError: a decoding process died, or could not hand over what it decoded.
        """
        if self._loader.num_workers and not self._workers:
            self._start()
        asked: deque[list[Request]] = deque()
        self._stream.batches = _noted(shards_ahead(batches), asked)
        try:
            for answer in self._loader:
                if isinstance(answer, str):
                    raise VAAError(_not_handed_over(answer))
                yield _batch(asked.popleft(), answer)
        except (RuntimeError, OSError) as error:
            message = str(error)
            if re.match(r"DataLoader worker \(pid", message):
                raise VAAError(_died(self._workers)) from error
            # It may be this process that runs out of files, as each batch is one.
            if re.search(r"open files|ancdata", message):
                raise VAAError(_not_handed_over(os.strerror(errno.EMFILE))) from error
            if "Pin memory thread" in message:  # it has printed on stderr what went wrong
                raise VAAError(_not_handed_over(one_line(error))) from error
            raise

    def _start(self) -> None:
        others = {*multiprocessing.active_children()}
        self._stream.batches = ()
        try:
            with _starting_workers():
                iter(self._loader)  # which keeps what it started for the next time
        except OSError as error:
            raise VAAError(
                f"the processes that decode pictures could not be started ({one_line(error)}); "
                "try fewer `workers`, or 0"
            ) from error
        self._workers = [
            child for child in multiprocessing.active_children() if child not in others
        ]


def _noted(
    batches: Iterable[list[Request]], asked: deque[list[Request]]
) -> Iterator[list[Request]]:
    for batch in batches:
        asked.append(batch)
        yield batch


def _batch(requests: list[Request], answer: _Decoded) -> Batch:
    decoded = [i for i in range(len(requests)) if i not in answer.problems]
    return Batch(requests, answer.pixels, decoded, answer.problems)
