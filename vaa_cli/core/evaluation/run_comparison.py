"""Comparing runs on the same pictures."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.bootstrap import SAMPLES
from vaa_cli.core.evaluation.comparison import Compared, compare_predictions
from vaa_cli.core.evaluation.labelled_split import LabelledSplit, read_split
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.multi_process import table_probabilities
from vaa_cli.core.prediction.predictor import Predictor
from vaa_cli.core.runs.lookup import model_file, runs_at
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.location import Location

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunComparison:
    """The figures of several runs on the same pictures.

    Attributes:
        names: names of what was compared; the others are compared with the first.
        seeds: number of runs of each.
        compared: the figures, totals first.
        split: the pictures and labels.
        attributes: the attributes that all runs have.
    """

    names: list[str]
    seeds: list[int]
    compared: list[Compared]
    split: LabelledSplit
    attributes: list[str]


def compare_runs(
    runs: Sequence[Path],
    data: Location | str | None = None,
    split: str = "test",
    samples: int = SAMPLES,
    seed: int = 0,
    options: EngineOptions | None = None,
    group: ProcessGroup | None = None,
) -> RunComparison | None:
    """Score runs on the same pictures, with intervals of the differences to the first one.

    Logs a warning for attributes that not all runs have.

    Args:
        runs: run folders or model files, two or more; or folders of runs, each of one method with
            several seeds, whose mean is compared.
        data: a prepared folder, or its URL; None for the one that all models were trained on.
        split: train, val or test.
        samples: number of bootstrap samples.
        seed: seed of the bootstrap.
        options: how the models are computed.
        group: the processes that share the work; None for this one alone.

    Returns:
        The comparison; None in processes other than the first of a group.

    Raises:
        VAAError: a run or the folder cannot be read, or the runs cannot be compared.
    """
    group = group or ProcessGroup()
    if len(runs) < 2:
        raise VAAError("name two runs or more: vaa compare runs/a runs/b")
    runs_of = [runs_at(run) for run in runs]
    splits = [read_split(model_file(run), data, split) for folders in runs_of for run in folders]
    attributes = _shared_attributes(splits)
    predictors = [Predictor(one.model, options, group=group) for one in splits]
    with group.connected():
        predicted = [
            table_probabilities(predictor, one.table)
            for predictor, one in zip(predictors, splits, strict=True)
        ]
    columns = [[one.card.attributes.index(name) for name in attributes] for one in splits]
    scored = []
    for probabilities, one, chosen in zip(predicted, splits, columns, strict=True):
        if probabilities is None:
            return None
        scored.append((probabilities[:, chosen], DecisionRule.of(one.card).of_some(chosen)))
    first, seeds = splits[0], [len(folders) for folders in runs_of]
    labels = first.table.labels[:, columns[0]]
    left = iter(scored)
    by_method = [[next(left) for _ in range(count)] for count in seeds]
    compared = compare_predictions(by_method, labels, attributes, samples, seed)
    return RunComparison([str(run) for run in runs], seeds, compared, first, attributes)


def _shared_attributes(splits: Sequence[LabelledSplit]) -> list[str]:
    """The attributes that all models have and that the folder has labels of."""
    first = splits[0]
    for other in splits[1:]:
        if (
            other.table.row_images != first.table.row_images
            or other.folder.resolve() != first.folder.resolve()
        ):
            raise VAAError(
                f"{first.model} was trained on {first.folder} and {other.model} on {other.folder}; "
                "name the prepared folder that both are scored on with `data`"
            )
    shared = [
        name
        for name in first.card.attributes
        if all(name in one.card.attributes for one in splits) and name not in first.unlabelled
    ]
    if not shared:
        raise VAAError("the runs have no attribute in common")
    left_out = sorted({name for one in splits for name in one.card.attributes} - {*shared})
    if left_out:
        _LOGGER.warning("not in all runs, and left out: %s", ", ".join(left_out))
    return shared
