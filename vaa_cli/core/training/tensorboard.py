"""Curves and attention maps of a training as TensorBoard's files, where it is installed."""

import importlib.util
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.batch import BatchSource
from vaa_cli.core.images.overlay import Pixels, attention_grid
from vaa_cli.core.images.requests import batched, table_requests
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.training.validation import Validator

_FLUSH_EVERY = 30  # seconds
# Steps between points of the curves; pictures and attributes on a sheet of attention maps.
_POINT_EVERY, _SHOWN_PICTURES, _SHOWN_ATTRIBUTES = 10, 4, 6


def available() -> bool:
    """Whether the package tensorboard is installed; does not load it."""
    return importlib.util.find_spec("tensorboard") is not None


def require_tensorboard() -> None:
    """Check that TensorBoard's files can be written.

    Raises:
        VAAError: tensorboard is not installed.
    """
    if not available():
        raise VAAError("`tensorboard` needs tensorboard, which is not installed; pip install it")


class TensorBoardLog:
    """Writes TensorBoard's files into a run folder. A failure ends no training.

    Args:
        run: the run folder.
        from_step: the step that the training goes on from; later steps of earlier files are void.

    Attributes:
        problem: why nothing is written any more; empty while there is no problem.
    """

    def __init__(self, run: Path, from_step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.problem = ""
        self._writer: Any = None
        # The writer's thread would print its error; it is reported with the next write instead.
        self._hook = threading.excepthook
        threading.excepthook = self._not_of_the_writer
        with self._stopped_by_errors():
            self._writer = SummaryWriter(
                str(run), purge_step=from_step or None, flush_secs=_FLUSH_EVERY
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add points to curves, by name; NaN is left out."""
        for name, value in values.items():
            if not math.isnan(value):
                self._write(lambda writer: writer.add_scalar(name, value, step))  # noqa: B023

    def picture(self, step: int, name: str, sheet: Pixels) -> None:
        """Add a picture, `[h x w x 3]` uint8."""
        self._write(lambda writer: writer.add_image(name, sheet, step, dataformats="HWC"))

    def close(self) -> None:
        """Write all that is left, and close the file."""
        self._write(lambda writer: writer.close())
        self._writer = None
        threading.excepthook = self._hook

    def _write(self, write: Callable[[Any], None]) -> None:
        if self._writer is not None and not self.problem:
            with self._stopped_by_errors():
                write(self._writer)

    @contextmanager
    def _stopped_by_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.problem = error.strerror or str(error)

    def _not_of_the_writer(self, arguments: threading.ExceptHookArgs) -> None:
        if type(arguments.thread).__module__.startswith("tensorboard."):
            return
        self._hook(arguments)


class TrainingBoard:
    """The curves and attention maps of a training.

    Args:
        log: the files.
    """

    def __init__(self, log: TensorBoardLog) -> None:
        self._log = log

    @classmethod
    def open(cls, run: Path, from_step: int, wanted: bool | None) -> "TrainingBoard | None":
        """Open the files of a run.

        Args:
            run: the run folder.
            from_step: the step that the training goes on from.
            wanted: whether the files are written; None writes them where the package is installed.
        """
        if not (available() if wanted is None else wanted):
            return None
        return cls(TensorBoardLog(run, from_step))

    @property
    def problem(self) -> str:
        """Why nothing is written any more; empty while there is no problem."""
        return self._log.problem

    def step(
        self, step: int, losses: Mapping[str, float], lr: float, images_per_second: float
    ) -> None:
        """Add points to the curves of an epoch, at some of its steps."""
        if step % _POINT_EVERY:
            return
        figures = {f"train/{name}": value for name, value in losses.items()}
        figures |= {"train/lr": lr, "images_per_second": images_per_second}
        self._log.scalars(step, figures)

    def epoch(
        self,
        step: int,
        row: Mapping[str, float],
        validator: Validator,
        source: BatchSource,
        val: LabelTable,
        attributes: Sequence[int],
    ) -> None:
        """Add an epoch's points to the curves, and attention maps of a few pictures of val.

        Args:
            step: steps since the beginning of the training.
            row: the epoch's row of log.csv.
            validator: the model.
            source: decodes the pictures.
            val: the validation split.
            attributes: positions of the attributes that vary, of which the first are shown.
        """
        figures = {f"epoch/{name}": value for name, value in row.items() if name != "epoch"}
        self._log.scalars(step, figures)
        requests = table_requests(val, range(min(_SHOWN_PICTURES, len(val))))
        for batch in source.load(batched(requests, _SHOWN_PICTURES)):
            if not batch.decoded:
                return
            output = validator.output(batch.pixels)
            for stage, maps in zip(validator.model.stages, output.maps, strict=True):
                shown = attributes[:_SHOWN_ATTRIBUTES]
                sheet = attention_grid(batch.pixels, maps.weighted.cpu(), shown)
                self._log.picture(step, f"attention, stage {stage}", sheet)

    def close(self) -> None:
        """Write all that is left, and close the files."""
        self._log.close()
