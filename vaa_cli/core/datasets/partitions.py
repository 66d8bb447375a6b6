"""Rows of a table that one of its dataset's partitions leaves out."""

from dataclasses import replace

import numpy as np

from vaa_cli.core.datasets.matlab_values import NO_PART
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels import LabelTable


def chosen_rows(table: LabelTable, place: str) -> LabelTable:
    """The rows that are in a split, with a note of those that are not.

    Args:
        table: the rows, with splits.
        place: which partition of which file this is.

    Raises:
        VAAError: there is none.
    """
    assert table.splits is not None
    rows = np.flatnonzero(table.splits != NO_PART)
    if not len(rows):
        raise VAAError(f"{place} has no pictures; choose another with --partition")
    left_out = len(table) - len(rows)
    if not left_out:
        return table
    note = f"{place}: {left_out:,} pictures are in no part of it"
    return replace(table.select(rows), notes=(*table.notes, note))
