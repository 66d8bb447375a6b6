"""Trainings in series on the terminal: a bar for the one that goes on, and a line for each."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, quote, say, warn
from vaa_cli.commands.train import say_stopping
from vaa_cli.core.training.events import (
    Event,
    Finished,
    Started,
    StepReport,
    TrainingWarning,
)

if TYPE_CHECKING:
    from vaa_cli.core.training.run_series import PlannedRun


class SeriesDisplay:
    """Shows the trainings of a series while it is entered.

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

    def __enter__(self) -> "SeriesDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, run: "PlannedRun") -> None:
        """Note the training that begins."""
        self._done += 1
        self._name = f"{self._done}/{self._total} {run.name}"
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


def train_shown(runs: "Sequence[PlannedRun]", where: Path) -> int:
    """Train those runs of a series that are not trained yet.

    Args:
        runs: all of them.
        where: the folder that they are in.

    Returns:
        The signal that stopped it, or 0.
    """
    from vaa_cli.core.training.run_series import is_finished, train_series
    from vaa_cli.core.training.stop_request import StopRequest

    left = [run for run in runs if not is_finished(run)]
    say(f"{len(runs)} trainings in {where}, of which {len(runs) - len(left)} are done")
    display = SeriesDisplay(len(runs), len(runs) - len(left))
    with display, StopRequest(say_stopping) as stop:
        end = train_series(left, stop, display.begin, display.show)
    if end:
        say(f"stopped; the same command goes on with {quote(where)}")
    return end.signal if end else 0
