"""An ablation on the terminal: a bar for the training that goes on, and a line for each."""

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, say, warn
from vaa_cli.core.training.events import (
    Event,
    Finished,
    Started,
    StepReport,
    TrainingWarning,
)

if TYPE_CHECKING:
    from vaa_cli.core.training.ablation import AblationRun


class AblationDisplay:
    """Shows the trainings of an ablation while it is entered.

    Args:
        total: number of trainings.
        done: number of those that were done before.
    """

    def __init__(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._steps = 0
        self._name = ""
        self._started = time.monotonic()
        self._task: TaskID | None = None
        self._bar = progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )

    def __enter__(self) -> "AblationDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, run: "AblationRun") -> None:
        """Note the training that begins."""
        self._done += 1
        self._name = f"{self._done}/{self._total} {run.variant.name}, seed {run.seed}"
        self._started = time.monotonic()

    def show(self, event: Event) -> None:
        """Show an event of the training that goes on."""
        match event:
            case Started():
                self._steps = event.steps
                if self._task is not None:
                    self._bar.remove_task(self._task)
                done = event.epochs_done * event.steps + event.steps_done
                total = event.steps * event.epochs
                self._task = self._bar.add_task(self._name, total=total, completed=done, speed="")
            case StepReport() if self._task is not None:
                done = (event.epoch - 1) * self._steps + event.step
                speed = f"{event.images_per_second:.0f} img/s"
                self._bar.update(self._task, completed=done, speed=speed)
            case TrainingWarning():
                warn(f"{self._name}: {event.message}")
            case Finished():
                seconds = time.monotonic() - self._started
                say(
                    f"{self._name}: val {event.best_score:.4f} in epoch {event.best_epoch}, "
                    f"{seconds:,.0f} s"
                )
