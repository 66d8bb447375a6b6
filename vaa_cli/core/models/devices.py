"""The device and the precision that a model is computed with."""

from dataclasses import dataclass
from typing import get_args

import torch

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.names import PrecisionName

PRECISIONS: tuple[str, ...] = get_args(PrecisionName)
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """A device and the precision that suits it.

    Attributes:
        device: device of the tensors.
        precision: `fp32`, `bf16` or `fp16`.
    """

    device: torch.device
    precision: str

    @classmethod
    def choose(
        cls, device: str = "auto", precision: str = "auto", local_rank: int = 0
    ) -> "Compute":
        """Resolve `auto` for this machine.

        Args:
            device: `auto` (a GPU if there is one), or what torch calls it: cpu, cuda, cuda:1, mps.
            precision: `auto` (bf16 where the device computes in it, else fp16 on CUDA, else fp32)
                or one of `PRECISIONS`.
            local_rank: this process among those of this machine that work together; each has the
                GPU of its number, where the device does not name one.

        Raises:
            VAAError: the device is not here, or the precision is unknown.
        """
        if precision not in PRECISIONS:
            raise VAAError(f"unknown precision {precision!r}; use {', '.join(PRECISIONS)}")
        where = _device(device, local_rank)
        if precision == "fp16" and where.type == "cpu":
            raise VAAError("fp16 is not for training or predicting on a CPU; use bf16 or fp32")
        if precision == "auto":
            precision = _best_precision(where)
        return cls(where, precision)

    def autocast(self) -> torch.autocast:
        """A context in which the model is computed in this precision."""
        kind = _TYPES.get(self.precision)
        return torch.autocast(self.device.type, dtype=kind, enabled=kind is not None)

    @property
    def needs_scaler(self) -> bool:
        """Whether gradients must be scaled to be represented: fp16 only."""
        return self.precision == "fp16"

    @property
    def pins_memory(self) -> bool:
        """Whether batches in page-locked memory reach the device faster."""
        return self.device.type == "cuda"

    def __str__(self) -> str:
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else ""
        return f"{self.device}{name and f' ({name})'}, {self.precision}"


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means that memory is used up."""
    # On a CPU it is a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def is_compiler_error(error: Exception) -> bool:
    """Whether an error comes from `torch.compile`."""
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            name = "cuda"
        else:
            return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cuda" and local_rank:
        name = f"cuda:{local_rank}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
        if device.type == "cuda" and device.index is not None:
            torch.cuda.set_device(device)  # NCCL talks to the current one
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise VAAError(f"no device {name!r} here; use auto or cpu") from error
    return device


def _best_precision(device: torch.device) -> str:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        # Only where the processor itself multiplies bf16: emulated, it is slower than float32.
        native = any(
            getattr(torch.cpu, check, lambda: False)()
            for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
        return "bf16" if native else "fp32"
    return "fp32"
