"""Calibrating the models of a finished training on val."""

from collections.abc import Iterator
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.run_calibration import calibrate_trained
from vaa_cli.core.models.card import read_card
from vaa_cli.core.runs.folder import BEST, BEST_AVERAGE
from vaa_cli.core.training.events import Calibrated, TrainingWarning
from vaa_cli.core.training.options import TrainingOptions


def calibrate_models(
    run: Path, data: Path, options: TrainingOptions
) -> Iterator[Calibrated | TrainingWarning]:
    """Fit scaling and thresholds of each model file of a run on val, unless it has some.

    Args:
        run: the run folder.
        data: the prepared folder.
        options: the options of the training.

    Yields:
        An event for each model; a warning where val cannot calibrate, and the thresholds stay 0.5.
    """
    for name in (BEST, BEST_AVERAGE):
        path = run / name
        if not path.is_file() or read_card(path).temperatures:
            continue
        try:
            found = calibrate_trained(
                path, data, options.device, options.precision, options.workers
            )
        except VAAError as error:
            yield TrainingWarning(f"{path} is not calibrated, and decides at 0.5: {error}")
            continue
        before, after = found.totals
        few = tuple(found.attributes[c] for c in found.calibration.anchored.tolist())
        yield Calibrated(path, before["mA"], after["mA"], few)  # type: ignore[arg-type]
