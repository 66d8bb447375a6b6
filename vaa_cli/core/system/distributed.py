"""The processes that share one piece of work, as torchrun starts them."""

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

# Messages of the backends that raise plain RuntimeErrors.
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)")
# The environment variables that torchrun sets in each process.
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that share the work; a group of one needs nothing.

    Every process calls the same methods in the same order. Tensors are on a CPU or a CUDA GPU.

    Attributes:
        rank: number of this process, from 0.
        world_size: number of processes on all hosts.
        local_rank: number of this process on its host.
        local_world_size: number of processes on its host.

    Example:
        >>> group = ProcessGroup(rank=1, world_size=4)
        >>> list(group.shard(10))
        [1, 5, 9]
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def from_environment(cls) -> "ProcessGroup":
        """The group that torchrun set up; a group of one without torchrun.

        Raises:
            VAAError: the environment variables are wrong.
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
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Connect the processes for the time of the block; does nothing in a group of one.

        Raises:
            VAAError: they cannot be connected, or another process ended during the block.
        """
        if self.world_size == 1:
            yield
            return
        import torch
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        # Each kind of tensor has its own backend: texts between processes need no GPU.
        backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "cpu:gloo"
        try:
            if attempt := int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0):
                # torchrun may keep its store when it starts the ranks again, with the addresses of
                # those that are gone: ranks that find them wait for ever, or fail.
                store, rank, world_size = next(rendezvous("env://"))
                again = dist.PrefixStore(f"attempt-{attempt}", store)  # type: ignore[attr-defined]
                dist.init_process_group(backends, store=again, rank=rank, world_size=world_size)
            else:
                dist.init_process_group(backends)
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
                f"process {self.rank} of {self.world_size} lost the others "
                f"({one_line(error, 100)}); the one that ended first has the reason"
            ) from error
        # Not after an error: others may then wait for this process, and it would wait for them.
        dist.destroy_process_group()

    def shard(self, count: int) -> range:
        """Positions of this process's shard of `count` items: every world_size-th one."""
        return range(self.rank, count, self.world_size)

    def all_reduce(self, tensor: "Tensor") -> "Tensor":
        """Sum a tensor over all processes, in place."""
        if self.world_size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def all_gather(self, rows: "Tensor", count: int) -> "Tensor":
        """Gather the rows of all shards, in the order of the items.

        Args:
            rows: `[k x c]`, rows of this process's shard.
            count: number of items in all shards.

        Returns:
            `[count x c]`, the same in every process.
        """
        if self.world_size == 1:
            return rows
        import torch
        import torch.distributed as dist

        # Shards differ by one row at most; all send as many rows as the largest has.
        largest = -(-count // self.world_size)
        sent = rows.new_zeros((largest, *rows.shape[1:]))
        sent[: len(rows)] = rows
        received = [torch.empty_like(sent) for _ in range(self.world_size)]
        dist.all_gather(received, sent)
        return torch.stack(received, dim=1).flatten(0, 1)[:count]

    def broadcast_text(self, text: str) -> str:
        """The text of the first process, in every process."""
        return self.all_gather_texts(text if self.is_main else "")[0]

    def all_gather_texts(self, text: str) -> list[str]:
        """The texts of all processes, by rank, in every process."""
        if self.world_size == 1:
            return [text]
        import torch
        import torch.distributed as dist

        content = bytearray(text.encode(errors="surrogateescape"))
        lengths = torch.zeros(self.world_size, dtype=torch.int64)
        lengths[self.rank] = len(content)
        sizes = [int(size) for size in self.all_reduce(lengths).tolist()]
        sent = torch.zeros(max(sizes), dtype=torch.uint8)
        if content:
            sent[: len(content)] = torch.frombuffer(content, dtype=torch.uint8)
        received = [torch.empty_like(sent) for _ in sizes]
        dist.all_gather(received, sent)
        return [
            letters[:size].numpy().tobytes().decode("utf-8", errors="surrogateescape")
            for letters, size in zip(received, sizes, strict=True)
        ]

    def all_gather_problems(self, problems: dict[int, str]) -> dict[int, str]:
        """The problems of rows that all processes found, in every process."""
        gathered: dict[int, str] = {}
        for text in self.all_gather_texts(json.dumps(problems)):
            gathered |= {int(row): problem for row, problem in json.loads(text).items()}
        return gathered

    def any(self, value: bool) -> bool:
        """Whether a value is true in any process."""
        if self.world_size == 1:
            return value
        import torch

        return bool(self.all_reduce(torch.tensor(float(value))).item())

    def average_buffers(self, modules: Iterable["nn.Module"]) -> None:
        """Give the buffers of modules, such as running statistics, the mean over the processes.

        Counts, which are integers, are the first process's.
        """
        if self.world_size > 1:
            import torch.distributed as dist

            for module in modules:
                for buffer in module.buffers():
                    if buffer.is_floating_point():
                        dist.all_reduce(buffer)
                        buffer /= self.world_size
                    else:
                        dist.broadcast(buffer, 0)


def end_process(code: int) -> NoReturn:
    """End this process with an exit code, also where an error left it connected to others.

    While the interpreter shuts down, threads of gloo may abort such a process
    (pytorch/pytorch#179291), and its exit code would be lost. It then ends without shutting down.
    """
    distributed = sys.modules.get("torch.distributed")  # not imported for this
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # its reader may have closed it
                stream.flush()
        os._exit(code)
    sys.exit(code)
