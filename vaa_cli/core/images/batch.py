"""A batch of decoded pictures, and where batches come from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import Request


@dataclass(frozen=True)
class Batch:
    """Decoded pictures.

    Attributes:
        requests: the requests, `n` of them.
        pixels: `[m x 3 x h x w]` uint8, the pictures that could be decoded.
        decoded: the positions of these `m` among the requests.
        problems: what is wrong with each of the others, by position.
    """

    requests: list[Request]
    pixels: Tensor
    decoded: list[int]
    problems: dict[int, str]

    def filled(self) -> tuple[Tensor, list[int]]:
        """A picture for every request, so that training goes on without the broken ones.

        Returns:
            `[n x 3 x h x w]`, in which other pictures of the batch stand in for the broken ones,
            taken evenly from all of them; and the position of the picture at each of the `n`
            positions.

        Raises:
            VAAError: none could be decoded.
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
        index = {position: i for i, position in enumerate(self.decoded)}
        return self.pixels[[index[position] for position in sources]], sources


class BatchSource(Protocol):
    """A source of batches: decoded as they are needed, or kept in memory."""

    def load(self, batches: Iterable[list[Request]]) -> Iterator[Batch]:
        """A batch for each list of requests, in order. One such pass at a time."""
        ...
