"""The content of an evaluation's page, as all its sections read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.evaluation.bootstrap import Draws
from vaa_cli.core.evaluation.group_scores import GroupScores
from vaa_cli.core.evaluation.metrics import Scores
from vaa_cli.core.evaluation.pointing_game import PointingResult
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.reports.examples import RenderedExample

# The attributes whose pictures stand open on top of the page.
_WORST = 5


@dataclass(frozen=True)
class PageContent:
    """The content of a page.

    Attributes:
        title: title of the page.
        about: model, data and split, by name.
        attributes: names of the attributes.
        priors: their priors in training; None where there is none.
        stages: those whose attention examples show.
        probabilities: `[n x c]`.
        labels: `[n x c]`.
        scores: their figures, as the model decides.
        rule: how it decides.
        at_half: those without calibration, decided at 0.5.
        draws: draws of the bootstrap, for intervals.
        epochs: the rows of the training's log, oldest first; none if it is not there.
        calibration: see `calibration_report.calibration_totals`; none if it is not calibrated.
        examples: pictures.
        mistakes: address of the list of all mistakes.
        pointing: scores of the attention maps; None if no regions were given.
        groups: the figures of exclusive groups.
    """

    title: str
    about: Mapping[str, object]
    attributes: Sequence[str]
    priors: Sequence[float | None]
    stages: Sequence[int]
    probabilities: NDArray[np.float32]
    labels: NDArray[np.int8]
    scores: Scores
    at_half: Scores
    rule: DecisionRule
    draws: Draws
    epochs: Sequence[Mapping[str, float]]
    calibration: Sequence[Mapping[str, object]]
    examples: Sequence[RenderedExample]
    mistakes: str
    pointing: PointingResult | None = None
    groups: Sequence[GroupScores] = ()

    @cached_property
    def worst(self) -> list[int]:
        """Positions of the attributes with the lowest mA, the lowest first."""
        return worst_attributes(self.scores)

    @cached_property
    def examples_of(self) -> Mapping[int, list[RenderedExample]]:
        """The pictures of each attribute that has some, by its position."""
        found: dict[int, list[RenderedExample]] = {}
        for one in self.examples:
            found.setdefault(one.example.attribute, []).append(one)
        return found


def worst_attributes(scores: Scores) -> list[int]:
    """Positions of the few attributes with the lowest mA, the lowest first."""
    order = np.argsort(scores.mean_accuracy, kind="stable")
    return [c for c in order.tolist() if scores.scorable[c]][:_WORST]
