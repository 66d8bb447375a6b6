"""The events of a training."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaa_cli.core.models.devices import Compute  # which loads torch


@dataclass(frozen=True)
class Started:
    """The start of a training, or of a resumed one.

    Attributes:
        compute: device and precision.
        steps: steps in an epoch.
        epochs: number of epochs, unless patience ends the training before.
        parameters: number of parameters of the model.
        run: the run folder.
        epochs_done: number of epochs done; 0 but for a resumed training.
        steps_done: number of steps done of the next epoch.
    """

    compute: "Compute"
    steps: int
    epochs: int
    parameters: int
    run: Path
    epochs_done: int = 0
    steps_done: int = 0


@dataclass(frozen=True)
class StepReport:
    """A step that is done.

    Attributes:
        epoch: number of the epoch, from 1.
        step: number of steps done in this epoch.
        losses: means of `loss`, `primary`, `attention_3`, … over the epoch so far.
        images_per_second: speed of all processes since the epoch began.
    """

    epoch: int
    step: int
    losses: dict[str, float]
    images_per_second: float


@dataclass(frozen=True)
class EpochReport:
    """An epoch that is done, with its row of log.csv."""

    epoch: int
    row: dict[str, float]
    is_best: bool


@dataclass(frozen=True)
class TrainingWarning:
    """A problem that the training goes on after."""

    message: str


@dataclass(frozen=True)
class Calibrated:
    """A model of a finished training got scaling and thresholds that were fitted on val.

    Attributes:
        path: the model file.
        mean_accuracy_before: mA on val without them, decided at 0.5.
        mean_accuracy: mA on val with them, where they were fitted.
        anchored: attributes with too few labels in val for anything of their own.
    """

    path: Path
    mean_accuracy_before: float
    mean_accuracy: float
    anchored: tuple[str, ...]


@dataclass(frozen=True)
class Stopped:
    """The training was asked to stop, and all that is needed to resume it is saved.

    Attributes:
        signal: number of the signal that asked for it.
        epochs_done: number of epochs done.
        steps_done: number of steps done of the next epoch.
    """

    signal: int
    epochs_done: int
    steps_done: int


@dataclass(frozen=True)
class Finished:
    """The end of a training.

    Attributes:
        best_epoch: number of the best epoch, from 1.
        best_score: its score on val, by the option `best_by`.
        stopped_early: whether patience ended the training.
        figures: the figures on val of that epoch, of the weights that are kept, by name.
    """

    best_epoch: int
    best_score: float
    stopped_early: bool
    figures: dict[str, float]


Event = Started | StepReport | EpochReport | TrainingWarning | Calibrated | Stopped | Finished
