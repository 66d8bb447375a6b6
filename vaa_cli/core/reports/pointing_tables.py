"""Tables of the pointing game."""

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from vaa_cli.core.evaluation.pointing_game import FIGURES, PointingResult
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable


def pointing_tables(attributes: Sequence[str], pointing: PointingResult) -> RenderableType:
    """Tables of hits and of mass: the maps of each stage, beside a uniform and a centred map."""
    maps = {name: s for name, s in pointing.all_maps.items() if "alone" not in name}
    scored = np.flatnonzero(pointing.regions).tolist()
    parts: list[RenderableType] = []
    names = [*(attributes[c] for c in scored), "mean of attributes"]
    regions = [*(f"{pointing.regions[c]:,}" for c in scored), f"{pointing.regions.sum():,}"]
    for kind, meaning in FIGURES.items():
        columns = [FigureColumn("regions", regions, len(maps) + 1)]
        for position, (name, scores) in enumerate(maps.items(), start=1):
            rank = 0 if name == "aggregated" else position
            values = getattr(scores, kind)
            cells = [f"{value:.3f}" for value in (*values[scored], values[scored].mean())]
            columns.append(FigureColumn(name, cells, rank))
        parts.append(FiguresTable([meaning], [[name] for name in names], columns, foot=1))
    return Group(*parts, Text("uniform, centred: what maps that have not looked would score"))
