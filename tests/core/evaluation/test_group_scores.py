"""Figures of exclusive groups, against counting by hand."""

import math

import numpy as np

from tests.helpers.model_cards import make_card
from vaa_cli.core.evaluation.bootstrap import bootstrap
from vaa_cli.core.evaluation.confusions import mistakes
from vaa_cli.core.evaluation.group_scores import score_groups
from vaa_cli.core.evaluation.metrics import score
from vaa_cli.core.prediction.decisions import DecisionRule

CARD = make_card(
    ("age=young", "hat", "age=old"),
    thresholds=(0.5, 0.5, 0.25),
    priors=(0.5,) * 3,
    groups={"age": ("age=young", "age=old")},
)


def test_accuracy_and_confusion() -> None:
    labels = np.array(
        [[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 1, 0], [-1, 1, 0], [1, 0, -1]], dtype=np.int8
    )
    probabilities = [
        [0.9, 0.1, 0.1],  # young as young
        [0.4, 0.1, 0.3],  # young as old
        [0.6, 0.1, 0.7],  # old as old: further above its threshold
        [0.1, 0.1, 0.1],  # neither as neither
        [0.9, 0.1, 0.1],  # not known
        [0.1, 0.1, 0.2],  # young, of which one says so, as neither
    ]
    (age,) = score_groups(CARD, probabilities, labels)
    assert age.words == ("young", "old", "(none)")
    assert age.confusion.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 1]]
    assert age.record == {"group": "age", "rows": 5, "accuracy": 3 / 5}


def test_figures_are_of_what_is_decided() -> None:
    """Of two above their thresholds the one that is not decided is no prediction."""
    labels = np.array([[1, 0, 0], [0, 0, 1]], dtype=np.int8)
    probabilities = np.array([[0.6, 0.1, 0.26], [0.6, 0.1, 0.9]])
    rule = DecisionRule.of(CARD)
    scores = score(probabilities, labels, rule)
    assert scores.mean_accuracy[[0, 2]].tolist() == [1.0, 1.0]
    assert score(probabilities, labels, CARD.thresholds).mean_accuracy[0] == 0.5
    missed, wrongly = mistakes(probabilities, labels, rule)
    assert not missed.any() and not wrongly.any()
    (draws,) = bootstrap([(probabilities, rule)], labels, samples=50)
    assert np.nanmin(draws.mean_accuracy) == 1.0


def test_a_group_without_labels_has_no_accuracy() -> None:
    (age,) = score_groups(CARD, [[0.5, 0.5, 0.5]], np.full((1, 3), -1, dtype=np.int8))
    assert age.rows == 0
    assert math.isnan(age.accuracy)
