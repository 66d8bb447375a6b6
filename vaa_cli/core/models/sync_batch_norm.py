"""Batch normalisation by the statistics of all processes' samples together."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


def synchronise(model: nn.Module, device: torch.device) -> nn.Module:
    """Make all batch normalisation of a model see the samples of all processes.

    Args:
        model: changed in place; its weights and buffers keep their names.
        device: its device. On CUDA it gets torch's own `SyncBatchNorm`, which a CPU cannot run.

    Returns:
        The model, which is another object only if it was a batch normalisation itself.
    """
    if device.type == "cuda":
        convert: Callable[[nn.Module], nn.Module] = nn.SyncBatchNorm.convert_sync_batchnorm
        return convert(model)
    if isinstance(model, nn.BatchNorm2d):
        return same_norm(model, _SyncBatchNorm2d)
    for name, child in model.named_children():
        setattr(model, name, synchronise(child, device))
    return model


def same_norm(norm: nn.BatchNorm2d, kind: type[nn.BatchNorm2d]) -> nn.BatchNorm2d:
    """The same normalisation as a module of another kind, with the same tensors."""
    other = kind(
        norm.num_features,
        norm.eps,
        norm.momentum,
        norm.affine,
        norm.track_running_stats,
        device="meta",
    )
    other._parameters, other._buffers = norm._parameters, norm._buffers
    return other.train(norm.training)


class _SyncBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over all processes while it trains; the processes' batches may differ."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise `[n x c x h x w]`."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        # In float32: squares of half precision overflow, and small batches' sums do not add up.
        values = input.float()
        count = values.new_tensor([input.numel() // input.shape[1]])
        sums = _SumOverProcesses.apply(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centred = values - mean[:, None, None]
        # Around the mean of all, not E[x²] − E[x]²: that difference cancels to nothing.
        variance = _SumOverProcesses.apply(centred.square().sum(dim=(0, 2, 3))) / total
        self._track(mean.detach(), variance.detach() * total / (total - 1))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        result: Tensor = centred * scale[:, None, None]
        if self.affine:
            result = result + self.bias[:, None, None]
        return result.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        """Move the running statistics, as `nn.BatchNorm2d` does."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        factor = self.momentum
        if factor is None:  # the mean over all batches
            factor = 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(unbiased_variance, factor)


class _SumOverProcesses(Function):
    """The sum of the processes' tensors. Each has its part in all sums, and so in all gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
