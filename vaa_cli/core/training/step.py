"""One training step: a shard of a batch in, updated weights out."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.losses import LossParts
from vaa_cli.core.models.prediction_history import PredictionHistory
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.train_state import TrainState


@dataclass(frozen=True)
class BatchShard:
    """The shard of a batch that one process computes.

    Attributes:
        batch: `[N]`, rows of the training split in the whole batch.
        rows: `[n]`, rows of this shard.
        pixels: `[n x 3 x h x w]` uint8.
        sources: `[n]`, positions in `rows` of the picture at each position. Another picture of the
            shard stands in for a broken one, and is learned with its own labels.
    """

    batch: NDArray[np.int64]
    rows: NDArray[np.int64]
    pixels: Tensor
    sources: Sequence[int]

    @property
    def is_original(self) -> list[bool]:
        """Whether each position has its own picture, `n` times."""
        return [source == position for position, source in enumerate(self.sources)]


@dataclass(frozen=True)
class StepResult:
    """The result of a step, the same in every process.

    Attributes:
        losses: each part of the loss, by name, summed over the images of the whole batch.
        is_finite: whether the losses were finite; if not, the weights have not changed.
        replaced: number of pictures of the batch that others stood in for.
        stop: whether any process was asked to stop.
    """

    losses: dict[str, float]
    is_finite: bool
    replaced: int
    stop: bool


class _StepSums:
    """Sums over the images of a batch, reduced over the ranks in one message.

    Args:
        names: names of the parts of the loss.
        device: device of the model.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self._names = names
        self._losses = torch.zeros(len(names), device=device)
        self._copy: _HostCopy | None = None

    def add(self, losses: LossParts, images: int) -> None:
        """Add mean losses over some images."""
        parts = torch.stack([losses.total, losses.primary, *losses.attention])
        self._losses += parts.detach() * images

    def reduce(self, group: ProcessGroup, replaced: int, stop: bool) -> None:
        """Sum over the ranks, with two counts of this one, and start the copy to the host."""
        # Filled on the device, which does not wait for the host.
        counts = torch.stack([self._losses.new_full((), float(n)) for n in (replaced, stop)])
        self._copy = _HostCopy(group.all_reduce(torch.cat([self._losses, counts])))

    def result(self) -> StepResult:
        """The sums, once they have reached the host."""
        assert self._copy is not None
        *losses, replaced, stop = self._copy.values()
        return StepResult(
            dict(zip(self._names, losses, strict=True)),
            is_finite=all(map(math.isfinite, losses)),
            replaced=round(replaced),
            stop=stop > 0,
        )


class _HostCopy:
    """A tensor on its way from a GPU to the host, while the GPU goes on computing.

    The copy is queued behind the forward pass. It is read after the backward pass was launched, so
    that the device is never without work.
    """

    def __init__(self, tensor: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        self._host = tensor
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def values(self) -> list[float]:
        """The numbers, once they are on the host."""
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._host.tolist()
        return values


def train_step(
    state: TrainState,
    shard: BatchShard,
    compute: Compute,
    group: ProcessGroup,
    *,
    accumulate: int = 1,
    remember: bool = True,
    stop: bool = False,
) -> StepResult:
    """Train a model on one batch.

    Args:
        state: the state of the training.
        shard: this process's shard of the batch.
        compute: device and precision.
        group: the processes that train together.
        accumulate: parts that the shard is computed in, to need less memory.
        remember: add the predictions to the history.
        stop: whether this process was asked to stop, which all learn with the losses.
    """
    state.parallel.train()
    state.keep_buffers()
    rows = torch.from_numpy(shard.rows[list(shard.sources)]).to(compute.device)
    pixels = shard.pixels.to(compute.device, non_blocking=compute.pins_memory)

    state.optimizer.zero_grad(set_to_none=True)
    sums = _StepSums(state.loss_names, compute.device)
    probabilities: list[Tensor] = []
    for part, is_last in _parts(len(shard.rows), accumulate):
        images = state.normalise(pixels[part]).contiguous(memory_format=torch.channels_last)
        with _gradient_exchange(state, is_last):
            with compute.autocast():
                output = state.parallel(images)
            losses = state.loss(  # eq. 7
                output.primary,
                output.attention,
                state.labels[rows[part]],
                state.history.std(rows[part]) if state.history else None,  # eq. 5
            )
            size = part.stop - part.start
            sums.add(losses, size)
            probabilities.append(output.logits.detach().sigmoid())
            if is_last:
                sums.reduce(group, shard.is_original.count(False), stop)
            # Processes average their gradients; the mean is over the images of the whole batch.
            weight = size * group.world_size / len(shard.batch)
            state.scaler.scale(losses.total * weight).backward()

    result = sums.result()
    if result.is_finite:
        if remember and state.history:
            # After the loss has read it: H at an epoch holds only the epochs before.
            _remember(state.history, shard, torch.cat(probabilities), group, result.replaced > 0)
        state.update()
    else:
        state.restore_buffers()
    state.advance_scheduler()
    return result


def _parts(count: int, parts: int) -> Iterator[tuple[slice, bool]]:
    """Consecutive positions in so many parts, each with whether it is the last."""
    for number, positions in enumerate(np.array_split(np.arange(count), parts), start=1):
        yield slice(int(positions[0]), int(positions[-1]) + 1), number == parts


def _gradient_exchange(state: TrainState, is_last: bool) -> AbstractContextManager[None]:
    """Gradients are exchanged once a step, after its last part."""
    if isinstance(state.parallel, DistributedDataParallel) and not is_last:
        return state.parallel.no_sync()
    return contextlib.nullcontext()


def _remember(
    history: PredictionHistory,
    shard: BatchShard,
    probabilities: Tensor,
    group: ProcessGroup,
    any_replaced: bool,
) -> None:
    """Add the predictions of the whole batch to the history, in every process.

    Predictions of a picture that stands in for another one are left out.
    """
    flags = torch.tensor(shard.is_original, dtype=probabilities.dtype, device=probabilities.device)
    gathered = group.all_gather(torch.cat([probabilities, flags[:, None]], dim=1), len(shard.batch))
    predicted, is_original = gathered[:, :-1], gathered[:, -1] > 0
    rows = torch.from_numpy(shard.batch).to(probabilities.device)
    if any_replaced:
        rows, predicted = rows[is_original], predicted[is_original]
    history.update(rows, predicted)
