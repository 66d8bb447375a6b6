"""Leaving out rows that cannot be used: broken pictures, and boxes outside their picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vaa_cli.core.images.check import Checked
from vaa_cli.core.labels.boxes import clip_boxes, no_area
from vaa_cli.core.labels.table import LabelTable, repeated_rows


@dataclass(frozen=True)
class Dropped:
    """A row that was left out, and why."""

    image: str
    reason: str


def usable_rows(
    table: LabelTable, checked: Sequence[Checked] | None
) -> tuple[LabelTable, list[Dropped]]:
    """Clip the boxes to their pictures, and leave out the rows that cannot be used.

    Args:
        table: `n` rows.
        checked: sizes of its pictures, or what is wrong with them; None where nobody looked.
            Boxes are then clipped at the left and the top, the only edges that are known.

    Returns:
        The rows that are left, and those that are not.
    """
    pictures = table.distinct_images
    sizes = np.full((len(pictures.names), 2), np.inf)
    problems: dict[int, str] = {}
    for position, found in enumerate(checked or ()):
        if isinstance(found, str):
            problems[position] = found
        else:
            sizes[position] = found
    broken = np.isin(pictures.row_index, list(problems))
    has_area = np.ones(len(table), dtype=bool)
    clipped = table
    if table.boxes is not None:
        boxes, has_area = clip_boxes(table.boxes, sizes[pictures.row_index])
        clipped = replace(table, boxes=boxes)
    usable = ~broken & has_area
    fine = np.flatnonzero(usable)
    usable[fine] = ~repeated_rows(clipped.select(fine))

    def reason(row: int) -> str:
        picture, box = int(pictures.row_index[row]), table.box(row)
        if picture in problems:
            return problems[picture]
        if box is not None and not has_area[row]:
            return no_area(box, *sizes[picture].tolist())
        return "the same picture and box as in a row before it"

    dropped = [
        Dropped(table.row_images[row], reason(row)) for row in np.flatnonzero(~usable).tolist()
    ]
    return (clipped.select(np.flatnonzero(usable)) if dropped else clipped), dropped
