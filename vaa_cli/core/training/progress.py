"""How far a training has come: all that is counted in it, as a checkpoint keeps it."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from vaa_cli.core.training.options import Recipe


@dataclass
class Best:
    """The best epoch so far, from 1; 0 for none."""

    epoch: int = 0
    score: float = -math.inf

    def improved(self, epoch: int, score: float) -> bool:
        """Take an epoch's score into account; tells whether it is the best."""
        if not score > self.score:
            return False
        self.epoch, self.score = epoch, score
        return True

    def forget(self) -> None:
        """Begin anew: no epoch is the best."""
        self.epoch, self.score = 0, -math.inf


@dataclass
class EpochSums:
    """What is added up over the steps of one epoch.

    Attributes:
        lr: the learning rate at its first step.
        losses: of each loss part over images.
        images: that these are of.
        replaced: pictures that could not be decoded and had others stand in.
        skipped: steps that were left out, as their loss was no number.
        seconds: that the steps took.
    """

    lr: float = math.nan
    losses: dict[str, float] = field(default_factory=dict)
    images: int = 0
    replaced: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def add(self, losses: dict[str, float], images: int) -> None:
        """Count a batch's losses, each summed over its images."""
        for name, value in losses.items():
            self.losses[name] += value
        self.images += images

    def means(self) -> dict[str, float]:
        """The mean per image of each part so far; NaN before the first."""
        images = self.images or math.nan
        return {name: value / images for name, value in self.losses.items()}

    @property
    def images_per_second(self) -> float:
        """How fast the epoch goes."""
        return self.images / self.seconds if self.seconds else 0.0


@dataclass
class Fault:
    """A picture that broke after it was prepared.

    Attributes:
        image: its name in the dataset.
        split: `train` or `val`.
        problem: what is wrong with it.
        epoch: the first that met it, from 1.
        times: how often it was met.
    """

    image: str
    split: str
    problem: str
    epoch: int
    times: int = 1


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        epoch: whole epochs done, validated and all.
        step: steps done of the next one; all of them before it is validated.
        sums: of the epoch that goes on.
        skipped: steps left out in all.
        best: by the options' score on val.
        best_average: that of the averaged weights.
        lowest_loss: on val.
        last_progress: the last epoch with a better score or a lower loss.
        log: the rows of log.csv.
        faults: the rows of faults.csv.
    """

    epoch: int = 0
    step: int = 0
    sums: EpochSums = field(default_factory=EpochSums)
    skipped: int = 0
    best: Best = field(default_factory=Best)
    best_average: Best = field(default_factory=Best)
    lowest_loss: float = math.inf
    last_progress: int = 0
    log: list[dict[str, float]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain values."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """What `state_dict` gave."""
        return cls(
            **{
                **state,
                "sums": EpochSums(**state["sums"]),
                "best": Best(**state["best"]),
                "best_average": Best(**state["best_average"]),
                "faults": [Fault(**fault) for fault in state["faults"]],
            }
        )

    def out_of_patience(self, recipe: Recipe) -> bool:
        """Whether too many epochs went by without progress."""
        return 0 < recipe.patience <= self.epoch - self.last_progress

    def is_over(self, recipe: Recipe) -> bool:
        """Whether no epoch is left to do."""
        return self.epoch >= recipe.epochs or self.out_of_patience(recipe)

    def met(self, image: str, split: str, problem: str) -> bool:
        """Count a broken picture; tells whether it is the first time."""
        for fault in self.faults:
            if (fault.image, fault.split) == (image, split):
                fault.times += 1
                return False
        self.faults.append(Fault(image, split, problem, self.epoch + 1))
        return True

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, step {self.step}" if self.step else f"epoch {self.epoch}"
