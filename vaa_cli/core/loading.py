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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from vaa_cli.core.decoding import Decoder
from vaa_cli.core.errors import PictureError, VAAError, one_line
from vaa_cli.core.labels import LabelTable
from vaa_cli.core.parallel import decoding_workers
from vaa_cli.core.requests import Request

# Random crops are taken from a picture this much larger than the crop: 256 for 224.
CROP_MARGIN = 256 / 224


@dataclass(frozen=True)
class Batch:
    """Decoded pictures.

    Attributes:
        requests: what was asked for, `n` of them.
        pixels: `[m x 3 x h x w]` uint8, the pictures that could be decoded.
        decoded: the positions of these `m` among the requests.
        problems: what is wrong with each of the others, by position.
    """

    requests: list[Request]
    pixels: Tensor
    decoded: list[int]
    problems: dict[int, str]

    def filled(self) -> tuple[Tensor, list[int]]:
        """A picture for every request, where training goes on without the broken ones.

        Returns:
            `[n x 3 x h x w]`, in which other pictures of the batch stand in for the broken ones,
            taken evenly from all of them; and whose picture stands at each of the `n` places.

        Raises:
            VAAError: not one could be decoded.
        """
        sources = list(range(len(self.requests)))
        if not self.problems:
            return self.pixels, sources
        broken = sorted(self.problems)
        if not self.decoded:
            first = f"{self.requests[broken[0]].path}: {self.problems[broken[0]]}"
            raise VAAError(
                f"{first}; this and all {len(broken)} pictures of a batch could not be decoded; "
                "put them back, or run vaa prepare again to leave them out"
            )
        for i, position in enumerate(broken):
            sources[position] = self.decoded[i * len(self.decoded) // len(broken)]
        places = {position: place for place, position in enumerate(self.decoded)}
        return self.pixels[[places[position] for position in sources]], sources


class BatchSource(Protocol):
    """Where batches come from: decoded as they are needed, or kept in memory."""

    def load(self, batches: Iterable[list[Request]]) -> Iterator[Batch]:
        """A batch for each list of requests, in order. One such pass at a time."""
        ...


class _Decoded(NamedTuple):
    """A `Batch` without its requests, which the process that asked still has."""

    pixels: Tensor
    problems: dict[int, str]


class _Packed:
    """What is ready to be sent to another process, and is itself again when it arrives there.

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

    def __init__(self, size: tuple[int, int], box_margin: float) -> None:
        self._decoder = Decoder(size, box_margin)

    def __getitem__(self, request: Request) -> Tensor | str:
        try:
            decoded = self._decoder.decode(request, _augmentation(request, self._decoder.size))
        except PictureError as error:
            return str(error)
        return torch.from_numpy(np.array(decoded.picture)).permute(2, 0, 1)


def _augmentation(
    request: Request, size: tuple[int, int]
) -> Callable[[Image.Image], Image.Image] | None:
    if request.draw is None:
        return None
    return partial(augment, size=size, rng=np.random.default_rng(request.draw))


class Crop(NamedTuple):
    """What chance makes of a picture: a part of the enlarged one, perhaps mirrored."""

    top: int
    left: int
    mirrored: bool


def enlarged(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the picture that crops of `size` are taken from: 256 / 224 of it."""
    height, width = size
    return round(height * CROP_MARGIN), round(width * CROP_MARGIN)


def draw_crop(size: tuple[int, int], rng: np.random.Generator) -> Crop:
    """Draw where a crop of `size`, height and width, lies in the enlarged picture."""
    (height, width), (large_height, large_width) = size, enlarged(size)
    top = int(rng.integers(large_height - height + 1))
    left = int(rng.integers(large_width - width + 1))
    return Crop(top, left, mirrored=bool(rng.random() < 0.5))


def augment(picture: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Random crop and horizontal mirror, as the authors train.

    Args:
        picture: RGB, any size.
        size: height and width of the crop; the picture is first scaled to 256 / 224 of these.
        rng: where the chance comes from.
    """
    (height, width), (large_height, large_width) = size, enlarged(size)
    top, left, mirrored = draw_crop(size, rng)
    # Scaling just the part that is kept is the same as scaling all and cropping, but quicker.
    across, down = picture.width / large_width, picture.height / large_height
    part = (left * across, top * down, (left + width) * across, (top + height) * down)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=part)
    if mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture


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
    """Leave it to the parent when to end, and end with it.

    Ctrl-C and a scheduler's SIGTERM reach the workers too. A parent that finishes its step and
    saves still needs them, so they ignore both; but it ends them by a SIGTERM of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # not on macOS and Windows: there SIGTERM ends a worker
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent, started_by = multiprocessing.parent_process(), os.getppid()
    assert parent is not None
    # Of a forked worker's parent, its siblings hold the sentinel open, but it has another parent
    # once that is dead. One from a fork server has the server for a parent, but its sentinel.
    while os.getppid() == started_by and parent.is_alive():
        received = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if received is not None and received.si_pid == parent.pid:
            break
    os._exit(0)


@contextmanager
def _starting_workers() -> Iterator[None]:
    """Start processes that signals do not reach yet, and keep the handler of SIGCHLD.

    torch sets one that raises in whatever the main thread does at the time, such as writing a
    file. Without it, `load` finds within 5 s that a worker is dead.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
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
        processes_here: how many processes with such a loader share this machine's cores.
    """

    def __init__(
        self,
        size: tuple[int, int],
        workers: int | None = None,
        pin: bool = False,
        box_margin: float = 0.0,
        processes_here: int = 1,
    ) -> None:
        if workers is None:
            workers = decoding_workers(processes_here)
        self._workers: list[BaseProcess] = []
        self._stream = _Stream()
        self._loader: DataLoader[Any] = DataLoader(
            _Pictures(size, box_margin),
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
        self._stream.batches = _noted(batches, asked)
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
            if "Pin memory thread" in message:  # it has told on stderr what went wrong
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
                "try fewer --workers, or 0"
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


_REMEDIES = {
    errno.ENOSPC: "a larger /dev/shm (in a container: --shm-size)",
    errno.EFBIG: "a higher limit of the size of files (ulimit -f)",
    errno.EMFILE: "a higher limit of open files (ulimit -n)",
}


def _not_handed_over(reason: str) -> str:
    known = [what for number, what in _REMEDIES.items() if os.strerror(number) in reason]
    return (
        "a process that decodes pictures could not hand them over in shared memory "
        f"({reason}); try --workers 0, or {(known or ['a larger /dev/shm'])[0]}"
    )


_CAUSES = {
    "SIGKILL": "perhaps killed by the system for want of memory; try fewer --workers, or 0",
    "SIGTERM": "so it was told to end from outside; try again",
    "SIGBUS": "most likely /dev/shm is full; make it larger (in a container: --shm-size), or try "
    "--workers 0",
}
_FAULT = "perhaps at a broken picture; vaa prepare with --check full decodes each"


def _died(workers: Sequence[BaseProcess]) -> str:
    """What is known of the end of those workers that have ended."""
    codes = {worker.exitcode for worker in workers} - {None}
    killed = sorted(-code for code in codes if code is not None and code < 0)
    failed = sorted(code for code in codes if code is not None and code > 0)
    if killed:
        try:
            name = signal.Signals(killed[0]).name
        except ValueError:  # a real-time signal has none
            name = "a signal"
        end = f"by {name} (signal {killed[0]}), {_CAUSES.get(name, _FAULT)}"
    elif failed:
        end = f"with exit code {failed[0]}; --workers 0 may show why"
    else:
        end = "and left no reason; try again, or with --workers 0"
    return f"a process that decodes pictures ended {end}"


def table_requests(table: LabelTable, rows: Iterable[int] | None = None) -> Iterator[Request]:
    """A request for each row of a table, or for some of them; not augmented."""
    for row in range(len(table)) if rows is None else rows:
        yield Request(str(table.path(row)), table.box(row), row)


def epoch_order(
    samples: int, size: int, seed: int, epoch: int, least: int = 2
) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, in an order that the seed and the epoch give.

    A last batch of fewer than `least` samples is left out: batch normalisation cannot train on
    one sample. The order changes with every epoch, and so do the samples left out.

    Args:
        samples: how many rows there are.
        size: rows of a batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(samples).astype(np.int64, copy=False)
    batches = [order[start : start + size] for start in range(0, samples, size)]
    return [batch for batch in batches if len(batch) >= least]


def augmented_requests(
    table: LabelTable, rows: NDArray[np.int64], seed: int, epoch: int
) -> list[Request]:
    """Requests for some rows of a table, each augmented anew in every epoch."""
    return [
        Request(str(table.path(row)), table.box(row), row, draw=(seed, epoch, row))
        for row in rows.tolist()
    ]


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 `[n x 3 x h x w]` to float32 with the backbone's mean and deviation, on its device."""
    scale = pixels.new_tensor([255.0 * s for s in std], dtype=torch.float32)[:, None, None]
    shift = pixels.new_tensor([m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32)
    return pixels.float() / scale - shift[:, None, None]
