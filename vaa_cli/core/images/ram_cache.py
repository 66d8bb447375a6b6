"""Pictures of a table, decoded once and kept in memory for all epochs."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.augment import Augmentation, cut, draw_crop, kept_size, vary
from vaa_cli.core.images.batch import Batch
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.requests import Request, batched, table_requests
from vaa_cli.core.labels.table import LabelTable

# Pictures that a worker decodes at a time while the cache is filled.
_FILLED_AT_ONCE = 32
# Batches that are made before they are asked for.
_AHEAD = 3
# Of the free memory; the model and what else trains it need the rest.
_USABLE = 0.9


class RAMCache:
    """A `BatchSource` for a table whose pictures fit in memory.

    Its crops differ a little from those that a `PictureLoader` gives for the same requests: these
    are scaled from the part that is kept, the cache's are cut from the scaled picture.

    Args:
        table: the pictures; all of them are decoded here and now.
        size: height and width of the batches' pictures.
        augmented: whether requests may have a draw. Pictures are then kept as large as random
            crops need them.
        workers: processes that decode, see `PictureLoader`; they end when all is decoded.
        pin: put batches into page-locked memory, from which a GPU copies faster.
        box_margin: context around boxes, see `boxes.crop_region`.
        processes_here: number of processes with such a cache on this machine.
        augmentation: way in which requests with a draw are augmented.

    Raises:
        VAAError: there is not enough memory, or a decoding process died.
    """

    def __init__(
        self,
        table: LabelTable,
        size: tuple[int, int],
        augmented: bool,
        workers: int | None = None,
        pin: bool = False,
        box_margin: float = 0.0,
        processes_here: int = 1,
        augmentation: Augmentation = Augmentation(),  # noqa: B008, a constant
    ) -> None:
        self._augmentation = augmentation if augmented else None
        _check_memory(bytes_needed(table, size, self._augmentation), processes_here)
        self._size, self._pin = size, pin
        kept = _kept_size(size, self._augmentation)
        try:
            self._pixels: NDArray[np.uint8] = np.empty((len(table), 3, *kept), dtype=np.uint8)
        except MemoryError as error:
            raise VAAError(f"{error}; train without the cache") from error
        self._problems: dict[int, str] = {}
        loader = PictureLoader(kept, workers, False, box_margin, processes_here)
        for batch in loader.load(batched(table_requests(table), _FILLED_AT_ONCE)):
            self._keep(batch)

    def _keep(self, batch: Batch) -> None:
        rows = [request.row for request in batch.requests]
        for position, problem in batch.problems.items():
            self._problems[rows[position]] = problem
        if batch.decoded:
            self._pixels[[rows[position] for position in batch.decoded]] = batch.pixels.numpy()

    def load(self, batches: Iterable[list[Request]]) -> Iterator[Batch]:
        """Batches of the table's pictures, by the rows of the requests, in order.

        They are made ahead in a thread, which ends with the pass, also with an abandoned one.
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix="vaa-cache")
        pending: deque[Future[Batch]] = deque()
        try:
            for requests in batches:
                pending.append(thread.submit(self._batch, requests))
                if len(pending) > _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)

    def _batch(self, requests: list[Request]) -> Batch:
        problems = {
            position: self._problems[request.row]
            for position, request in enumerate(requests)
            if request.row in self._problems
        }
        decoded = [position for position in range(len(requests)) if position not in problems]
        pixels = torch.empty(len(decoded), 3, *self._size, dtype=torch.uint8, pin_memory=self._pin)
        # NumPy copies in this thread alone, torch would take the cores that train.
        for place, position in zip(pixels.numpy(), decoded, strict=True):
            place[:] = self._picture(requests[position])
        return Batch(requests, pixels, decoded, problems)

    def _picture(self, request: Request) -> NDArray[np.uint8]:
        """`[3 x h x w]`: the crop that is drawn for a request, or the whole picture."""
        kept: NDArray[np.uint8] = self._pixels[request.row]
        height, width = self._size
        if request.draw is not None:
            if self._augmentation is None:
                raise ValueError("a cache that is not augmented has no crops to draw")
            rng = np.random.default_rng(request.draw)
            crop = draw_crop(self._size, rng, self._augmentation)
            pixels = cut(kept, self._size, crop, self._augmentation)
            if not self._augmentation.varies:
                return pixels
            picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
            return np.asarray(vary(picture, rng, self._augmentation)).transpose(2, 0, 1)
        if kept.shape[1:] == self._size:
            return kept
        picture = Image.fromarray(np.ascontiguousarray(kept.transpose(1, 2, 0)))
        smaller = picture.resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(smaller).transpose(2, 0, 1)


def bytes_needed(
    table: LabelTable, size: tuple[int, int], augmentation: Augmentation | None
) -> int:
    """The bytes that a cache of a table takes; None for pictures that are not augmented."""
    height, width = _kept_size(size, augmentation)
    return len(table) * 3 * height * width


def _kept_size(size: tuple[int, int], augmentation: Augmentation | None) -> tuple[int, int]:
    return size if augmentation is None else kept_size(size, augmentation)


def _check_memory(needed: int, processes_here: int) -> None:
    free = free_memory()
    if free is None or needed * processes_here <= _USABLE * free:
        return
    each = f" in each of {processes_here} processes" if processes_here > 1 else ""
    raise VAAError(
        f"the decoded pictures take {_gigabytes(needed)} of memory{each}, and "
        f"{_gigabytes(free)} are free, of which training needs some; train without the cache, "
        "or with a smaller `image_size`"
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def free_memory() -> int | None:
    """Bytes that can be allocated without swapping; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):  # with what the system would give back
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
