"""The training loop of VAA, from the start of a run to its end."""

import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.prepared import (
    Prepared,
    data_fingerprint,
    picture_digests,
    read_prepared,
)
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.batch import Batch
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.runs.folder import RUNS, create_run, locked, locked_new_run, update_config
from vaa_cli.core.runs.training_rows import table_rows, write_training_rows
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.location import Location
from vaa_cli.core.training.checkpoint import load_checkpoint
from vaa_cli.core.training.events import (
    EpochReport,
    Event,
    Finished,
    Started,
    StepReport,
    Stopped,
    TrainingWarning,
)
from vaa_cli.core.training.failures import explained_failures, not_finite, require_pictures
from vaa_cli.core.training.final_calibration import calibrate_best
from vaa_cli.core.training.initial_model import initial_model
from vaa_cli.core.training.option_sources import checked_options
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.progress import EpochSums, Progress
from vaa_cli.core.training.run_writer import RunWriter
from vaa_cli.core.training.sampling import (
    augmented_requests,
    batch_count,
    epoch_batches,
    shard_batches,
)
from vaa_cli.core.training.seeding import seed_all
from vaa_cli.core.training.setup import (
    growth,
    model_card,
    open_batch_sources,
    run_config,
    set_algorithms,
    smallest_batch,
)
from vaa_cli.core.training.step import BatchShard, StepResult, train_step
from vaa_cli.core.training.stop_request import StopRequest
from vaa_cli.core.training.tensorboard import TrainingBoard, require_tensorboard
from vaa_cli.core.training.train_state import TrainState
from vaa_cli.core.training.validation import Validator, validate_epoch

_LOGGER = logging.getLogger(__name__)


def train(
    data: Prepared | Location | str,
    options: TrainingOptions | None = None,
    run: Path | str | None = None,
    *,
    checkpoint: Path | None = None,
    group: ProcessGroup | None = None,
    stop: StopRequest | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Finished | Stopped:
    """Train a model on a prepared folder.

    Processes that train together each call this in `ProcessGroup.connected`, with the same
    arguments but for their group; the first one alone writes.

    Args:
        data: a prepared folder, or its URL; the model is trained on `train` and scored on `val`.
        options: the options; None for the defaults.
        run: the run folder to make; None for ./runs/BACKBONE-TIME.
        checkpoint: the checkpoint of an earlier training of the run to go on from.
        group: the processes that train together; None for this one alone.
        stop: a request to save and stop; None to train to the end.
        on_event: called with each event, see `training_events`.

    Returns:
        The end of the training: the best epoch, or the position that it was stopped at.

    Raises:
        VAAError: the data or an option is wrong, the loss is no longer finite, or a file cannot
            be written.

    Example:
        >>> import vaa_cli as vaa
        >>> options = vaa.TrainingOptions(
        ...     backbone="resnet18", weights="none", image_size="64x32", epochs=1, workers=0
        ... )
        >>> end = vaa.train("prepared", options, "runs/first")
        >>> end.best_epoch
        1
    """
    data = data if isinstance(data, Prepared) else read_prepared(data)
    options, group = checked_options(options or TrainingOptions()), group or ProcessGroup()
    constant = list(compress(data.attributes, data.priors.constant))
    if constant:
        names = ", ".join(constant)
        _LOGGER.warning("constant in train, so that they cannot be learned: %s", names)
    compute = Compute.choose(options.device, options.precision, group.local_rank)
    with _locked(run, options, group) as folder:
        for event in training_events(data, options, folder, compute, group, checkpoint, stop):
            on_event(event)
        assert isinstance(event, Finished | Stopped)
        end = event
        if isinstance(end, Finished) and options.calibrate and group.is_main:
            if stop is not None:
                stop.release()  # there is no step to stop after; all that was trained is saved
            for event in calibrate_best(folder, data.folder, options):
                on_event(event)
        group.any(False)  # none ends before the model is as it stays
    return end


@contextmanager
def _locked(
    run: Path | str | None, options: TrainingOptions, group: ProcessGroup
) -> Iterator[Path]:
    """The run folder, locked by the first process; a new one if none is named."""
    if not group.is_main:
        yield Path(run or RUNS)  # nothing is written there by this process
    elif run is None:
        with locked_new_run(options.backbone) as folder:
            yield folder
    else:
        with locked(Path(run)):
            yield Path(run)


def training_events(
    data: Prepared,
    options: TrainingOptions,
    run: Path,
    compute: Compute | None = None,
    group: ProcessGroup | None = None,
    checkpoint: Path | None = None,
    stop: StopRequest | None = None,
) -> Iterator[Event]:
    """Train a model as `train` does, event by event; the run folder is not locked.

    Yields:
        `Started`, a `StepReport` for each step and an `EpochReport` for each epoch, with
        `TrainingWarning`s among them, and in the end `Finished`, or `Stopped` when all that is
        needed to go on is saved.
    """
    compute = compute or Compute.choose(options.device, options.precision)
    group, stop = group or ProcessGroup(), stop or StopRequest()
    yield from _Training(data, options, run, compute, group, checkpoint, stop).events()


class _StoppedInAllProcesses(Exception):
    """All processes know that one of them was asked to stop."""


class _Training:
    """A training: `events` runs it, epoch by epoch."""

    def __init__(
        self,
        data: Prepared,
        options: TrainingOptions,
        run: Path,
        compute: Compute,
        group: ProcessGroup,
        checkpoint: Path | None,
        stop: StopRequest,
    ) -> None:
        self.data, self.options, self.run, self.checkpoint = data, options, run, checkpoint
        self.compute, self.group, self.stop = compute, group, stop
        self.recipe = options.resolved()
        self.table, self.val = data.split("train"), data.split("val")
        self.smallest = smallest_batch(options, compute, group)
        require_pictures(len(self.table), options, group, self.smallest)
        if options.tensorboard:
            require_tensorboard()
        set_algorithms(options.deterministic)

        seed_all(options.seed)
        self.steps = batch_count(len(self.table), self.recipe.batch_size, self.smallest)
        self.card = model_card(data, options)
        # A checkpoint holds all weights; those that the training began with may be gone by now.
        model = initial_model(self.card, options.weights if checkpoint is None else "none")
        self.state = TrainState(model, self.card, data, options, self.steps, compute, group)
        self.progress = Progress()
        self.about = {"options": asdict(options), "data": data_fingerprint(data)}
        if group.is_main:  # which compares and saves them
            self.about["pictures"] = picture_digests(data)
        self.board: TrainingBoard | None = None
        self.writer: RunWriter | None = None
        if group.is_main:
            every, keep = options.save_every, options.keep
            self.writer = RunWriter(run, self.state, self.card, self.about, every, keep)

    def events(self) -> Iterator[Event]:
        """Train to the end, or until a stop is asked for."""
        warnings = self._begin()
        progress = self.progress
        parameters = sum(p.numel() for p in self.state.model.parameters())
        yield Started(
            self.compute,
            self.steps,
            self.recipe.epochs,
            parameters,
            self.run,
            progress.epoch,
            progress.step,
        )
        yield from map(TrainingWarning, warnings)
        try:
            if not progress.is_over(self.recipe):
                self._open_sources()
            while not progress.is_over(self.recipe):
                yield from self._train_epoch()
                yield from self._validate_epoch()
        except _StoppedInAllProcesses:
            if self.writer:
                self.writer.save(progress, self._steps_done)
            self.group.any(False)  # none ends before all is saved
            yield Stopped(self.stop.signal or signal.SIGTERM, progress.epoch, progress.step)
            return
        finally:
            if self.board:
                self.board.close()
        best, figures = progress.best, progress.best_figures()
        yield Finished(best.epoch, best.score, progress.epoch < self.recipe.epochs, figures)

    def _begin(self) -> list[str]:
        """Make the run folder, or load the checkpoint; returns warnings."""
        warnings: list[str] = []
        if self.checkpoint is not None:
            self.progress, steps = load_checkpoint(self.checkpoint, self.about, self.state)
            if self.writer:
                warnings = self.writer.settle(self.progress, steps, self.checkpoint)
                update_config(self.run, growth(self.options))
            # The best epoch may have changed with the files, which one process alone sees.
            progress = self.group.broadcast_text(json.dumps(self.progress.state_dict()))
            self.progress = Progress.from_state(json.loads(progress))
        elif self.writer:
            create_run(self.run, run_config(self.data, self.options, self.compute, self.group))
            rows = table_rows(self.table.row_images, self.table.boxes)
            write_training_rows(self.run, rows)
        if self.writer:
            self.board = TrainingBoard.open(self.run, self._steps_done, self.options.tensorboard)
        return warnings

    def _open_sources(self) -> None:
        """Start decoding pictures."""
        options, group = self.options, self.group
        self.source, self.val_source = open_batch_sources(self.data, options, self.compute, group)
        size = -(-self.recipe.batch_size // (group.world_size * options.accumulate))
        self.validators = [
            Validator(model, self.card, self.compute, self.val_source, size)
            for model in self.state.models
        ]

    def _train_epoch(self) -> Iterator[Event]:
        """Run the steps of an epoch that are left."""
        progress, options, group = self.progress, self.options, self.group
        epoch, seed = progress.epoch, self.options.seed
        if progress.step == 0:
            progress.sums = EpochSums(self.state.lr, dict.fromkeys(self.state.loss_names, 0.0))
        # The position in an epoch is a count: order and augmentation follow from the seed, the
        # epoch and the sample, whichever process decodes it.
        batches = self._batches(epoch)[progress.step :]
        shards = [rows[group.shard(len(rows))] for rows in batches]
        requests = (augmented_requests(self.table, rows, seed, epoch) for rows in shards)
        before = time.perf_counter()
        for rows, shard, batch in zip(batches, shards, self.source.load(requests), strict=True):
            seed_all(seed, epoch, progress.step, group.rank)
            with explained_failures(options, self.compute, group, self.smallest):
                result = train_step(
                    self.state,
                    BatchShard(rows, shard, *batch.filled()),
                    self.compute,
                    group,
                    accumulate=options.accumulate,
                    remember=epoch >= options.burn_in,
                    stop=self.stop.signal != 0,
                )
            progress.step += 1
            progress.sums.seconds += time.perf_counter() - before
            yield from self._count(result, rows, batch)
            if result.stop:
                raise _StoppedInAllProcesses
            if self.writer and self.writer.is_due:
                self.writer.save(progress, self._steps_done)
            before = time.perf_counter()  # the wait for the next batch counts, too

    def _count(self, result: StepResult, rows: NDArray[np.int64], batch: Batch) -> Iterator[Event]:
        """Count a step, and report it."""
        progress, sums = self.progress, self.progress.sums
        if result.is_finite:
            sums.add(result.losses, len(rows))
        else:
            progress.skipped += 1
            sums.skipped += 1
            names, allowed = _names(self.table.row_images, rows), self.options.skip_bad_steps
            if progress.skipped > allowed:
                kept = self.writer.kept() if self.writer else ""
                raise not_finite(str(progress), names, kept, allowed)
            yield TrainingWarning(
                f"the loss is no number in {progress}: left out, {progress.skipped} of {allowed} "
                f"allowed; its pictures: {names}"
            )
        if result.replaced:
            sums.replaced += result.replaced
            problems = {batch.requests[i].row: problem for i, problem in batch.problems.items()}
            problems = self.group.all_gather_problems(problems)
            yield from progress.note_broken(self.table, "train", problems)
        means = sums.means()
        yield StepReport(progress.epoch + 1, progress.step, means, sums.images_per_second)
        if self.board:
            self.board.step(self._steps_done, means, self.state.lr, sums.images_per_second)

    def _validate_epoch(self) -> Iterator[Event]:
        """Score the epoch on val, and write its checkpoint, models and log."""
        progress, sums, state = self.progress, self.progress.sums, self.state
        started = time.perf_counter()
        self.group.average_buffers(state.models)
        with explained_failures(self.options, self.compute, self.group, self.smallest):
            validation = validate_epoch(
                self.validators, self.val, self.group, self.options.best_by, self._stop_together
            )
        if validation.is_unscored:
            raise VAAError(
                f"no attribute can be scored on {self.data.folder / 'val.csv'}: each needs a "
                "picture with it and one without; put more pictures into val"
            )
        yield from progress.note_broken(self.val, "val", validation.problems)
        state.epoch_scored(validation.scores[0])
        row: dict[str, float] = {"epoch": progress.epoch + 1, "lr": sums.lr, **sums.means()}
        row |= validation.figures
        row |= {
            "replaced": sums.replaced,
            "skipped": sums.skipped,
            "images_per_second": sums.images_per_second,
            "seconds": sums.seconds + time.perf_counter() - started,
        }
        is_best = progress.end_epoch(row, validation.scores)
        if self.writer:
            self.writer.epoch_done(progress, self._steps_done)
        if self.board:
            varying = np.flatnonzero(~self.data.priors.constant).tolist()
            validator, source = self.validators[0], self.val_source
            self.board.epoch(self._steps_done, row, validator, source, self.val, varying)
            if self.board.problem:
                yield TrainingWarning(f"TensorBoard's files end here: {self.board.problem}")
                self.board = None
        yield EpochReport(progress.epoch, row, is_best)

    @property
    def _steps_done(self) -> int:
        """Steps since the beginning of the training."""
        return self.progress.epoch * self.steps + self.progress.step

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        size, seed = self.recipe.batch_size, self.options.seed
        if self.table.extents is None:
            return epoch_batches(len(self.table), size, seed, epoch, self.smallest)
        buffer, world_size = self.options.shuffle_buffer, self.group.world_size
        return shard_batches(
            self.table.shard_rows, size, seed, epoch, self.smallest,
            shuffle_buffer=buffer, world_size=world_size,
        )  # fmt: skip

    def _stop_together(self) -> None:
        """Stop if any process was asked to; all processes call this at the same moments."""
        if self.group.any(self.stop.signal != 0):
            raise _StoppedInAllProcesses


def _names(images: list[str], rows: NDArray[np.int64]) -> str:
    names = ", ".join(images[row] for row in rows[:3].tolist())
    return f"{names} and {len(rows) - 3} more" if len(rows) > 3 else names
