"""Calibrating a run on val, and keeping the result in its model file; or undoing that."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.formats import format_of
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.calibration import (
    Calibration,
    Metric,
    calibration_totals,
    fit_calibration,
    logits_of,
)
from vaa_cli.core.evaluation.labelled_split import read_split
from vaa_cli.core.evaluation.records import Record
from vaa_cli.core.models.card import UNCALIBRATED_THRESHOLD, ModelCard, is_model, read_card
from vaa_cli.core.prediction.multi_process import table_probabilities
from vaa_cli.core.prediction.predictor import Predictor
from vaa_cli.core.runs.lookup import model_file, require_changeable
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.location import Location
from vaa_cli.core.system.output_files import require_output


@dataclass(frozen=True)
class CalibratedRun:
    """A model file with a new calibration.

    Attributes:
        path: the file that was written.
        attributes: names of the attributes.
        calibration: what was fitted.
        labels: `[n x c]`, the labels of val.
        totals: the totals on val without and with the calibration.
    """

    path: Path
    attributes: tuple[str, ...]
    calibration: Calibration
    labels: NDArray[np.int8]
    totals: list[Record]


def calibrate_run(
    run: Path | str | None,
    data: Location | str | None,
    metric: Metric = "mA",
    shrinkage: float = 50.0,
    out: Path | None = None,
    options: EngineOptions | None = None,
    group: ProcessGroup | None = None,
) -> CalibratedRun | None:
    """Fit the scaling and thresholds of a run on val, and write them into its model file.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.
        data: a prepared folder, or its URL; None for the one that the model was trained on.
        metric: what the thresholds maximise, see `fit_calibration`.
        shrinkage: see `fit_calibration`.
        out: the model file to write; None replaces the run's own.
        options: how the model is computed.
        group: the processes that share the work; None for this one alone.

    Returns:
        The calibrated model; None in processes other than the first of a group.

    Raises:
        VAAError: the run or the folder cannot be read, val cannot calibrate, or the file cannot be
            written.
    """
    path, group = model_file(run), group or ProcessGroup()
    if format_of(path) is not None:
        raise VAAError(f"{path} is an export; calibrate the run that it is of, and export it again")
    if out is None or out == path:
        require_changeable(path)
    else:
        out = require_output(out, "a model of vaa", is_model)
    split = read_split(path, data, "val")
    predictor = Predictor(path, options, group=group)
    with group.connected():
        probabilities = table_probabilities(predictor, split.table)
    if probabilities is None:
        return None
    from vaa_cli.core.models.model_file import copy_with_card

    card, labels = split.card, split.table.labels
    logits = logits_of(probabilities, card.temperatures, card.shifts)
    try:
        calibration = fit_calibration(logits, labels, metric, shrinkage, card.priors)
    except ValueError as error:
        raise VAAError(f"val of {split.folder} cannot calibrate: {error}") from error
    out = out or path
    copy_with_card(path, out, calibrated_card(card, calibration))
    scaled = expit(logits / calibration.temperatures + calibration.shifts)
    title = "on val, where it was fitted"
    totals = calibration_totals(title, logits, scaled, calibration.thresholds, labels)
    return CalibratedRun(out, card.attributes, calibration, labels, totals)


def calibrate_trained(
    path: Path, data: Location, device: str, precision: str, workers: int | None
) -> CalibratedRun:
    """Calibrate a model that was just trained, computed by PyTorch as it was trained.

    Args:
        path: the model file.
        data: the prepared folder.
        device: see `EngineOptions`.
        precision: likewise.
        workers: likewise.

    Raises:
        VAAError: as `calibrate_run` does.
    """
    options = EngineOptions("torch", precision, device, workers=workers)
    found = calibrate_run(path, data, options=options)
    assert found is not None  # this process is alone
    return found


def calibrated_card(card: ModelCard, calibration: Calibration) -> ModelCard:
    """A model's card with another calibration."""
    return replace(
        card,
        thresholds=tuple(calibration.thresholds.tolist()),
        temperatures=tuple(calibration.temperatures.tolist()),
        shifts=tuple(calibration.shifts.tolist()),
    )


def undo_calibration(run: Path | str | None) -> Path:
    """Take the calibration out of a run's model file: thresholds of 0.5, logits as they are.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.

    Returns:
        The model file.

    Raises:
        VAAError: the run cannot be read or written.
    """
    from vaa_cli.core.models.model_file import copy_with_card

    path = model_file(run)
    require_changeable(path)
    card = read_card(path)
    thresholds = (UNCALIBRATED_THRESHOLD,) * len(card.attributes)
    copy_with_card(path, path, replace(card, thresholds=thresholds, temperatures=(), shifts=()))
    return path
