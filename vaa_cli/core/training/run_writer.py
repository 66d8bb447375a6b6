"""What a training leaves in its run folder, in the order that lets it be stopped anywhere."""

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard, read_card
from vaa_cli.core.models.model_file import save_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.runs.folder import (
    BEST,
    BEST_AVERAGE,
    LAST,
    go_back,
    keep_earlier,
    set_aside,
)
from vaa_cli.core.runs.log import write_log
from vaa_cli.core.runs.lookup import mark_latest
from vaa_cli.core.system.files import writing_errors
from vaa_cli.core.training.checkpoint import SCHEMA, save_state
from vaa_cli.core.training.progress import Best, Progress
from vaa_cli.core.training.train_state import TrainState


class RunWriter:
    """Writes a training's files; only one process of those that train together has it.

    Args:
        run: the run folder.
        learner: what is saved.
        card: what the model is like.
        about: what else a checkpoint holds, plain values by name.
        save_every: seconds between checkpoints within an epoch; 0 for none.
        keep: how many checkpoints stay.
    """

    def __init__(
        self,
        run: Path,
        learner: TrainState,
        card: ModelCard,
        about: dict[str, Any],
        save_every: float,
        keep: int,
    ) -> None:
        self._run, self._learner, self._card, self._about = run, learner, card, about
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
            progress: where the training stands.
            steps: done in all.

        Raises:
            VAAError: it cannot be written, and the one before is whole; or the weights are no
                numbers, and would be lost with it.
        """
        if not self._learner.is_sound():
            raise VAAError(
                f"the weights are no numbers after {progress}{self.kept()}; "
                "try a smaller --lr or --precision fp32 in a new run"
            )
        with self._hint():
            keep_earlier(self._run, self._last_steps, self._keep)
            save_state(
                self._run / LAST,
                {
                    "schema": SCHEMA,
                    **self._about,
                    "steps": steps,
                    "progress": progress.state_dict(),
                    **self._learner.state_dict(),
                },
            )
        self.saved(progress, steps)

    def saved(self, progress: Progress, steps: int) -> None:
        """Take note that the checkpoint in the folder is of this moment."""
        self._last, self._last_steps = str(progress), steps
        self._saved_at = time.monotonic()

    def epoch_done(self, progress: Progress, steps: int) -> None:
        """Write all files, the checkpoint first: of what is lost after it, it holds what is needed.

        Raises:
            VAAError: one cannot be written.
        """
        self.save(progress, steps)
        with self._hint():
            for kept in self._models(progress):
                if kept.best.epoch == progress.epoch:
                    self._save_model(kept, progress.log[-1])
            write_log(self._run, progress)

    def settle(self, progress: Progress, steps: int, checkpoint: Path) -> list[str]:
        """Make the files in the run folder fit the checkpoint that training goes on from.

        A best model may be missing, as training was stopped between the checkpoint and it; or be
        of a later epoch, as the checkpoint is not the last one.

        Returns:
            What the user should know of it.

        Raises:
            VAAError: they cannot be written.
        """
        told = []
        self.saved(progress, steps)
        with self._hint():
            aside = go_back(self._run, checkpoint)
            for kept in self._models(progress):
                path = self._run / kept.name
                found = _epoch_of(path)
                if found == kept.best.epoch:
                    continue
                if kept.best.epoch == progress.epoch and progress.step == 0:
                    self._save_model(kept, progress.log[-1])
                    continue
                # The weights of the best epoch are gone; from here on there is a new best.
                kept.best.forget()
                if not found:
                    told.append(f"{path} is missing; the best epoch from here on will be it")
                elif aside:
                    set_aside(aside, [path])
            write_log(self._run, progress)
        if aside:
            told.append(f"{aside} keeps what was trained after {progress}")
        return told

    def kept(self) -> str:
        """The last checkpoint, as messages go on with it."""
        return f"; {self._run / LAST} keeps {self._last}" if self._last else ""

    def _models(self, progress: Progress) -> list["_KeptModel"]:
        """The models of which the best are kept."""
        models = [_KeptModel(BEST, "val_", progress.best, self._learner.model)]
        if self._learner.average:
            average = self._learner.average.model
            models.append(_KeptModel(BEST_AVERAGE, "ema_val_", progress.best_average, average))
        return models

    def _save_model(self, kept: "_KeptModel", row: dict[str, float]) -> None:
        # NaN is no JSON.
        figures = {
            key.removeprefix(kept.prefix): None if math.isnan(value) else value
            for key, value in row.items()
            if key in (f"{kept.prefix}mA", f"{kept.prefix}mAP")
        }
        card = replace(self._card, epoch=int(row["epoch"]), validation=figures)
        save_model(self._run / kept.name, kept.model, card)
        mark_latest(self._run)

    @contextmanager
    def _hint(self) -> Iterator[None]:
        """Say of a failed write what there is to go on from."""
        try:
            with writing_errors(self._run):
                yield
        except VAAError as error:
            if not self._last:
                raise
            again = f"vaa train --resume {shlex.quote(str(self._run))}"
            raise VAAError(
                f"{error}{self.kept()}, whole; make room and go on with: {again}"
            ) from error


class _KeptModel(NamedTuple):
    """A model of which the best is kept: its file, its figures' prefix in the log, its best."""

    name: str
    prefix: str
    best: Best
    model: VAA


def _epoch_of(path: Path) -> int:
    """The epoch of a model file; 0 where there is none, or none that can be read."""
    try:
        return read_card(path).epoch if path.exists() else 0
    except VAAError:
        return 0
