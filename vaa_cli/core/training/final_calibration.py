"""Calibrating the model of a finished training on val."""

from collections.abc import Iterator
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.run_calibration import calibrate_trained
from vaa_cli.core.models.card import read_card
from vaa_cli.core.runs.folder import BEST
from vaa_cli.core.system.location import Location
from vaa_cli.core.training.events import Calibrated, TrainingWarning
from vaa_cli.core.training.options import TrainingOptions


def calibrate_best(
    run: Path, data: Location, options: TrainingOptions
) -> Iterator[Calibrated | TrainingWarning]:
    """Fit scaling and thresholds of the model of a run on val, unless it has some.

    Args:
        run: the run folder.
        data: the prepared folder.
        options: the options of the training.

    Yields:
        An event, or a warning where val cannot calibrate, and the thresholds stay 0.5.
    """
    path = run / BEST
    if not path.is_file() or read_card(path).temperatures:
        return
    try:
        found = calibrate_trained(path, data, options.device, options.precision, options.workers)
    except VAAError as error:
        yield TrainingWarning(f"{path} is not calibrated, and decides at 0.5: {error}")
        return
    before, after = found.totals
    few = tuple(found.attributes[c] for c in found.calibration.anchored.tolist())
    yield Calibrated(path, before["mA"], after["mA"], few)  # type: ignore[arg-type]
