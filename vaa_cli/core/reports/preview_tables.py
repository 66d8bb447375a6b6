"""A dataset before it is prepared, as tables for a terminal."""

import numpy as np
from rich.console import RenderableType

from vaa_cli.core.labels.table import ABSENT, PRESENT, LabelTable
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable

_WORDS = {PRESENT: "yes", ABSENT: "no"}


def attributes_table(table: LabelTable) -> RenderableType:
    """How often each attribute is present, absent and unspecified, and the group that it is in."""
    group_of = {name: group for group, members in table.groups.items() for name in members}
    counts = [(table.labels == label).sum(axis=0) for label in (PRESENT, ABSENT)]
    unspecified = len(table) - np.sum(counts, axis=0)
    columns = [
        FigureColumn(title, [f"{count:,}" for count in found], rank)
        for rank, (title, found) in enumerate(
            [("present", counts[0]), ("absent", counts[1]), ("unspecified", unspecified)]
        )
    ]
    if group_of:
        groups = [group_of.get(name, "") for name in table.attributes]
        columns.append(FigureColumn("group", groups, 3, justify="left"))
    return FiguresTable(["attribute"], [[name] for name in table.attributes], columns)


def first_rows(table: LabelTable, count: int) -> RenderableType:
    """The pictures, boxes and labels of the first rows.

    Args:
        table: the rows.
        count: number of rows.
    """
    rows = range(min(count, len(table)))
    columns = []
    if table.boxes is not None:
        columns.append(FigureColumn("box", [str(table.box(row) or "") for row in rows], 0))
    if table.identities is not None:
        columns.append(FigureColumn("identity", [str(table.identities[row]) for row in rows], 1))
    for rank, name in enumerate(table.attributes, start=2):
        labels = table.labels[: len(rows), rank - 2].tolist()
        columns.append(FigureColumn(name, [_WORDS.get(label, "") for label in labels], rank))
    return FiguresTable(["image"], [[table.row_images[row]] for row in rows], columns)
