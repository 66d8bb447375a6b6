"""Pictures to batches of tensors, decoded in worker processes, in the order asked for.

What a worker gets is a request that names the picture; it keeps no list of them. So training,
validation and prediction over any stream of names share one loader, and the order of batches and
the augmentation of each sample do not depend on the number of workers.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vaa_cli.core.boxes import Box
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images import open_picture
from vaa_cli.core.labels import LabelTable

# Random crops are taken from a picture this much larger than the crop: 256 for 224.
CROP_MARGIN = 256 / 224


class Request(NamedTuple):
    """A picture to decode.

    Attributes:
        path: the file.
        box: the part of it that is meant.
        row: its place in the table or stream it comes from.
        draw: seeds of the augmentation, the same again for the same draw; None for none.
    """

    path: str
    box: Box | None = None
    row: int = 0
    draw: tuple[int, ...] | None = None


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

    def require_whole(self) -> None:
        """Make sure that nothing is missing, where results must stand for every picture.

        Raises:
            VAAError: a picture of the batch could not be decoded.
        """
        for position, problem in self.problems.items():
            raise VAAError(
                f"{self.requests[position].path}: {problem}; put it back, "
                "or run vaa prepare again to leave it out"
            )


class _Decoder(Dataset[tuple[Request, Tensor | str]]):
    """Turns a request into `[3 x h x w]` uint8, or into what is wrong with the picture."""

    def __init__(self, size: tuple[int, int], box_margin: float) -> None:
        self.size, self.box_margin = size, box_margin

    def __getitem__(self, request: Request) -> tuple[Request, Tensor | str]:
        height, width = self.size
        try:
            # Twice the size in the decoder leaves the resampling below enough to work with.
            picture = open_picture(
                request.path, request.box, enough=(2 * height, 2 * width), margin=self.box_margin
            )
        except PictureError as error:
            return request, str(error)
        if request.draw is None:
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        else:
            picture = augment(picture, self.size, np.random.default_rng(request.draw))
        return request, torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def augment(picture: Image.Image, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Random crop and horizontal mirror, as the authors train.

    Args:
        picture: RGB, any size.
        size: height and width of the crop; the picture is first scaled to 256 / 224 of these.
        rng: where the chance comes from.
    """
    height, width = size
    large_height, large_width = round(height * CROP_MARGIN), round(width * CROP_MARGIN)
    top = int(rng.integers(large_height - height + 1))
    left = int(rng.integers(large_width - width + 1))
    # Scaling just the part that is kept is the same as scaling all and cropping, but quicker.
    across, down = picture.width / large_width, picture.height / large_height
    part = (left * across, top * down, (left + width) * across, (top + height) * down)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR, box=part)
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture


def _collate(samples: list[tuple[Request, Tensor | str]]) -> Batch:
    problems = {i: what for i, (_, what) in enumerate(samples) if isinstance(what, str)}
    pixels = [what for _, what in samples if isinstance(what, Tensor)]
    return Batch(
        requests=[request for request, _ in samples],
        pixels=torch.stack(pixels) if pixels else torch.empty(0, 3, 0, 0, dtype=torch.uint8),
        decoded=[i for i in range(len(samples)) if i not in problems],
        problems=problems,
    )


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
    """

    def __init__(
        self,
        size: tuple[int, int],
        workers: int | None = None,
        pin: bool = False,
        box_margin: float = 0.0,
    ) -> None:
        if workers is None:
            workers = min(8, os.cpu_count() or 1)
        self._stream = _Stream()
        self._loader: DataLoader[Batch] = DataLoader(
            _Decoder(size, box_margin),  # type: ignore[arg-type]
            batch_sampler=self._stream,
            num_workers=workers,
            collate_fn=_collate,
            pin_memory=pin,
            persistent_workers=workers > 0,
        )

    def load(self, batches: Iterable[list[Request]]) -> Iterator[Batch]:
        """Decode batches of requests, in order. One such pass at a time.

        Raises:
            VAAError: a decoding process died.
        """
        self._stream.batches = batches
        try:
            yield from self._loader
        except RuntimeError as error:
            # torch tells of a dead worker, killed for want of memory for instance, in this way.
            if "DataLoader worker" not in str(error):
                raise
            raise VAAError(
                "a process that decodes pictures died, perhaps for want of memory "
                "(of /dev/shm, in a container); try fewer --workers, or 0"
            ) from error


def table_requests(table: LabelTable) -> Iterator[Request]:
    """A request for each row of a table, not augmented."""
    for row in range(len(table)):
        yield Request(str(table.path(row)), table.box(row), row)


def batched(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    """Requests in lists of `size`, the last one shorter."""
    batch: list[Request] = []
    for request in requests:
        batch.append(request)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def training_batches(table: LabelTable, size: int, seed: int, epoch: int) -> list[list[Request]]:
    """The augmented batches of one epoch, in an order that the seed and the epoch give.

    A last batch of one sample is left out, since batch normalisation cannot train on it; the
    order changes with every epoch, and so does the sample.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(table))
    requests = [
        Request(str(table.path(row)), table.box(row), row, draw=(seed, epoch, row))
        for row in order.tolist()
    ]
    batches = list(batched(requests, size))
    return [batch for batch in batches if len(batch) > 1]


def normalise(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 `[n x 3 x h x w]` to float32 with the backbone's mean and deviation, on its device."""
    scale = pixels.new_tensor([255.0 * s for s in std], dtype=torch.float32)[:, None, None]
    shift = pixels.new_tensor([m / s for m, s in zip(mean, std, strict=True)], dtype=torch.float32)
    return pixels.float() / scale - shift[:, None, None]
