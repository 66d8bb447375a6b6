"""Evaluating a run: its predictions of a split, and all figures of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.formats import format_of
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.calibration import calibration_totals, logits_of
from vaa_cli.core.evaluation.group_scores import GroupScores, score_groups
from vaa_cli.core.evaluation.labelled_split import LabelledSplit, read_split
from vaa_cli.core.evaluation.localisation import read_regions, score_attention
from vaa_cli.core.evaluation.metrics import Scores, score
from vaa_cli.core.evaluation.pointing_game import PointingResult, pointing_records
from vaa_cli.core.evaluation.records import (
    Record,
    attribute_records,
    joined,
    rarity_records,
    unscored,
)
from vaa_cli.core.models.card import UNCALIBRATED_THRESHOLD
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.prediction.multi_process import table_probabilities
from vaa_cli.core.prediction.predictor import Predictor
from vaa_cli.core.runs.lookup import model_file
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.system.location import Location
from vaa_cli.core.system.processes import decoding_workers

if TYPE_CHECKING:
    import pandas as pd

    from vaa_cli.core.prediction.attention import AttentionReader


@dataclass(frozen=True)
class Evaluation:
    """The figures of a run on a split.

    Attributes:
        split: the pictures and labels that were scored.
        probabilities: `[n x c]`.
        scores: the figures, as the model decides.
        scores_at_half: the figures of the model without calibration, decided at 0.5 as in papers.
        calibration: the totals with and without calibration; empty if the model is not calibrated.
        pointing: scores of the attention maps; None if no regions were given.
        reader: the model, for its attention maps; None unless they were asked for.
        groups: the figures of exclusive groups.
    """

    split: LabelledSplit
    probabilities: NDArray[np.float32]
    scores: Scores
    scores_at_half: Scores
    calibration: list[Record]
    pointing: PointingResult | None = None
    reader: "AttentionReader | None" = None
    groups: Sequence[GroupScores] = ()

    @property
    def records(self) -> list[Record]:
        """A record for each attribute with all its figures."""
        card = self.split.card
        records = attribute_records(card.attributes, card.priors, self.scores, self.scores_at_half)
        return joined(records, pointing_records(self.pointing) if self.pointing else [])

    @property
    def rarity(self) -> list[Record]:
        """The means over rare, less rare and common attributes."""
        return rarity_records(self.split.card.priors, self.scores, self.scores_at_half)

    @property
    def table(self) -> "pd.DataFrame":
        """The records as a table with a row for each attribute."""
        import pandas as pd

        return pd.DataFrame(self.records)

    @property
    def unscored(self) -> list[str]:
        """Labelled attributes that cannot be scored, without a positive or without a negative."""
        names = unscored(self.split.card.attributes, self.scores)
        return [name for name in names if name not in self.split.unlabelled]


@overload
def evaluate(
    run: Path | str | None = None,
    data: Location | str | None = None,
    split: str = "test",
    *,
    boxes: Path | str | None = None,
    masks: Path | str | None = None,
    attention: bool = False,
    options: EngineOptions | None = None,
    group: None = None,
) -> Evaluation: ...


@overload
def evaluate(
    run: Path | str | None = None,
    data: Location | str | None = None,
    split: str = "test",
    *,
    boxes: Path | str | None = None,
    masks: Path | str | None = None,
    attention: bool = False,
    options: EngineOptions | None = None,
    group: ProcessGroup,
) -> Evaluation | None: ...


def evaluate(
    run: Path | str | None = None,
    data: Location | str | None = None,
    split: str = "test",
    *,
    boxes: Path | str | None = None,
    masks: Path | str | None = None,
    attention: bool = False,
    options: EngineOptions | None = None,
    group: ProcessGroup | None = None,
) -> Evaluation | None:
    """Score a trained model on a split of a prepared folder.

    Args:
        run: a run folder or a model file; None for the newest run in ./runs.
        data: a prepared folder, or its URL; None for the one that the model was trained on.
        split: train, val or test.
        boxes: a CSV of regions of attributes, to score attention maps on; see `BoxRegions`.
        masks: a folder of masks of attributes, likewise; see `MaskRegions`.
        attention: keep the attention reader of the model in the result, for a report.
        options: how the model is computed.
        group: the processes that share the work; None for this one alone.

    Returns:
        The figures; None in processes other than the first of a group.

    Raises:
        VAAError: the run, the folder or the regions cannot be read, or a picture is broken.

    Example:
        >>> import vaa_cli as vaa
        >>> evaluation = vaa.evaluate("runs/people", split="val")
        >>> list(evaluation.table.columns[:4])
        ['attribute', 'prior', 'positives', 'negatives']
        >>> bool(0 <= evaluation.scores.totals.mean_accuracy <= 1)
        True
    """
    path = model_file(run)
    options, group = options or EngineOptions(), group or ProcessGroup()
    with_attention = attention or boxes is not None or masks is not None
    if with_attention and format_of(path) is not None:
        raise VAAError(f"{path} is an export, which gives no attention; name the run that it is of")
    labelled = read_split(path, data, split)
    regions = read_regions(labelled, _path(boxes), _path(masks))
    if with_attention and options.engine == "auto":
        options = replace(options, engine="torch")  # which gives the maps too
    predictor, reader = Predictor(path, options, group=group), None
    with group.connected():
        if with_attention and group.is_main:
            reader = _attention_reader(predictor)
        probabilities = table_probabilities(predictor, labelled.table)
    if probabilities is None:
        return None
    pointing = None
    if reader is not None and regions is not None:
        pointing = score_attention(reader, labelled.table, regions)
    return replace(_scored(labelled, probabilities), pointing=pointing, reader=reader)


def _scored(split: LabelledSplit, probabilities: NDArray[np.float32]) -> Evaluation:
    card, labels = split.card, split.table.labels
    logits = logits_of(probabilities, card.temperatures, card.shifts)
    totals: list[Record] = []
    if card.temperatures:
        limits = card.thresholds
        totals = calibration_totals(split.name, logits, probabilities, limits, labels)
    scores = score(probabilities, labels, DecisionRule.of(card))
    at_half = score(expit(logits), labels, UNCALIBRATED_THRESHOLD)
    groups = score_groups(card, probabilities, labels)
    return Evaluation(split, probabilities, scores, at_half, totals, groups=groups)


def _path(path: Path | str | None) -> Path | None:
    return None if path is None else Path(path)


def _attention_reader(predictor: Predictor) -> "AttentionReader":
    """The model of a predictor as a reader of its attention; it is loaded once for both."""
    from vaa_cli.core.engines.torch_engine import TorchEngine
    from vaa_cli.core.models.devices import Compute
    from vaa_cli.core.models.model_file import load_model
    from vaa_cli.core.prediction.attention import AttentionReader

    options, group = predictor.options, predictor.group
    model, card = load_model(predictor.path)
    if options.engine == "torch":
        compute = Compute.choose(options.device, options.precision, group.local_rank)
        predictor.use(TorchEngine(model, card, compute))
    workers = decoding_workers() if options.workers is None else options.workers
    compute = Compute.choose(options.device, "fp32")
    return AttentionReader(model, card, compute, options.batch_size, workers)
