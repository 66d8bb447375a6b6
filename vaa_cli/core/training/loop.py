"""The training loop of VAA, readable from top to bottom."""

import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.datasets.prepared import Prepared, data_fingerprint
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.images.batch import Batch, BatchSource
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.overlay import attention_grid
from vaa_cli.core.images.ram_cache import RAMCache
from vaa_cli.core.images.requests import batched, table_requests
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.models.devices import Compute, is_compilers, is_out_of_memory
from vaa_cli.core.models.weights import load_weights
from vaa_cli.core.runs.folder import create_run
from vaa_cli.core.system.distributed import ProcessGroup
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
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.progress import EpochSums, Progress
from vaa_cli.core.training.run_writer import RunWriter
from vaa_cli.core.training.sampling import augmented_requests, epoch_order
from vaa_cli.core.training.seeding import require_deterministic, seed_all
from vaa_cli.core.training.setup import _config, model_card
from vaa_cli.core.training.stop_request import StopRequest
from vaa_cli.core.training.tensorboard import TensorBoardLog, available, require_tensorboard
from vaa_cli.core.training.train_state import Share, StepResult, TrainState
from vaa_cli.core.training.validation import Validator, validate

# Broken pictures that are told of one by one; all of them are in faults.csv.
_TOLD = 5
# TensorBoard's files: steps between points of the curves, pictures and attributes on a sheet.
_POINT_EVERY, _SHOWN_PICTURES, _SHOWN_ATTRIBUTES = 10, 4, 6


def train(
    data: Prepared,
    options: TrainingOptions,
    run: Path,
    compute: Compute | None = None,
    group: ProcessGroup | None = None,
    checkpoint: Path | None = None,
    stop: StopRequest | None = None,
) -> Iterator[Event]:
    """Train a model on a prepared folder, telling how it goes.

    Processes that train together each call this in `ProcessGroup.connected`, with the same arguments but
    for their own place; the first one alone writes.

    Args:
        data: the dataset; trained on `train`, judged on `val`.
        options: everything else.
        run: the folder to make for the model, the training's state and the log; or the one that
            the checkpoint is in.
        compute: device and precision; None takes the options'.
        group: the processes that train together; None is this one alone.
        checkpoint: where an earlier training of the run goes on.
        stop: tells when to save and stop.

    Yields:
        `Started`, a `StepReport` for each step and an `EpochReport` for each epoch, `TrainingWarning`s
        among them, and in the end `Finished`; or `Stopped`, when that was asked for and all that
        is needed to go on is saved.

    Raises:
        VAAError: the data or an option does not allow it, the loss is no longer a number, or a
            file cannot be written.
    """
    compute = compute or Compute.choose(options.device, options.precision)
    training = _Training(
        data, options, run, compute, group or ProcessGroup(), checkpoint, stop or StopRequest()
    )
    yield from training.events()


class _AllStop(Exception):
    """All processes know that one of them was asked to stop."""


class _Training:
    """A training and what it works with; `events` does it."""

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
        if group.world_size > 1 and compute.device.type not in ("cpu", "cuda"):
            raise VAAError(
                f"{group.world_size} processes cannot train together on {compute}; use cpu"
            )
        # Batch normalisation needs two pictures in what it sees at once.
        together = max(2, group.world_size) if options.sync_bn else 2 * group.world_size
        self.least = together * options.accumulate
        if min(len(self.table), self.recipe.batch_size) < self.least:
            raise VAAError(self._too_few())
        self.steps = len(self._order(epoch=0))
        if options.tensorboard:
            require_tensorboard()
        if options.deterministic:
            require_deterministic()
        else:
            torch.backends.cudnn.benchmark = True  # all batches but one are of the same size

        self.card = model_card(data, options)
        seed_all(options.seed)
        # A checkpoint has all weights; those that it began with may be gone by now.
        fresh = checkpoint is None
        weights = load_weights(options.weights, options.backbone) if fresh else None
        self.learner = TrainState(self.card, data, options, self.steps, compute, group, weights)
        self.progress = Progress()
        self.about = {"options": asdict(options), "data": data_fingerprint(data)}
        self.writer: RunWriter | None = None
        self.board: TensorBoardLog | None = None
        if group.is_main:
            self.writer = RunWriter(
                run, self.learner, self.card, self.about, options.save_every, options.keep
            )

    def events(self) -> Iterator[Event]:
        """Train to the end, or until a stop is asked for."""
        surprises = self._begin()
        progress = self.progress
        yield Started(
            self.compute,
            self.steps,
            self.recipe.epochs,
            sum(p.numel() for p in self.learner.model.parameters()),
            progress.epoch,
            progress.step,
        )
        yield from map(TrainingWarning, surprises)
        try:
            if not progress.is_over(self.recipe):
                self._open_sources()
            while not progress.is_over(self.recipe):
                yield from self._learn_epoch()
                yield from self._judge_epoch()
        except _AllStop:
            if self.writer:
                self.writer.save(progress, self._steps_done)
            self.group.any(False)  # none ends before all is saved
            number = self.stop.signal or signal.SIGTERM
            yield Stopped(number, progress.epoch, progress.step)
            return
        finally:
            if self.board:
                self.board.close()
        best = progress.best
        yield Finished(best.epoch, best.score, progress.epoch < self.recipe.epochs)

    def _begin(self) -> list[str]:
        """Make the run folder, or take up what is in it; tells what is odd about it."""
        surprises: list[str] = []
        if self.checkpoint is not None:
            self.progress, steps = load_checkpoint(self.checkpoint, self.about, self.learner)
            if self.writer:
                surprises = self.writer.settle(self.progress, steps, self.checkpoint)
            # What counts as best may have changed with the files, which one process alone sees.
            state = self.group.broadcast_text(json.dumps(self.progress.state_dict()))
            self.progress = Progress.from_state(json.loads(state))
        elif self.writer:
            config = _config(self.data, self.options, self.compute, self.group)
            create_run(self.run, config)
        wanted = self.options.tensorboard
        if self.writer and (available() if wanted is None else wanted):
            self.board = TensorBoardLog(self.run, self._steps_done)
        return surprises

    def _open_sources(self) -> None:
        """Start what decodes pictures."""
        options, compute = self.options, self.compute
        arguments = (
            options.workers,
            compute.pins_memory,
            self.data.box_margin,
            self.group.local_world_size,
        )
        self.source: BatchSource
        self.val_source: BatchSource
        if options.cache == "ram":
            self.source = RAMCache(self.table, options.image_size, True, *arguments)
            self.val_source = RAMCache(self.val, options.image_size, False, *arguments)
        else:
            self.source = self.val_source = PictureLoader(options.image_size, *arguments)
        size = -(-self.recipe.batch_size // (self.group.world_size * options.accumulate))
        self.validators = [
            Validator(model, self.card, compute, self.val_source, size)
            for model in self.learner.models
        ]

    def _learn_epoch(self) -> Iterator[Event]:
        """The steps of an epoch that are left to do."""
        progress, options, group = self.progress, self.options, self.group
        epoch = progress.epoch
        if progress.step == 0:
            zeros = dict.fromkeys(self.learner.loss_names, 0.0)
            progress.sums = EpochSums(self.learner.lr, zeros)
        # Where the epoch stands is a matter of counting: order and augmentation come from the
        # seed, the epoch and the sample, whoever decodes it.
        order = self._order(epoch)[progress.step :]
        requests = (
            augmented_requests(self.table, rows[group.shard(len(rows))], options.seed, epoch)
            for rows in order
        )
        before = time.perf_counter()
        for rows, batch in zip(order, self.source.load(requests), strict=True):
            seed_all(options.seed, epoch, progress.step, group.rank)
            pixels, sources = batch.filled()
            share = Share(rows, rows[group.shard(len(rows))], pixels, sources)
            with self._known_failures():
                outcome = self.learner.step(
                    share, remember=epoch >= options.burn_in, stop=self.stop.signal != 0
                )
            progress.step += 1
            progress.sums.seconds += time.perf_counter() - before
            yield from self._count(outcome, rows, batch)
            if outcome.stop:
                raise _AllStop
            if self.writer and self.writer.is_due:
                self.writer.save(progress, self._steps_done)
            before = time.perf_counter()  # what is waited for the next batch counts too

    def _count(self, outcome: StepResult, rows: NDArray[np.int64], batch: Batch) -> Iterator[Event]:
        """Add up what a step did."""
        progress = self.progress
        sums = progress.sums
        if outcome.learnt:
            sums.add(outcome.losses, len(rows))
        else:
            progress.skipped += 1
            sums.skipped += 1
            if progress.skipped > self.options.skip_bad_steps:
                raise VAAError(self._no_number(rows))
            yield TrainingWarning(
                f"the loss is no number in {progress}: left out, "
                f"{progress.skipped} of {self.options.skip_bad_steps} allowed; its pictures: "
                f"{self._names(rows)}"
            )
        if outcome.replaced:
            sums.replaced += outcome.replaced
            names = {batch.requests[i].row: problem for i, problem in batch.problems.items()}
            yield from self._note_broken(self.table, "train", self.group.all_gather_problems(names))
        means = sums.means()
        yield StepReport(progress.epoch + 1, progress.step, means, sums.images_per_second)
        if self.board and self._steps_done % _POINT_EVERY == 0:
            figures = {f"train/{name}": value for name, value in means.items()}
            figures |= {"train/lr": self.learner.lr, "images_per_second": sums.images_per_second}
            self.board.scalars(self._steps_done, figures)

    def _judge_epoch(self) -> Iterator[Event]:
        """Score the epoch on val, and write what it has come to."""
        progress, sums, writer = self.progress, self.progress.sums, self.writer
        started = time.perf_counter()
        self.group.broadcast_buffers(self.learner.models)
        row: dict[str, float] = {"epoch": progress.epoch + 1, "lr": sums.lr, **sums.means()}
        judged = []
        for prefix, validator in zip(("val", "ema_val"), self.validators, strict=False):
            with self._known_failures():
                result = validate(validator, self.val, self.group, self._agree_to_stop)
            totals = result.scores.totals
            by = {"mA": totals.mean_accuracy, "mAP": totals.mean_average_precision}
            if math.isnan(by[self.options.best_by]):
                raise VAAError(
                    f"no attribute can be scored on {self.data.folder / 'val.csv'}: each needs a "
                    "picture with it and one without; put more pictures into val"
                )
            row[f"{prefix}_loss"] = result.loss
            row |= {f"{prefix}_{name}": value for name, value in by.items()}
            row[f"{prefix}_instance_f1"] = totals.instance_f1
            judged.append(by[self.options.best_by])
        yield from self._note_broken(self.val, "val", result.problems)

        is_best = progress.best.improved(progress.epoch + 1, judged[0])
        progress.best_average.improved(progress.epoch + 1, judged[-1])
        # While rare attributes are all predicted absent, mA stands still and the loss still falls.
        if is_best or row["val_loss"] < progress.lowest_loss:
            progress.last_progress = progress.epoch + 1
        progress.lowest_loss = min(progress.lowest_loss, row["val_loss"])
        self.learner.epoch_scored(judged[0])
        row |= {
            "replaced": sums.replaced,
            "skipped": sums.skipped,
            "images_per_second": sums.images_per_second,
            "seconds": sums.seconds + time.perf_counter() - started,
        }
        progress.log.append(row)
        progress.epoch, progress.step = progress.epoch + 1, 0
        if writer:
            writer.epoch_done(progress, self._steps_done)
        if self.board:
            self._draw(self.board, row)
            if self.board.problem:
                yield TrainingWarning(f"TensorBoard's files end here: {self.board.problem}")
                self.board = None
        yield EpochReport(progress.epoch, row, is_best)

    def _draw(self, board: TensorBoardLog, row: dict[str, float]) -> None:
        """An epoch's points of TensorBoard's curves, and where the model looks."""
        figures = {f"epoch/{name}": value for name, value in row.items() if name != "epoch"}
        board.scalars(self._steps_done, figures)
        shown = table_requests(self.val, range(min(_SHOWN_PICTURES, len(self.val))))
        varying = np.flatnonzero(~self.data.priors.constant)[:_SHOWN_ATTRIBUTES].tolist()
        for batch in self.val_source.load(batched(shown, _SHOWN_PICTURES)):
            if not batch.decoded:
                return
            output = self.validators[0].output(batch.pixels)
            for stage, maps in zip(self.learner.model.stages, output.maps, strict=True):
                sheet = attention_grid(batch.pixels, maps.weighted.cpu(), varying)
                board.picture(self._steps_done, f"attention, stage {stage}", sheet)

    @property
    def _steps_done(self) -> int:
        """Steps since the beginning."""
        return self.progress.epoch * self.steps + self.progress.step

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        size, seed = self.recipe.batch_size, self.options.seed
        return epoch_order(len(self.table), size, seed, epoch, self.least)

    def _agree_to_stop(self) -> None:
        """Stop if any process was asked to; all processes call this at the same moments."""
        if self.group.any(self.stop.signal != 0):
            raise _AllStop

    def _note_broken(
        self, table: LabelTable, split: str, problems: dict[int, str]
    ) -> Iterator[TrainingWarning]:
        """Keep which pictures broke after they were prepared, and tell of the first ones."""
        instead = "another stands in" if split == "train" else "it is not scored"
        for row, problem in sorted(problems.items()):
            known = len(self.progress.faults)
            if self.progress.met(table.row_images[row], split, problem) and known <= _TOLD:
                path = table.path(row)
                more = "; more are only in faults.csv" if known == _TOLD else ""
                yield TrainingWarning(f"{path}: {problem}; {instead}{more}")

    @contextmanager
    def _known_failures(self) -> Iterator[None]:
        """Say of failures that users can do something about what that is."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise VAAError(self._too_much()) from error
            if self.options.compile and is_compilers(error):
                raise VAAError(
                    f"torch cannot compile the model here ({one_line(error, 120)}); "
                    "leave out --compile"
                ) from error
            raise

    def _too_few(self) -> str:
        among = f" on {self.group.world_size} processes" if self.group.world_size > 1 else ""
        parts = f" in {self.options.accumulate} parts each" if self.options.accumulate > 1 else ""
        return (
            f"{len(self.table)} training pictures in batches of {self.recipe.batch_size}{among}"
            f"{parts}: batch normalisation needs two at a time, so {self.least} of each at least"
        )

    def _too_much(self) -> str:
        size, parts = self.recipe.batch_size, self.options.accumulate
        among = f" on {self.group.world_size} processes" if self.group.world_size > 1 else ""
        in_parts = f" in {parts} parts" if parts > 1 else ""
        half = max(self.least, size // 2)
        keeps = f", or --accumulate {2 * parts}, which keeps the batch" if size >= 4 * parts else ""
        return (
            f"out of memory on {self.compute.device} with batches of {size}{among}{in_parts}; "
            f"try --batch-size {half}{keeps}"
        )

    def _no_number(self, rows: NDArray[np.int64]) -> str:
        kept = self.writer.kept() if self.writer else ""
        return (
            f"the loss is no longer a number in {self.progress} (pictures: {self._names(rows)})"
            f"{kept}; try a smaller --lr or --precision fp32, "
            f"or --skip-bad-steps {self.options.skip_bad_steps + 10} to go on without such steps"
        )

    def _names(self, rows: NDArray[np.int64]) -> str:
        names = ", ".join(self.table.row_images[row] for row in rows[:3].tolist())
        return f"{names} and {len(rows) - 3} more" if len(rows) > 3 else names
