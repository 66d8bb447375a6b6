"""Regions of attributes, from tables of boxes and from masks, in pixels of upright pictures."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.evaluation.pointing_game import Booleans, Region
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.decode import opened_picture
from vaa_cli.core.labels.boxes import Box, crop_region
from vaa_cli.core.labels.label_file import parse_boxes
from vaa_cli.core.labels.label_header import box_columns, image_column
from vaa_cli.core.labels.table import PRESENT, LabelTable
from vaa_cli.core.system.csv_reader import read_csv
from vaa_cli.core.system.location import Location, URLFolder

ATTRIBUTE_COLUMN = "attribute"
# Names the values of masks; in their folder or in the one above.
MASK_VALUES = "mask_values.csv"


class AttributeRegions(Protocol):
    """Regions of attributes in the pictures of a table.

    Attributes:
        rows: rows of the table whose regions are known, ascending.
    """

    rows: list[int]

    def of(self, row: int) -> list[Region]:
        """The regions of attributes that are labelled present, in the part that the model sees.

        Raises:
            VAAError: the picture, or the file of its regions, is missing or broken.
        """
        ...


class BoxRegions:
    """Regions from a CSV with the columns image, attribute, left, top, width, height.

    Args:
        path: the CSV. Images are named as in the dataset, or from the CSV's folder.
        table: the pictures that are scored, with the labels of `attributes`.
        known: the names of all pictures of the dataset, whatever their split.
        attributes: the model's; boxes of others are passed over.
        margin: context around boxes of people, see `boxes.crop_region`.

    Raises:
        VAAError: the CSV is wrong, or none of its boxes is of these pictures and attributes.
    """

    def __init__(
        self,
        path: Path,
        table: LabelTable,
        known: set[str],
        attributes: Sequence[str],
        margin: float,
    ) -> None:
        self._table, self._margin = table, margin
        frame = read_csv(path)
        columns = list(frame.columns)
        image, boxes = image_column(columns), box_columns(columns)
        if image is None or not boxes or ATTRIBUTE_COLUMN not in columns:
            raise VAAError(
                f"{path} needs the columns image, {ATTRIBUTE_COLUMN}, left, top, width and height"
            )
        names = [_name_in(known, table.root, path.parent, name) for name in frame[image]]
        unknown = [i for i, name in enumerate(names) if name is None]
        if unknown:
            row, name = frame.index[unknown[0]], frame[image].iloc[unknown[0]]
            raise VAAError(
                f"{path}: row {row}: {name!r} is no picture of the dataset "
                f"({len(unknown):,} such rows); take them out"
            )
        positions = {name: i for i, name in enumerate(attributes)}
        self._boxes: dict[str, dict[int, list[Box]]] = defaultdict(lambda: defaultdict(list))
        numbers = parse_boxes(frame[boxes], path).tolist()
        for name, attribute, box in zip(names, frame[ATTRIBUTE_COLUMN], numbers, strict=True):
            if attribute in positions and name is not None:
                self._boxes[name][positions[attribute]].append(Box(*box))
        self.rows = [row for row, name in enumerate(table.row_images) if name in self._boxes]
        if not self.rows:
            raise VAAError(f"{path} has no box of these pictures and of the model's attributes")

    def of(self, row: int) -> list[Region]:
        """See `AttributeRegions`."""
        width, height = _size(self._table.path(row))
        regions = {}
        for attribute, boxes in self._boxes[self._table.row_images[row]].items():
            inside = np.zeros((height, width), dtype=bool)
            for box in boxes:
                left, top = max(0, round(box.left)), max(0, round(box.top))
                inside[top : round(box.top + box.height), left : round(box.left + box.width)] = True
            regions[attribute] = inside
        return _present(self._table, row, self._margin, regions)


class MaskRegions:
    """Regions from masks, one a picture, whose pixels are numbers that `mask_values.csv` names.

    Args:
        folder: folder of the masks, named as their pictures are, with the ending .png.
        table: the pictures that are scored, with the labels of `attributes`.
        attributes: the model's; other names in `mask_values.csv` are passed over.
        margin: context around boxes of people, see `boxes.crop_region`.

    Raises:
        VAAError: the names of the values are missing or wrong, there are no masks of these
            pictures or none of the attributes, or one has another size than its picture.
    """

    def __init__(
        self, folder: Path, table: LabelTable, attributes: Sequence[str], margin: float
    ) -> None:
        self._table, self._margin = table, margin
        self._values = _mask_values(folder, attributes)
        self._files: dict[int, Path] = {}
        for row, image in enumerate(table.row_images):
            name = PurePosixPath(image).with_suffix(".png")
            for file in (folder / name, folder / name.name):
                if file.is_file():
                    _check_same_size(file, table.path(row))
                    self._files[row] = file
                    break
        self.rows = list(self._files)
        if not self.rows:
            raise VAAError(
                f"{folder} has no masks of these pictures; the mask of {table.row_images[0]} would "
                f"be {folder / PurePosixPath(table.row_images[0]).with_suffix('.png').name}"
            )

    def of(self, row: int) -> list[Region]:
        """See `AttributeRegions`."""
        values = _mask(self._files[row])
        regions = {
            attribute: np.isin(values, numbers) for attribute, numbers in self._values.items()
        }
        return _present(self._table, row, self._margin, regions)


def _size(path: Path | str) -> tuple[int, int]:
    size = check_picture(path, decode=False)
    if isinstance(size, str):
        raise VAAError(f"{path}: {size}")
    return size


def _check_same_size(mask: Path, picture: Path | str) -> None:
    """Compare the sizes in their headers, before anything is computed."""
    has, needs = _size(mask), _size(picture)
    if has != needs:
        raise VAAError(
            f"{mask} has {has[0]} x {has[1]} pixels, but its picture {picture} "
            f"{needs[0]} x {needs[1]}; make masks of the pictures' sizes"
        )


def _name_in(known: set[str], root: Location, folder: Path, name: str) -> str | None:
    """The dataset's name of a picture that a table in a folder names; None if it has none."""
    if name in known:
        return name
    if isinstance(root, URLFolder):
        return None
    try:
        found = (folder / name).resolve().relative_to(root.resolve()).as_posix()
    except ValueError:  # it is elsewhere
        return None
    return found if found in known else None


def _mask_values(folder: Path, attributes: Sequence[str]) -> dict[int, list[int]]:
    """The numbers in masks that mean an attribute, by its position."""
    if not folder.is_dir():
        raise VAAError(f"{folder}: no such folder")
    files = [place / MASK_VALUES for place in (folder, folder.absolute().parent)]
    path = next((file for file in files if file.is_file()), None)
    if path is None:
        raise VAAError(
            f"{folder} has no {MASK_VALUES}, with columns value and name, in or above it"
        )
    frame = read_csv(path)
    if not {"value", "name"} <= set(frame.columns):
        raise VAAError(f"{path} needs the columns value and name")
    positions = {name: i for i, name in enumerate(attributes)}
    values: dict[int, list[int]] = defaultdict(list)
    for row, value, name in zip(frame.index, frame["value"], frame["name"], strict=True):
        if not value.strip().isdecimal():
            raise VAAError(f"{path}: row {row}: {value!r} is no value of a pixel")
        if name in positions:
            values[positions[name]].append(int(value))
    if not values:
        raise VAAError(f"{path} names none of the model's attributes")
    return values


def _mask(file: Path) -> NDArray[np.integer]:
    try:
        with opened_picture(file) as picture:
            picture.load()
            values = np.asarray(picture)
    except PictureError as error:
        raise VAAError(f"{file}: {error}") from error
    if values.ndim != 2:
        raise VAAError(f"{file} is in colour; a mask has one number a pixel")
    return values.astype(np.int64)


def _present(
    table: LabelTable, row: int, margin: float, regions: Mapping[int, Booleans]
) -> list[Region]:
    """The labelled regions of a whole picture, in the part of it that the model sees."""

    def regions_seen() -> Iterator[Region]:
        box = table.box(row)
        for attribute, inside in sorted(regions.items()):
            if table.labels[row, attribute] != PRESENT:
                continue
            if box is not None:
                height, width = inside.shape
                left, top, right, bottom = crop_region(box, width, height, margin)
                inside = inside[top:bottom, left:right]
            if inside.any():
                yield Region(row, attribute, inside)

    try:
        return list(regions_seen())
    except PictureError as error:
        raise VAAError(f"{table.path(row)}: {error}") from error
