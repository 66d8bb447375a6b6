"""The files of a training, written in an order that lets it be stopped at any moment."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import ResumableError, VAAError
from vaa_cli.core.models.card import ModelCard, read_card
from vaa_cli.core.models.model_file import save_model
from vaa_cli.core.runs.folder import (
    BEST,
    LAST,
    go_back,
    keep_earlier,
    set_aside,
)
from vaa_cli.core.runs.log import write_faults, write_log
from vaa_cli.core.runs.lookup import mark_latest
from vaa_cli.core.system.files import writing_errors
from vaa_cli.core.training.checkpoint import SCHEMA
from vaa_cli.core.training.progress import Progress
from vaa_cli.core.training.state_file import write_state
from vaa_cli.core.training.train_state import TrainState


class RunWriter:
    """Writes the files of a training; only the first process of a group has one.

    Args:
        run: the run folder.
        state: the state of the training.
        card: the card of the model.
        about: further entries of a checkpoint, plain values by name.
        save_every: seconds between checkpoints within an epoch; 0 for none.
        keep: number of checkpoints that are kept.
    """

    def __init__(
        self,
        run: Path,
        state: TrainState,
        card: ModelCard,
        about: dict[str, Any],
        save_every: float,
        keep: int,
    ) -> None:
        self._run, self._state, self._card, self._about = run, state, card, about
        self._save_every, self._keep = save_every, keep
        self._saved_at = time.monotonic()
        self._last = ""
        self._last_steps = 0

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is so old that the next step should be followed by one."""
        return 0 < self._save_every <= time.monotonic() - self._saved_at

    def save(self, progress: Progress, steps: int) -> None:
        """Write the checkpoint.

        Args:
            progress: the position of the training.
            steps: number of steps in all.

        Raises:
            VAAError: the file cannot be written, and the checkpoint before it is whole; or the
                weights are not finite, and the good ones would be lost.
        """
        if not self._state.is_finite():
            raise VAAError(
                f"the weights are no numbers after {progress}{self.kept()}; "
                "try a smaller `lr` or `precision=fp32` in a new run"
            )
        with self._resumable():
            keep_earlier(self._run, self._last_steps, self._keep)
            write_state(
                self._run / LAST,
                {
                    "schema": SCHEMA,
                    **self._about,
                    "steps": steps,
                    "progress": progress.state_dict(),
                    **self._state.state_dict(),
                },
            )
        self.saved(progress, steps)

    def saved(self, progress: Progress, steps: int) -> None:
        """Note that the checkpoint in the folder is of this moment."""
        self._last, self._last_steps = str(progress), steps
        self._saved_at = time.monotonic()

    def epoch_done(self, progress: Progress, steps: int) -> None:
        """Write all files; the checkpoint first, from which the others can be made again.

        Raises:
            VAAError: a file cannot be written.
        """
        self.save(progress, steps)
        with self._resumable():
            if progress.best.epoch == progress.epoch:
                self._save_best(progress)
            self._write_tables(progress)

    def settle(self, progress: Progress, steps: int, checkpoint: Path) -> list[str]:
        """Make the files in the run folder agree with the checkpoint that training goes on from.

        A best model may be missing, where training was stopped between the checkpoint and it; or be
        of a later epoch, where the checkpoint is not the last one.

        Returns:
            Warnings for the user.

        Raises:
            VAAError: a file cannot be written.
        """
        warnings = []
        self.saved(progress, steps)
        with self._resumable():
            aside = go_back(self._run, checkpoint)
            path, best = self._run / BEST, progress.best
            found = _epoch_of(path)
            if found != best.epoch:
                if best.epoch == progress.epoch and progress.step == 0:
                    self._save_best(progress)
                else:
                    # The weights of the best epoch are gone; from here on there is a new best.
                    best.forget()
                    if not found:
                        lost = f"{path} is missing; the best epoch from here on will be it"
                        warnings.append(lost)
                    elif aside:
                        set_aside(aside, [path])
            self._write_tables(progress)
        if aside:
            warnings.append(f"{aside} keeps what was trained after {progress}")
        return warnings

    def kept(self) -> str:
        """A clause on the last checkpoint, for messages; empty if there is none."""
        return f"; {self._run / LAST} keeps {self._last}" if self._last else ""

    def _write_tables(self, progress: Progress) -> None:
        write_log(self._run, progress.log)
        write_faults(self._run, [asdict(fault) for fault in progress.faults])

    def _save_best(self, progress: Progress) -> None:
        """Write the model of the epoch that was just done, which is the best one."""
        best, average = progress.best, self._state.ema
        model = average.model if best.is_average and average else self._state.model
        # NaN is no JSON.
        figures = {
            key: None if math.isnan(value) else value
            for key, value in progress.best_figures().items()
            if key.endswith(("mA", "mAP"))
        }
        card = replace(self._card, epoch=best.epoch, validation=figures)
        save_model(self._run / BEST, model, card)
        mark_latest(self._run)

    @contextmanager
    def _resumable(self) -> Iterator[None]:
        """Mention the last checkpoint where writing fails."""
        try:
            with writing_errors(self._run):
                yield
        except VAAError as error:
            if not self._last:
                raise
            raise ResumableError(f"{error}{self.kept()}, whole") from error


def _epoch_of(path: Path) -> int:
    """The epoch of a model file; 0 where there is none, or none that can be read."""
    try:
        return read_card(path).epoch if path.exists() else 0
    except VAAError:
        return 0
