"""Which rows of a table can be used: their picture is whole, and their box lies in it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vaa_cli.core.boxes import clip_boxes, no_area
from vaa_cli.core.labels import LabelTable, repeated_rows
from vaa_cli.core.picture_check import Checked


@dataclass(frozen=True)
class Dropped:
    """A row that was left out, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class DistinctPictures:
    """The pictures of a table, each once, though several people may be in it.

    Attributes:
        names: `p` paths relative to the table's root, in the order of their first rows.
        of_row: `[n]` the position in `names` of each row's picture.
    """

    names: list[str]
    of_row: NDArray[np.int64]

    @classmethod
    def of(cls, table: LabelTable) -> "DistinctPictures":
        """Find the pictures of a table."""
        of_row, names = pd.factorize(np.array(table.images, dtype=object))
        return cls(names.tolist(), of_row.astype(np.int64, copy=False))


def usable_rows(
    table: LabelTable, pictures: DistinctPictures, checked: Sequence[Checked] | None
) -> tuple[LabelTable, list[Dropped]]:
    """Clip the boxes to their pictures, and leave out the rows that cannot be used.

    Args:
        table: `n` rows.
        pictures: its `p` pictures.
        checked: `p` sizes of pictures, or what is wrong with them; None where nobody looked.
            Boxes are then clipped at the left and the top, the only edges that are known.

    Returns:
        The rows that are left, and those that are not.
    """
    sizes = np.full((len(pictures.names), 2), np.inf)
    problems: list[str | None] = [None] * len(sizes)
    for position, found in enumerate(checked or ()):
        if isinstance(found, str):
            problems[position] = found
        else:
            sizes[position] = found
    broken = np.array([problem is not None for problem in problems])[pictures.of_row]
    has_area = np.ones(len(table), dtype=bool)
    clipped = table
    if table.boxes is not None:
        boxes, has_area = clip_boxes(table.boxes, sizes[pictures.of_row])
        clipped = replace(table, boxes=boxes)

    def reason(row: int) -> str:
        problem, box = problems[pictures.of_row[row]], table.box(row)
        if repeated[row]:
            return "the same picture and box as in a row before it"
        if problem is not None or box is None:
            return problem or ""
        return no_area(box, *sizes[pictures.of_row[row]].tolist())

    repeated = np.zeros(len(table), dtype=bool)
    fine = np.flatnonzero(~broken & has_area)
    repeated[fine] = repeated_rows(clipped.select(fine))
    out = broken | ~has_area | repeated
    dropped = [Dropped(table.images[row], reason(row)) for row in np.flatnonzero(out).tolist()]
    return (clipped.select(np.flatnonzero(~out)) if dropped else clipped), dropped
