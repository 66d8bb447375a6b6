"""Figures of exclusive groups as tables for a terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType

from vaa_cli.core.evaluation.group_scores import GroupScores
from vaa_cli.core.reports.figures_table import FigureColumn, FiguresTable, cell, name_text


def group_tables(groups: Sequence[GroupScores]) -> Group:
    """The accuracy of each group, and its confusion matrix: a row a true one, a column a decided.

    Args:
        groups: the figures.
    """
    tables: list[RenderableType] = []
    for group in groups:
        columns = [
            FigureColumn(word, [f"{group.confusion[k, j]:,}" for k in group.true_words], 1)
            for j, word in enumerate(group.words)
        ]
        title = f"{group.name}: accuracy {cell(group.accuracy)} of {group.rows:,}; rows are true"
        rows = [[group.words[k]] for k in group.true_words]
        tables += [name_text(title, "bold"), FiguresTable([group.name], rows, columns)]
    return Group(*tables)
