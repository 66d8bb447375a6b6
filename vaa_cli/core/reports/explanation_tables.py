"""Explanations as text: the decision on each attribute, and where its map is largest."""

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.attention import Explanation, Floats
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, name_text

_DOWN, _ACROSS = ("top", "middle", "bottom"), ("left", "centre", "right")


def explanation_table(
    explanation: Explanation, card: ModelCard, attributes: Sequence[int]
) -> RenderableType:
    """A table with a row an attribute: probability, threshold, decision, and where its map peaks.

    Args:
        explanation: the explanation of a picture that is not broken.
        card: the model's.
        attributes: positions of the attributes that have a row.
    """
    probabilities = explanation.prediction.probabilities
    assert probabilities is not None
    request = explanation.prediction.request
    title = request.path if request.box is None else f"{request.path} {request.box}"
    maps = [explanation.combined(c) for c in attributes]
    decided = DecisionRule.of(card).decide(probabilities)
    decisions = ["present" if decided[c] else "absent" for c in attributes]
    columns = [
        FigureColumn("probability", [f"{probabilities[c]:.3f}" for c in attributes], 1),
        FigureColumn("threshold", [f"{card.thresholds[c]:.3f}" for c in attributes], 3),
        FigureColumn("decision", decisions, 0),
        FigureColumn("attention", [peak(heat) for heat in maps], 2),
        FigureColumn("peak", [f"{heat.max():.1f}" for heat in maps], 4),
    ]
    rows = [[card.attributes[c]] for c in attributes]
    height, width = explanation.stages[explanation.finest_stage].grid
    note = f"attention: where the map of {height} × {width} cells is largest"
    if not explanation.fine_stages:
        note += ", which is too coarse to rely on"
    note += "; peak: its value there, 1 for a map that is even and sure"
    return Group(name_text(title, style="bold"), FiguresTable([""], rows, columns), Text(note))


def peak(heat: Floats) -> str:
    """The third of the picture, down and across, in which a map `[h x w]` is largest."""
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    down = _DOWN[int(3 * (row + 0.5) / heat.shape[0])]
    across = _ACROSS[int(3 * (column + 0.5) / heat.shape[1])]
    return f"{down} {across}"
