"""The progress of a training: all that is counted in it, as a checkpoint keeps it."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.training.events import TrainingWarning
from vaa_cli.core.training.recipes import Recipe

# The number of broken pictures that are reported one by one; all of them are in faults.csv.
_REPORTED = 5
# Of the figures on val in log.csv: those of the weights, and those of their average.
VAL_PREFIXES = ("val_", "ema_val_")


@dataclass
class Best:
    """The best epoch so far, from 1; 0 for none. Of equal scores, that with the lower loss.

    Attributes:
        epoch: its number.
        score: its score on val.
        loss: its loss on val.
        is_average: whether these are of the averaged weights.
    """

    epoch: int = 0
    score: float = -math.inf
    loss: float = math.inf
    is_average: bool = False

    def improved(self, epoch: int, score: float, loss: float, is_average: bool = False) -> bool:
        """Take an epoch's score and loss on val into account; returns whether it is the best."""
        if not (score > self.score or (score == self.score and loss < self.loss)):
            return False
        self.epoch, self.score, self.loss, self.is_average = epoch, score, loss, is_average
        return True

    @property
    def prefix(self) -> str:
        """The prefix of its figures in the log."""
        return VAL_PREFIXES[self.is_average]

    def forget(self) -> None:
        """Begin anew, without a best epoch."""
        self.epoch, self.score, self.loss, self.is_average = 0, -math.inf, math.inf, False


@dataclass
class EpochSums:
    """Sums over the steps of one epoch.

    Attributes:
        lr: learning rate of the first step.
        losses: each part of the loss, summed over images.
        images: number of these images.
        replaced: pictures that could not be decoded and had others stand in.
        skipped: steps that were left out, as their loss was not finite.
        seconds: time of the steps.
    """

    lr: float = math.nan
    losses: dict[str, float] = field(default_factory=dict)
    images: int = 0
    replaced: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def add(self, losses: dict[str, float], images: int) -> None:
        """Add the losses of a batch, each summed over its images."""
        for name, value in losses.items():
            self.losses[name] += value
        self.images += images

    def means(self) -> dict[str, float]:
        """The mean of each part of the loss so far; NaN before the first batch."""
        images = self.images or math.nan
        return {name: value / images for name, value in self.losses.items()}

    @property
    def images_per_second(self) -> float:
        """Images per second of the epoch so far."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class Fault:
    """A picture that broke after it was prepared.

    Attributes:
        image: name of the picture in the dataset.
        split: `train` or `val`.
        problem: what is wrong with it.
        epoch: first epoch that met it, from 1.
        times: number of times that it was met.
    """

    image: str
    split: str
    problem: str
    epoch: int
    times: int = 1


@dataclass
class Progress:
    """The position of a training, and what it has come to.

    Attributes:
        epoch: number of epochs that are done, with their validation.
        step: number of steps of the next one; all of them before it is validated.
        sums: sums of the epoch that goes on.
        skipped: number of steps left out in all.
        best: best epoch by the options' score on val, of the weights or of their average.
        lowest_loss: lowest loss on val.
        last_progress: last epoch with a better score or a lower loss.
        log: the rows of log.csv.
        faults: the rows of faults.csv.
    """

    epoch: int = 0
    step: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    skipped: int = 0
    best: Best = field(default_factory=Best)
    lowest_loss: float = math.inf
    last_progress: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """Make the progress that `state_dict` gave."""
        names = {field.name for field in fields(cls)}  # version 0.1 kept one more best epoch
        return cls(
            **{
                **{name: value for name, value in state.items() if name in names},
                "sums": EpochSums(**state["sums"]),
                "best": Best(**state["best"]),
                "faults": [Fault(**fault) for fault in state["faults"]],
            }
        )

    def best_figures(self) -> dict[str, float]:
        """The figures on val of the best epoch, by name; none before there is one."""
        if not self.best.epoch:
            return {}
        prefix, row = self.best.prefix, self.log[self.best.epoch - 1]
        return {k.removeprefix(prefix): v for k, v in row.items() if k.startswith(prefix)}

    def out_of_patience(self, recipe: Recipe) -> bool:
        """Whether too many epochs went by without progress."""
        return 0 < recipe.patience <= self.epoch - self.last_progress

    def is_over(self, recipe: Recipe) -> bool:
        """Whether no epoch is left to do."""
        return self.epoch >= recipe.epochs or self.out_of_patience(recipe)

    def end_epoch(self, row: dict[str, float], scores: list[float]) -> bool:
        """Count an epoch that is done.

        Args:
            row: its row of log.csv.
            scores: scores on val of the model, and of the averaged weights if there are any.

        Returns:
            Whether it is the best epoch.
        """
        epoch = self.epoch + 1
        is_best = False
        for is_average, score in enumerate(scores):
            loss = row[f"{VAL_PREFIXES[is_average]}loss"]
            is_best |= self.best.improved(epoch, score, loss, bool(is_average))
        # While all rare attributes are predicted absent, mA stands still and the loss still falls.
        if is_best or row["val_loss"] < self.lowest_loss:
            self.last_progress = epoch
        self.lowest_loss = min(self.lowest_loss, row["val_loss"])
        self.log.append(row)
        self.epoch, self.step = epoch, 0
        return is_best

    def met(self, image: str, split: str, problem: str) -> bool:
        """Count a broken picture; returns whether it is the first time."""
        for fault in self.faults:
            if (fault.image, fault.split) == (image, split):
                fault.times += 1
                return False
        self.faults.append(Fault(image, split, problem, self.epoch + 1))
        return True

    def note_broken(
        self, table: LabelTable, split: str, problems: dict[int, str]
    ) -> Iterator[TrainingWarning]:
        """Count broken pictures, and warn of the first ones.

        Args:
            table: the rows of the split.
            split: `train` or `val`.
            problems: what is wrong with pictures, by row.
        """
        instead = "another stands in" if split == "train" else "it is not scored"
        for row, problem in sorted(problems.items()):
            known = len(self.faults)
            if self.met(table.row_images[row], split, problem) and known <= _REPORTED:
                more = "; more are only in faults.csv" if known == _REPORTED else ""
                yield TrainingWarning(f"{table.path(row)}: {problem}; {instead}{more}")

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step}" if self.step else f"epoch {self.epoch}"
