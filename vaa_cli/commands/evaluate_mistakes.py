"""`vaa evaluate --mistakes`: the labels that a model contradicts, as a list to correct them by."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vaa_cli.commands.console import say
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaa_cli.core.engines.base import EngineOptions
    from vaa_cli.core.evaluation.evaluation import Evaluation
    from vaa_cli.core.training.cross_fitting import Fold
    from vaa_cli.core.training.options import TrainingOptions

_HEADER = b",split,attribute,label,probability"


def mistakes_file(path: Path | None, folds: int | None, group: ProcessGroup) -> Path | None:
    """The file of the list, checked before any work is done for it; None where none is asked for.

    Raises:
        VAAError: the options contradict each other, or another file stands there.
    """
    from vaa_cli.core.system.output_files import require_output

    if path is None:
        if folds is not None:
            raise VAAError("--folds is for the list of --mistakes; name its file, such as out.csv")
        return None
    if folds is not None and group.world_size > 1:
        raise VAAError("--folds trains in one process; start it without torchrun")
    return require_output(
        path, "a list of mistakes", lambda start: _HEADER in start.split(b"\n")[0]
    )


def _is_list(start: bytes) -> bool:
    return _HEADER in start.split(b"\n")[0]


def write_mistakes(path: Path, evaluation: "Evaluation") -> None:
    """Write the labels of a split that a model decides otherwise, the surest first."""
    from vaa_cli.core.evaluation.label_errors import contradicted, label_error_cells
    from vaa_cli.core.prediction.decisions import DecisionRule
    from vaa_cli.core.system.csv_writer import write_csv

    split = evaluation.split
    table = split.table
    rule = DecisionRule.of(split.card)
    errors = contradicted(evaluation.probabilities, table.labels, rule)
    write_csv(path, label_error_cells(errors, table, [split.name] * len(table)))
    say(f"wrote {path}: {len(errors):,} labels that the model contradicts, the surest first")


def write_cross_fitted(
    path: Path, evaluation: "Evaluation", folds: int, options: "EngineOptions"
) -> None:
    """Write the labels of all pictures that models which were not trained on them contradict.

    Raises:
        VAAError: the run has no options to train with, or a training failed.
    """
    from vaa_cli.commands.series_display import train_shown
    from vaa_cli.core.evaluation.label_errors import (
        calibrated_on_labels,
        label_error_cells,
        likely_errors,
    )
    from vaa_cli.core.labels.table import SPLITS
    from vaa_cli.core.system.csv_writer import write_csv
    from vaa_cli.core.training.cross_fitting import make_folds

    run, data = evaluation.split.model.parent, evaluation.split.dataset
    where = run / f"folds-{folds}"
    table, parts = make_folds(data, _training_options(run, options), folds, where)
    if stopped := train_shown([part.run for part in parts], where):
        raise typer.Exit(128 + stopped)
    probabilities = _held_out(parts, len(table), options)
    calibrated = calibrated_on_labels(probabilities, table.labels)
    errors = likely_errors(calibrated, table.labels)
    assert table.splits is not None
    splits = [SPLITS[position] for position in table.splits]
    write_csv(path, label_error_cells(errors, table, splits))
    assert errors.suspect is not None
    labels = int((table.labels >= 0).sum())
    say(
        f"wrote {path}: {len(errors):,} of {labels:,} labels, the likeliest errors first, "
        f"{int(errors.suspect.sum()):,} of them suspect; by {folds} models that were not trained "
        "on them"
    )


def _training_options(run: Path, options: "EngineOptions") -> "TrainingOptions":
    """The options that a run was trained with."""
    from dataclasses import replace

    from vaa_cli.core.runs.folder import kept_config
    from vaa_cli.core.training.option_sources import started_options

    kept, _ = kept_config(run)
    return replace(
        started_options(kept, run),
        device=options.device,
        workers=options.workers,
        tensorboard=False,
    )


def _held_out(parts: "list[Fold]", rows: int, options: "EngineOptions") -> "NDArray[np.float32]":
    """The probabilities `[n x c]` of all rows, each by the model that was not trained on it."""
    import numpy as np

    from vaa_cli.core.prediction.multi_process import table_probabilities
    from vaa_cli.core.prediction.predictor import Predictor

    found = np.full((rows, len(parts[0].run.data.attributes)), np.nan, dtype=np.float32)
    for part in parts:
        predictor = Predictor(part.run.folder, options)
        probabilities = table_probabilities(predictor, part.run.data.split("test"))
        assert probabilities is not None  # there is one process
        found[part.rows] = probabilities
    return found
