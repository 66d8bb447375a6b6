"""The rows that a run was trained on, so that scores on its own pictures are noticed."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs.folder import CONFIG, TRAINING_ROWS
from vaa_cli.core.system.csv_writer import csv_text
from vaa_cli.core.system.files import write_text
from vaa_cli.core.system.input_files import parse_json, read_file
from vaa_cli.core.system.location import Location

Row = tuple[str, tuple[float, ...]]


def table_rows(images: Sequence[str], boxes: ArrayLike | None) -> list[Row]:
    """The rows of a table, to compare with those of another one.

    Args:
        images: `n` names relative to the root of the dataset.
        boxes: `[n x 4]`, NaN for the whole picture; None for whole pictures only.
    """
    if boxes is None:
        return [(image, ()) for image in images]
    sides: list[list[float]] = np.asarray(boxes, dtype=np.float64).tolist()
    return [
        (image, () if any(side != side for side in box) else tuple(box))
        for image, box in zip(images, sides, strict=True)
    ]


def write_training_rows(run: Path, rows: Sequence[Row]) -> None:
    """Write the rows that a run is trained on, beside its config.json.

    Raises:
        VAAError: the file cannot be written.
    """
    cells = [[image, *map(repr, box)] for image, box in rows]
    write_text(run / TRAINING_ROWS, csv_text(cells))


def read_training_rows(run: Path, name: str, root: Location) -> set[Row]:
    """The rows of a dataset that a run was trained on.

    Args:
        run: the run folder.
        name: name of the dataset that is asked about.
        root: the folder that its names start from.

    Returns:
        The rows; empty where the run was trained on another dataset, or does not say.
    """
    try:
        dataset = parse_json(read_file(run / CONFIG))["dataset"]
        if dataset["name"] != name and dataset["root"] != str(root.resolve()):
            return set()
        with (run / TRAINING_ROWS).open(encoding="utf-8", newline="") as file:
            return {(image, tuple(map(float, box))) for image, *box in csv.reader(file)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error, VAAError):
        return set()
