"""From a dataset folder to a prepared folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Source:
    """Where rows were read from, and what is known of them.

    Attributes:
        folder: the dataset folder, which no picture may leave.
        checked: whether `vaa prepare` looked at the pictures before.
    """

    name: str
    format: str
    folder: Path
    box_margin: float
    checked: bool = False
