"""Models that each predict the pictures they were not trained on, for all pictures of a dataset.

The rows are cut into folds, by the hash that splits are cut by; a person is in one fold. The model
of a fold is trained on the others, of which a tenth is its val.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.datasets.prepared import Prepared, is_prepared, read_prepared
from vaa_cli.core.datasets.prepared_output import Origin, write_prepared, written_alone
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_file import table_cells
from vaa_cli.core.labels.splits import TRAIN, VAL, VAL_FRACTION, hashed_parts
from vaa_cli.core.labels.table import SPLITS, LabelTable, joined_boxes, joined_extents
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.run_series import PlannedRun

_HELD_OUT = SPLITS.index("test")


@dataclass(frozen=True)
class Fold:
    """One part of the rows, and the training on all others.

    Attributes:
        rows: positions of its rows in the table.
        run: the training, in whose prepared folder these rows are test.
    """

    rows: NDArray[np.int64]
    run: PlannedRun


def whole_table(data: Prepared) -> LabelTable:
    """All rows of a prepared folder, split after split."""
    parts = [data.splits[name] for name in SPLITS]
    first = parts[0]
    people = [part.identities for part in parts if len(part)]
    has_people = all(one is not None for one in people)
    return replace(
        first,
        row_images=[name for part in parts for name in part.row_images],
        labels=np.concatenate([part.labels for part in parts]),
        splits=np.repeat(np.arange(len(parts), dtype=np.int8), [len(part) for part in parts]),
        boxes=joined_boxes(parts),
        extents=joined_extents(parts),
        identities=np.concatenate(people) if has_people else None,  # type: ignore[arg-type]
    )


def make_folds(
    data: Prepared, options: TrainingOptions, count: int, folder: Path
) -> tuple[LabelTable, list[Fold]]:
    """Cut a dataset into folds, and prepare a folder for each.

    Args:
        data: the prepared folder.
        options: the options of each training.
        count: number of folds, 2 or more.
        folder: the folder of all folds: N/data and N/run.

    Returns:
        All rows, and the folds.

    Raises:
        VAAError: there are fewer people or pictures than folds, or a folder cannot be written.
    """
    table = whole_table(data)
    part_of = hashed_parts(replace(table, splits=None), (1 / count,) * count, options.seed)
    if len(set(part_of.tolist())) < count:
        raise VAAError(f"{data.folder} has too few pictures for {count} folds; ask for fewer")
    folds = []
    for number in range(count):
        held_out = part_of == number
        rest = np.flatnonzero(~held_out)
        of_rest = hashed_parts(
            table.select(rest), (1 - VAL_FRACTION, VAL_FRACTION), options.seed + 1
        )
        splits = np.full(len(table), _HELD_OUT, dtype=np.int8)
        splits[rest] = np.where(of_rest == 1, VAL, TRAIN)
        place = folder / str(number + 1)
        prepared = _prepared(replace(table, splits=splits), data, place / "data")
        run = PlannedRun(f"fold {number + 1}", place / "run", options, prepared)
        folds.append(Fold(np.flatnonzero(held_out), run))
    return table, folds


def _prepared(table: LabelTable, data: Prepared, folder: Path) -> Prepared:
    """The prepared folder of a fold; one that is the same stays, so that its training goes on."""
    if is_prepared(folder):
        there = read_prepared(folder)
        if _is_same(there, table):
            return there
    folder.parent.mkdir(parents=True, exist_ok=True)
    with written_alone(folder):
        write_prepared(folder, table, Origin(data.name, "fold", box_margin=data.box_margin))
    return read_prepared(folder)


def _is_same(there: Prepared, table: LabelTable) -> bool:
    return all(
        list(table_cells(there.splits[name])) == list(table_cells(table.split(name)))
        for name in SPLITS
    )
