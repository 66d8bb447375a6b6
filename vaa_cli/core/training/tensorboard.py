"""Curves and pictures of a training for TensorBoard, as far as it is installed."""

import importlib.util
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.overlay import Pixels

_FLUSH_EVERY = 30  # seconds


def available() -> bool:
    """Whether the package tensorboard is installed; does not load it."""
    return importlib.util.find_spec("tensorboard") is not None


def require_tensorboard() -> None:
    """Make sure that TensorBoard's files can be written.

    Raises:
        VAAError: tensorboard is not installed.
    """
    if not available():
        raise VAAError("--tensorboard needs tensorboard, which is not installed; pip install it")


class TensorBoardLog:
    """Writes TensorBoard's files into a run folder. Failing to ends no training.

    Args:
        run: the folder.
        from_step: where the training goes on: what an earlier file says of later steps is void.

    Attributes:
        problem: why nothing is written any more; empty while all is well.
    """

    def __init__(self, run: Path, from_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.problem = ""
        self._writer: Any = None
        # Its thread says what it dies of on stderr; it is told where the next one writes.
        self._hook = threading.excepthook
        threading.excepthook = self._not_of_the_writer
        with self._stopped_by_errors():
            self._writer = SummaryWriter(
                str(run), purge_step=from_step or None, flush_secs=_FLUSH_EVERY
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Points of curves, by name; those that are no number are left out."""
        for name, value in values.items():
            if not math.isnan(value):
                self._write(lambda writer: writer.add_scalar(name, value, step))  # noqa: B023

    def picture(self, step: int, name: str, sheet: Pixels) -> None:
        """A picture, `[h x w x 3]` uint8."""
        self._write(lambda writer: writer.add_image(name, sheet, step, dataformats="HWC"))

    def close(self) -> None:
        """Write what is left."""
        self._write(lambda writer: writer.close())
        self._writer = None
        threading.excepthook = self._hook

    def _write(self, what: Callable[[Any], None]) -> None:
        if self._writer is not None and not self.problem:
            with self._stopped_by_errors():
                what(self._writer)

    @contextmanager
    def _stopped_by_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _not_of_the_writer(self, told: threading.ExceptHookArgs) -> None:
        if type(told.thread).__module__.startswith("tensorboard."):
            return
        self._hook(told)
