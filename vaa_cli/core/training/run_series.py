"""Trainings one after the other, of which those that are finished are used again."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import read_card
from vaa_cli.core.runs.folder import BEST, checkpoints, has_begun, kept_config
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.runs.lookup import resume_point
from vaa_cli.core.system.location import location
from vaa_cli.core.training.events import Event, Stopped
from vaa_cli.core.training.loop import train
from vaa_cli.core.training.option_groups import CHANGEABLE
from vaa_cli.core.training.option_sources import started_options
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.stop_request import StopRequest


@dataclass(frozen=True)
class PlannedRun:
    """A training of a series.

    Attributes:
        name: its name, for people.
        folder: its run folder.
        options: its options.
        data: its prepared folder.
    """

    name: str
    folder: Path
    options: TrainingOptions
    data: Prepared


def is_finished(run: PlannedRun) -> bool:
    """Whether a training was done before, in this folder.

    Raises:
        VAAError: the folder has a run of other options or data.
    """
    if not has_begun(run.folder):
        return False
    kept, kept_data = kept_config(run.folder)
    started = started_options(kept, run.folder)
    for name, value in asdict(started).items():
        if name not in CHANGEABLE and value != getattr(run.options, name):
            raise VAAError(
                f"{run.folder} was trained with {name} {value}, not {getattr(run.options, name)}; "
                "name another folder, or remove that one"
            )
    if location(kept_data).resolve() != run.data.folder.resolve():
        raise VAAError(
            f"{run.folder} was trained on {kept_data}, not {run.data.folder}; name another folder"
        )
    best = run.folder / BEST
    if not best.is_file():
        return False
    if not checkpoints(run.folder):  # they go when a training is finished
        return True
    is_whole = len(read_log(run.folder)) >= run.options.resolved().epochs
    return is_whole and bool(read_card(best).temperatures)


def train_series(
    runs: Sequence[PlannedRun],
    stop: StopRequest,
    on_run: Callable[[PlannedRun], None],
    on_event: Callable[[Event], None],
) -> Stopped | None:
    """Train runs one after the other; one that was stopped goes on where it was.

    Args:
        runs: the trainings, without those that are finished.
        stop: a request to save and stop.
        on_run: called before each training.
        on_event: called with each event, see `loop.train`.

    Returns:
        The position that a training was stopped at; None if all are finished.

    Raises:
        VAAError: a training failed.
    """
    for run in runs:
        on_run(run)
        checkpoint = resume_point(run.folder).checkpoint if has_begun(run.folder) else None
        end = train(
            run.data, run.options, run.folder, checkpoint=checkpoint, stop=stop, on_event=on_event
        )
        if isinstance(end, Stopped):
            return end
        for path in checkpoints(run.folder):  # each is three times as large as its model
            path.unlink(missing_ok=True)
    return None
