"""The processes that do one piece of work together, as torchrun starts them."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from vaa_cli.core.errors import VAAError, one_line

if TYPE_CHECKING:
    from torch import Tensor, nn

# How the backends that raise plain RuntimeErrors put it.
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)")
# What torchrun tells each process that it starts.
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class ProcessGroup:
    """This process's place among those that work together; a group of one needs nothing.

    Every process calls the same methods in the same order. Tensors are on a CPU or a CUDA GPU.

    Attributes:
        rank: this process, from 0.
        size: how many there are, on all hosts.
        local_rank: this process among those of its host.
        local_size: how many there are on this host.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def from_environment(cls) -> "ProcessGroup":
        """As torchrun tells it; a group of one where it does not.

        Raises:
            VAAError: it tells no numbers.
        """
        values = [os.environ.get(name) for name in _VARIABLES]
        if None in values:
            return cls()
        try:
            group = cls(*(int(value or "") for value in values))
        except ValueError as error:
            raise VAAError(f"{', '.join(_VARIABLES)} are no numbers ({error})") from error
        if not 0 <= group.rank < group.world_size:
            raise VAAError(
                f"there is no process {group.rank} of {group.world_size} (RANK, WORLD_SIZE)"
            )
        return group

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    @contextmanager
    def connected(self) -> Iterator[None]:
        """The processes connected, as long as the block lasts; leaves a group of one alone.

        Raises:
            VAAError: they cannot be connected, or another one ended amidst the work.
        """
        if self.world_size == 1:
            yield
            return
        import torch
        import torch.distributed as dist

        # Each kind of tensor goes its own way: what is said between processes needs no GPU.
        ways = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "cpu:gloo"
        try:
            dist.init_process_group(ways)
        except (RuntimeError, ValueError) as error:
            raise VAAError(
                f"{self.world_size} processes cannot be connected ({one_line(error)}); "
                "start them with torchrun"
            ) from error
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and not _LOST.search(str(error)):
                raise
            raise VAAError(
                f"process {self.rank} of {self.world_size} lost the others ({one_line(error, 100)}); "
                "the one that ended first tells why"
            ) from error
        # Not after an error: then others may be waiting for this process, and so would it.
        dist.destroy_process_group()

    def shard(self, count: int) -> range:
        """Which of `count` items are this process's: every size-th one."""
        return range(self.rank, count, self.world_size)

    def all_reduce(self, tensor: "Tensor") -> "Tensor":
        """The sum over all processes, in place."""
        if self.world_size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def all_gather(self, rows: "Tensor", count: int) -> "Tensor":
        """The rows of all processes in the order of the items that `share` dealt out.

        Args:
            rows: `[k x c]`, of this process's share of the items.
            count: how many items there are.

        Returns:
            `[count x c]`, the same in every process.
        """
        if self.world_size == 1:
            return rows
        import torch
        import torch.distributed as dist

        # Shares differ by one at most; all send as many rows as the largest has.
        largest = -(-count // self.world_size)
        sent = rows.new_zeros((largest, *rows.shape[1:]))
        sent[: len(rows)] = rows
        received = [torch.empty_like(sent) for _ in range(self.world_size)]
        dist.all_gather(received, sent)
        return torch.stack(received, dim=1).flatten(0, 1)[:count]

    def broadcast_text(self, text: str) -> str:
        """The first process's text, in every process."""
        return self.all_gather_texts(text if self.is_main else "")[0]

    def all_gather_texts(self, text: str) -> list[str]:
        """The texts of all processes, by rank, in every process."""
        if self.world_size == 1:
            return [text]
        import torch
        import torch.distributed as dist

        own = bytearray(text.encode(errors="surrogateescape"))
        lengths = torch.zeros(self.world_size, dtype=torch.int64)
        lengths[self.rank] = len(own)
        sizes = [int(size) for size in self.all_reduce(lengths).tolist()]
        sent = torch.zeros(max(sizes), dtype=torch.uint8)
        if own:
            sent[: len(own)] = torch.frombuffer(own, dtype=torch.uint8)
        received = [torch.empty_like(sent) for _ in sizes]
        dist.all_gather(received, sent)
        return [
            letters[:size].numpy().tobytes().decode("utf-8", errors="surrogateescape")
            for letters, size in zip(received, sizes, strict=True)
        ]

    def all_gather_problems(self, problems: dict[int, str]) -> dict[int, str]:
        """What is wrong with which rows, from all processes, in every process."""
        everything: dict[int, str] = {}
        for text in self.all_gather_texts(json.dumps(problems)):
            everything |= {int(row): problem for row, problem in json.loads(text).items()}
        return everything

    def any(self, yes: bool) -> bool:
        """Whether it is so in any process."""
        if self.world_size == 1:
            return yes
        import torch

        return bool(self.all_reduce(torch.tensor(float(yes))).item())

    def broadcast_buffers(self, modules: Iterable["nn.Module"]) -> None:
        """Give the buffers of modules the first process's values, as running means differ."""
        if self.world_size > 1:
            import torch.distributed as dist

            for module in modules:
                for buffer in module.buffers():
                    dist.broadcast(buffer, 0)


def end_process(code: int) -> NoReturn:
    """End this process with an exit code, also when an error left it connected to others.

    As the interpreter shuts down, gloo's threads of such a process may abort it
    (pytorch/pytorch#179291), and its exit code would be lost: then it ends without that.
    """
    distributed = sys.modules.get("torch.distributed")  # not imported for this
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    sys.exit(code)
