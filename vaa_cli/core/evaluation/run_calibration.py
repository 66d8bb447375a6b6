"""Calibrating a run on val, and keeping the result in its model file."""

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
from vaa_cli.core.models.card import is_model
from vaa_cli.core.prediction.multi_process import table_probabilities
from vaa_cli.core.prediction.predictor import Predictor
from vaa_cli.core.runs.lookup import model_file
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.output_files import require_output


@dataclass(frozen=True)
class CalibratedRun:
    """A model file with new temperatures and thresholds.

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
    run: Path | None,
    data: Path | None,
    metric: Metric = "mA",
    shrinkage: float = 20.0,
    out: Path | None = None,
    options: EngineOptions | None = None,
    group: ProcessGroup | None = None,
) -> CalibratedRun | None:
    """Fit the temperatures and thresholds of a run on val, and write them into its model file.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.
        data: a prepared folder; None for the one that the model was trained on.
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
    if out is not None and out != path:
        out = require_output(out, "a model of vaa", is_model)
    split = read_split(path, data, "val")
    predictor = Predictor(path, options, group=group)
    with group.connected():
        probabilities = table_probabilities(predictor, split.table)
    if probabilities is None:
        return None
    from vaa_cli.core.models.model_file import copy_with_card

    card, labels = split.card, split.table.labels
    logits = logits_of(probabilities, card.temperatures or 1.0)
    try:
        calibration = fit_calibration(logits, labels, metric, shrinkage)
    except ValueError as error:
        raise VAAError(f"val of {split.folder} cannot calibrate: {error}") from error
    temperatures, thresholds = calibration.temperatures, calibration.thresholds
    out = out or path
    new = replace(
        card, thresholds=tuple(thresholds.tolist()), temperatures=tuple(temperatures.tolist())
    )
    copy_with_card(path, out, new)
    calibrated = expit(logits / temperatures)
    title = "on val, where it was fitted"
    totals = calibration_totals(title, calibrated, temperatures, thresholds, labels)
    return CalibratedRun(out, card.attributes, calibration, labels, totals)
