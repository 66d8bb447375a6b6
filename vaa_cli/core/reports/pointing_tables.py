"""Tables of the pointing game."""

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vaa_cli.core.evaluation.pointing_game import (
    _KINDS,
    PointingResult,
    _all_maps,
)
from vaa_cli.core.reports.style import TABLE_STYLE


def pointing_tables(attributes: Sequence[str], pointing: PointingResult) -> RenderableType:
    """Tables of hits and of mass: the maps of each stage, beside a uniform and a centred map."""
    maps = {name: s for name, s in _all_maps(pointing).items() if "alone" not in name}
    scored = np.flatnonzero(pointing.regions).tolist()
    parts: list[RenderableType] = []
    for kind, meaning in _KINDS.items():
        table = Table(**TABLE_STYLE)
        table.add_column(meaning, overflow="fold")
        table.add_column("places", justify="right", no_wrap=True)
        for name in maps:
            table.add_column(name, justify="right", no_wrap=True)
        figures = [getattr(scores, kind) for scores in maps.values()]
        for c in scored:
            cells = [f"{values[c]:.3f}" for values in figures]
            table.add_row(Text(attributes[c]), f"{pointing.regions[c]:,}", *cells)
        table.add_section()
        means = [f"{values[scored].mean():.3f}" for values in figures]
        table.add_row("mean of attributes", f"{pointing.regions.sum():,}", *means, style="bold")
        parts.append(table)
    return Group(*parts, Text("uniform, centred: what maps that have not looked would score"))
