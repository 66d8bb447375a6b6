"""One step of training: a batch in, better weights out, on one process or on many."""

import contextlib
import math
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import normalise
from vaa_cli.core.models.losses import VAALoss
from vaa_cli.core.models.model_file import new_model
from vaa_cli.core.models.prediction_history import PredictionHistory
from vaa_cli.core.models.sync_batch_norm import synchronise
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.ema import ExponentialMovingAverage
from vaa_cli.core.training.optimizers import make_optimizer, make_scheduler
from vaa_cli.core.training.options import TrainingOptions


@dataclass(frozen=True)
class Share:
    """One process's part of a batch.

    Attributes:
        batch: `[N]` training samples, of the whole batch.
        rows: `[n]` those that are this process's: `ProcessGroup.share` of the batch.
        pixels: `[n x 3 x h x w]` uint8.
        sources: `[n]` positions in `rows`: whose picture stands at each place. Where a picture
            is broken, it is another one's, which is learnt with its own labels.
    """

    batch: NDArray[np.int64]
    rows: NDArray[np.int64]
    pixels: Tensor
    sources: Sequence[int]

    @property
    def own(self) -> list[bool]:
        """Whether a place has its own picture, `n` times."""
        return [source == place for place, source in enumerate(self.sources)]


@dataclass(frozen=True)
class StepResult:
    """What a step did, the same in every process.

    Attributes:
        losses: of each part, by name, summed over the whole batch's images.
        learnt: whether the losses were numbers; if not, nothing has changed.
        replaced: how many pictures of the batch others stood in for.
        stop: whether any process was asked to stop.
    """

    losses: dict[str, float]
    learnt: bool
    replaced: int
    stop: bool


class TrainState:
    """A model with all that makes it learn: loss, history, optimiser, schedule, average.

    Args:
        card: what the model is like.
        data: the dataset, of which it learns `train`.
        options: everything else.
        steps: of an epoch.
        compute: device and precision.
        group: the processes that learn together.
        weights: of the backbone, where it starts; None for a random start.

    Attributes:
        model: the model itself, on its device.
        average: the moving average of its weights, where the options ask for one.
        loss_names: of the parts of the loss.

    Raises:
        VAAError: the weights are not the backbone's.
    """

    def __init__(
        self,
        card: ModelCard,
        data: Prepared,
        options: TrainingOptions,
        steps: int,
        compute: Compute,
        group: ProcessGroup,
        weights: dict[str, Tensor] | None = None,
    ) -> None:
        recipe, device, train = options.resolved(), compute.device, data.split("train")
        self._card, self._options, self._compute, self._group = card, options, compute, group
        model = new_model(card, weights)
        model = model.to(device).to(memory_format=torch.channels_last)
        self.average = ExponentialMovingAverage(model, options.ema) if options.ema else None
        if options.sync_bn and group.world_size > 1:
            synchronise(model, device)
        if options.compile:
            model.compile()  # in place, so that its weights keep their names
        self.model = model
        self._parallel = _parallel(model, device) if group.world_size > 1 else model
        self._loss = VAALoss(
            torch.tensor(data.priors.prior, dtype=torch.float32),
            options.gamma,
            options.loss_weights,
            options.loss,
            options.attention_loss,
        ).to(device)
        self._history = PredictionHistory(len(train), len(data.attributes), options.history, device)
        self._optimizer = make_optimizer(model, recipe, options.momentum, device)
        self._schedule = make_scheduler(self._optimizer, recipe, steps, options.warmup)
        self._scaler = torch.amp.GradScaler(device.type, enabled=compute.needs_scaler)
        self._labels = torch.from_numpy(train.labels).to(device)
        # What a bad batch must not change is kept only where such batches are left out.
        kept = model.buffers() if options.skip_bad_steps else ()
        self._buffers = [buffer.clone() for buffer in kept]
        self.loss_names = ("loss", "primary", *(f"attention_{stage}" for stage in model.stages))

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    @property
    def models(self) -> list[VAA]:
        """The model, and that of the averaged weights if there is one."""
        return [self.model, *([self.average.model] if self.average else [])]

    def step(self, share: Share, remember: bool, stop: bool) -> StepResult:
        """Learn one batch.

        Args:
            share: this process's part of it.
            remember: keep the predictions in the history.
            stop: whether this process was asked to stop; all learn of it with the losses.
        """
        device, group = self._compute.device, self._group
        self._parallel.train()
        self._keep_buffers()
        shown = torch.from_numpy(share.rows[list(share.sources)]).to(device)
        pixels = share.pixels.to(device, non_blocking=self._compute.pins_memory)

        # Computed in parts where memory is short: the gradients of the parts add up.
        self._optimizer.zero_grad(set_to_none=True)
        tally = torch.zeros(len(self.loss_names) + 2, device=device)
        probabilities: list[Tensor] = []
        parts = np.array_split(np.arange(len(share.rows)), self._options.accumulate)
        for number, positions in enumerate(parts, start=1):
            is_last = number == len(parts)
            part = slice(int(positions[0]), int(positions[-1]) + 1)
            images = normalise(pixels[part], self._card.mean, self._card.std)
            images = images.contiguous(memory_format=torch.channels_last)
            with self._exchange(is_last):
                with self._compute.autocast():
                    output = self._parallel(images)
                losses = self._loss(
                    output.primary,
                    output.attention,
                    self._labels[shown[part]],
                    self._history.std(shown[part]),
                )
                of_all = torch.stack([losses.total, losses.primary, *losses.attention])
                tally[:-2] += of_all.detach() * len(positions)
                probabilities.append(output.logits.detach().sigmoid())
                if is_last:
                    tally[-2] = share.own.count(False)
                    tally[-1] = stop
                    told = _Told(group.all_reduce(tally))
                # Processes average their gradients; the mean is over the whole batch's images.
                weight = len(positions) * group.world_size / len(share.batch)
                self._scaler.scale(losses.total * weight).backward()

        *sums, replaced_in_all, stop_asked = told.values()
        learnt = all(map(math.isfinite, sums))
        if learnt:
            if remember:
                self._remember(share, torch.cat(probabilities), replaced_in_all > 0)
            self._improve()
        else:
            self._restore_buffers()
        self._advance_schedule()
        return StepResult(
            dict(zip(self.loss_names, sums, strict=True)),
            learnt,
            round(replaced_in_all),
            stop_asked > 0,
        )

    def epoch_scored(self, score: float) -> None:
        """Let the schedule know how good the model was on val."""
        if isinstance(self._schedule, ReduceLROnPlateau):
            self._schedule.step(score)

    def is_sound(self) -> bool:
        """Whether all weights are numbers."""
        finite = [torch.isfinite(p).all() for p in self.model.parameters()]
        return bool(torch.stack(finite).all())

    def state_dict(self) -> dict[str, Any]:
        """All that learning on needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict() if self.average else None,
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "scaler": self._scaler.state_dict(),
            "history": self._history.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            KeyError, ValueError, RuntimeError: it is another learner's.
        """
        self.model.load_state_dict(state["model"])
        if self.average:
            self.average.load_state_dict(state["ema"])
        # Which kernel computes the step is this device's, not the one's that saved it.
        fused = [group.get("fused") for group in self._optimizer.param_groups]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, before in zip(self._optimizer.param_groups, fused, strict=True):
            group["fused"] = before
        self._schedule.load_state_dict(state["schedule"])
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        self._history.load_state_dict(state["history"])

    def _exchange(self, is_last: bool) -> AbstractContextManager[None]:
        """Gradients are exchanged once a step, after its last part."""
        if isinstance(self._parallel, DistributedDataParallel) and not is_last:
            return self._parallel.no_sync()
        return contextlib.nullcontext()

    def _remember(self, share: Share, probabilities: Tensor, any_replaced: bool) -> None:
        """Put the predictions for the batch's own pictures into the history, in every process.

        After the loss has read it: H at an epoch holds only the epochs before.
        """
        own = torch.tensor(share.own, dtype=probabilities.dtype, device=probabilities.device)
        told = torch.cat([probabilities, own[:, None]], dim=1)
        together = self._group.all_gather(told, len(share.batch))
        rows = torch.from_numpy(share.batch).to(probabilities.device)
        if any_replaced:
            is_own = together[:, -1] > 0
            rows, together = rows[is_own], together[is_own]
        self._history.update(rows, together[:, :-1])

    def _improve(self) -> None:
        """Take the optimiser's step."""
        if self._options.clip_norm is not None:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._options.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        if self.average:
            self.average.update(self.model)

    def _advance_schedule(self) -> None:
        if isinstance(self._schedule, LambdaLR):
            with warnings.catch_warnings():
                # The optimiser has not stepped where the step was left out or the scaler adapts.
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                self._schedule.step()

    def _keep_buffers(self) -> None:
        for kept, buffer in zip(self._buffers, self.model.buffers(), strict=False):
            kept.copy_(buffer)

    def _restore_buffers(self) -> None:
        """Running means of batch normalisation that a bad batch has gone into."""
        for kept, buffer in zip(self._buffers, self.model.buffers(), strict=False):
            buffer.copy_(kept)


def _parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model, whose gradients are averaged over the processes while they are computed."""
    # The covering convolution's kernel is a few numbers a channel: its layout costs nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.index is not None else None,
            # Running means do not guide training; broadcast_buffers sets them before they are used.
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )


class _Told:
    """Numbers on their way from a GPU to the host, while it goes on computing.

    The copy is behind the forward pass in the device's queue. Read after the backward pass is
    launched, it does not leave the device without work.
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
        """The numbers, once they are here."""
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._host.tolist()
        return values
