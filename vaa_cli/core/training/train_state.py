"""The state of a training: everything that changes while a model learns."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.models.losses import VAALoss
from vaa_cli.core.models.prediction_history import PredictionHistory
from vaa_cli.core.models.sync_batch_norm import synchronise
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.ema import ExponentialMovingAverage, fitting_decay
from vaa_cli.core.training.optimizers import make_optimizer, make_scheduler
from vaa_cli.core.training.options import TrainingOptions

# Images by whose statistics a process normalises alone.
_FEWEST_NORMALISED = 16


class TrainState:
    """A model with its loss, prediction history, optimizer, scheduler and moving average.

    Args:
        model: the model as training starts with it, on the CPU.
        card: its card.
        data: the dataset, of which it learns `train`.
        options: the options of the training.
        steps: number of steps in an epoch.
        compute: device and precision.
        group: the processes that train together.

    Attributes:
        model: the model, on its device.
        parallel: the same model, which averages gradients over the processes.
        ema: the moving average of its weights; None where the options want none.
        normalise: scales decoded images for the backbone.
        loss: the loss.
        loss_names: names of the parts of the loss.
        labels: `[N x c]`, the labels of the training split, on the device.
        history: the prediction history of the training split; None where nothing asks for it.
        optimizer: the optimizer.
        scaler: the gradient scaler, which does nothing but for fp16.
    """

    def __init__(
        self,
        model: VAA,
        card: ModelCard,
        data: Prepared,
        options: TrainingOptions,
        steps: int,
        compute: Compute,
        group: ProcessGroup,
    ) -> None:
        recipe, device, train = options.resolved(), compute.device, data.split("train")
        model = model.to(device).to(memory_format=torch.channels_last)
        decay = fitting_decay(recipe.epochs * steps) if recipe.ema is None else recipe.ema
        self.ema = ExponentialMovingAverage(model, decay) if decay else None
        if is_synchronised(options, group):
            synchronise(model, device)
        if options.compile:
            model.compile()  # in place, so that its weights keep their names
        self.model = model
        self.parallel = _parallel(model, device) if group.world_size > 1 else model
        self.normalise = Normalisation(card.mean, card.std).to(device)
        self.loss = VAALoss(
            torch.tensor(data.priors.prior, dtype=torch.float32),
            options.gamma,
            recipe.loss_weights or "none",
            recipe.loss,
            options.attention_loss,
            options.attention_loss_weight,
            options.weigh,
        ).to(device)
        self.loss_names = ("loss", "primary", *(f"attention_{stage}" for stage in model.stages))
        self.labels = torch.from_numpy(train.labels).to(device)
        self.history: PredictionHistory | None = None
        if options.history and model.stages:
            shape = len(train), len(data.attributes), options.history
            self.history = PredictionHistory(*shape, device)
        self.optimizer = make_optimizer(
            model, recipe, options.momentum, device, options.backbone_lr_scale
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=compute.needs_scaler)
        self._scheduler = make_scheduler(self.optimizer, recipe, steps, options.warmup)
        self._clip_norm = recipe.clip_norm
        # A copy of the buffers is kept only where steps that are not finite are left out.
        buffers = model.buffers() if options.skip_bad_steps else ()
        self._buffers = [buffer.clone() for buffer in buffers]

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return float(self.optimizer.param_groups[0]["lr"])

    @property
    def models(self) -> list[VAA]:
        """The model, and that of the averaged weights if there is one."""
        return [self.model, *([self.ema.model] if self.ema else [])]

    def update(self) -> None:
        """Update the weights by their gradients, and the moving average by the weights."""
        if self._clip_norm:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self._clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model)

    def advance_scheduler(self) -> None:
        """Advance a scheduler that goes by steps."""
        if isinstance(self._scheduler, LambdaLR):
            with warnings.catch_warnings():
                # The optimizer did not step where a step was left out, or where fp16 overflowed.
                warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
                self._scheduler.step()

    def epoch_scored(self, score: float) -> None:
        """Advance a scheduler that goes by the scores on val."""
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(score)

    def keep_buffers(self) -> None:
        """Copy the running statistics, which a batch that is not finite would spoil."""
        for kept, buffer in zip(self._buffers, self.model.buffers(), strict=False):
            kept.copy_(buffer)

    def restore_buffers(self) -> None:
        """Restore the running statistics from the copy."""
        for kept, buffer in zip(self._buffers, self.model.buffers(), strict=False):
            buffer.copy_(kept)

    def is_finite(self) -> bool:
        """Whether all weights are finite."""
        finite = [torch.isfinite(p).all() for p in self.model.parameters()]
        return bool(torch.stack(finite).all())

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed training needs, as tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self._scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history.state_dict() if self.history else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what `state_dict` gave.

        Raises:
            KeyError, ValueError, RuntimeError: the state is of another training.
        """
        self.model.load_state_dict(state["model"])
        if self.ema:
            self.ema.load_state_dict(state["ema"])
        # The kernel of the optimizer's step is chosen by this device, not by the saving one.
        fused = [group.get("fused") for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        _lay_out_like_parameters(self.optimizer)
        for group, before in zip(self.optimizer.param_groups, fused, strict=True):
            group["fused"] = before
        self._scheduler.load_state_dict(state["schedule"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        if self.history:
            self.history.load_state_dict(state["history"])


def is_synchronised(options: TrainingOptions, group: ProcessGroup) -> bool:
    """Whether batch normalisation is over the images of all processes.

    By the images of few, its statistics are too rough: by themselves, processes with fewer than 16
    at a time share theirs.
    """
    if group.world_size == 1 or options.sync_bn is not None:
        return bool(options.sync_bn) and group.world_size > 1
    at_once = group.world_size * options.accumulate
    return options.resolved().batch_size < _FEWEST_NORMALISED * at_once


def _lay_out_like_parameters(optimizer: torch.optim.Optimizer) -> None:
    """Give the optimizer's moments the memory layout of their parameters.

    Fused steps go through memory in its order, and take both to have the same one.
    """
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with gradients that are averaged over the processes while they are computed."""
    # The covering convolution's kernel is a few numbers a channel: its layout costs nothing.
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.index is not None else None,
            # Running statistics do not guide training, and are averaged before they are used.
            broadcast_buffers=False,
            gradient_as_bucket_view=True,
        )
