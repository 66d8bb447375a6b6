"""What a training tells of itself as it goes on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaa_cli.core.models.devices import Compute  # which loads torch


@dataclass(frozen=True)
class Started:
    """What training begins with, or goes on with.

    Attributes:
        compute: where and in which precision.
        steps: of an epoch.
        epochs: in all, unless patience ends it before.
        parameters: of the model.
        epochs_done: 0 but for a resumed training.
        steps_done: of the epoch after these.
    """

    compute: "Compute"
    steps: int
    epochs: int
    parameters: int
    epochs_done: int = 0
    steps_done: int = 0


@dataclass(frozen=True)
class StepReport:
    """Where an epoch stands: mean loss parts so far.

    Attributes:
        epoch: from 1.
        step: steps done in this epoch.
        losses: `loss`, `primary`, `attention_3`, … by name.
        images_per_second: of all processes, since the epoch began.
    """

    epoch: int
    step: int
    losses: dict[str, float]
    images_per_second: float


@dataclass(frozen=True)
class EpochReport:
    """An epoch that is done: the row that log.csv gets."""

    epoch: int
    row: dict[str, float]
    is_best: bool


@dataclass(frozen=True)
class TrainingWarning:
    """Something that training goes on after, but that one should know of."""

    message: str


@dataclass(frozen=True)
class Stopped:
    """Asked to stop, training has saved all that it needs to go on.

    Attributes:
        signal: the number of the signal that asked for it.
        epochs_done: whole epochs.
        steps_done: of the epoch after these.
    """

    signal: int
    epochs_done: int
    steps_done: int


@dataclass(frozen=True)
class Finished:
    """How training ended.

    Attributes:
        best_epoch: from 1.
        best_score: on val, by what the options ask.
        stopped_early: whether patience ended it.
    """

    best_epoch: int
    best_score: float
    stopped_early: bool


Event = Started | StepReport | EpochReport | TrainingWarning | Stopped | Finished
