"""Prepared folders in the forms of other tools, so that one can leave as easily as come.

Pictures are linked into the new folder where the file system can (hard links), and copied else.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.groups import group_positions, group_values, word_of
from vaa_cli.core.labels.label_file import table_cells
from vaa_cli.core.labels.table import PRESENT, UNSPECIFIED, LabelTable
from vaa_cli.core.labels.words import NONE_OF_GROUP
from vaa_cli.core.system.csv_writer import Cell, write_csv
from vaa_cli.core.system.files import write_text, writing_errors
from vaa_cli.core.system.folders import whole_folder

_PICTURES = "images"
_LABEL = "person"


def convert(data: Prepared, out: Path, form: str) -> list[str]:
    """Write a prepared folder in another form.

    Args:
        data: the prepared folder.
        out: the folder to write, whole or not at all; a new one, or an empty one.
        form: a name of `FORMS`.

    Returns:
        Notes on what the form cannot hold.

    Raises:
        VAAError: there is no such form, it cannot hold boxes and there are some, a picture is
            missing, or the folder cannot be written.
    """
    if form not in FORMS:
        raise VAAError(f"unknown form {form!r}; use {', '.join(FORMS)}")
    has_boxes = any(table.boxes is not None for table in data.splits.values())
    if has_boxes and form not in _WITH_BOXES:
        raise VAAError(
            f"{form} has no boxes, and {data.folder} has some; use {' or '.join(_WITH_BOXES)}, or "
            "cut people out with vaa prepare --crops first"
        )
    if out.is_dir() and any(out.iterdir()):
        raise VAAError(f"{out} holds files, which may be somebody's labels; name a new folder")
    with whole_folder(out, ()) as beside:
        return FORMS[form](data, beside)


def _to_csv(data: Prepared, folder: Path) -> list[str]:
    """`labels.csv` with a column split, and `images/`."""
    _take_pictures(data.splits.values(), folder / _PICTURES)
    write_csv(folder / "labels.csv", _rows_of_csv(data))
    return []


def _rows_of_csv(data: Prepared) -> Iterator[Sequence[Cell]]:
    header: list[str] | None = None
    for split, table in data.splits.items():
        rows = table_cells(table)
        names = next(rows)
        if header is None:
            header = names
            yield [names[0], "split", *names[1:]]
        for image, *cells in rows:
            yield [f"{_PICTURES}/{image}", split, *cells]


def _to_imagefolder(data: Prepared, folder: Path) -> list[str]:
    """A folder a split with `metadata.jsonl`: Hugging Face's ImageFolder."""
    for split, table in _parts(data):
        _take_pictures([table], folder / split)
        lines = [
            json.dumps({"file_name": table.row_images[row], **values}, ensure_ascii=False)
            for row, values in enumerate(_values(table))
        ]
        write_text(folder / split / "metadata.jsonl", "".join(f"{line}\n" for line in lines))
    return []


def _to_coco(data: Prepared, folder: Path) -> list[str]:
    """`annotations/instances_SPLIT.json` with attributes, and `images/SPLIT/`, as Datumaro's."""
    (folder / "annotations").mkdir()
    for split, table in _parts(data):
        _take_pictures([table], folder / _PICTURES / split)
        write_text(folder / "annotations" / f"instances_{split}.json", json.dumps(_coco(table)))
    return []


def _coco(table: LabelTable) -> dict[str, Any]:
    images, annotations = [], []
    pictures = table.distinct_images
    root = _root_here(table)
    sizes = [_size_of(root / name) for name in pictures.names]
    for number, (name, (width, height)) in enumerate(zip(pictures.names, sizes, strict=True), 1):
        images.append({"id": number, "file_name": name, "width": width, "height": height})
    for row, values in enumerate(_values(table)):
        picture = int(pictures.row_index[row])
        box = table.box(row) or Box(0, 0, *sizes[picture])
        annotations.append(
            {
                "id": row + 1,
                "image_id": picture + 1,
                "category_id": 1,
                "bbox": list(box),
                "area": box.width * box.height,
                "iscrowd": 0,
                "attributes": values,
            }
        )
    categories = [{"id": 1, "name": _LABEL}]
    return {"images": images, "categories": categories, "annotations": annotations}


def _to_fiftyone(data: Prepared, folder: Path) -> list[str]:
    """A folder a split with `data/` and `labels.json`: FiftyOne's, of several labels."""
    notes = []
    for split, table in _parts(data):
        _take_pictures([table], folder / split / "data")
        stems = [str(PurePosixPath(name).with_suffix("")) for name in table.row_images]
        if len(set(stems)) < len(stems) or any("/" in stem for stem in stems):
            raise VAAError(
                "FiftyOne's labels.json names pictures by their names without folder and ending, "
                f"which are not different in {split}; use coco or csv"
            )
        present = [np.flatnonzero(labels == PRESENT).tolist() for labels in table.labels]
        labels = dict(zip(stems, present, strict=True))
        content = {"classes": list(table.attributes), "labels": labels}
        write_text(folder / split / "labels.json", json.dumps(content, ensure_ascii=False))
        unknown = int((table.labels == UNSPECIFIED).sum())
        if unknown:
            notes.append(f"{unknown:,} unspecified labels of {split} are absent in this form")
    return notes


def _parts(data: Prepared) -> Iterator[tuple[str, LabelTable]]:
    return ((split, table) for split, table in data.splits.items() if len(table))


def _values(table: LabelTable) -> Iterator[dict[str, bool | str]]:
    """The known values of each row: yes or no, and for each group its word."""
    positions = group_positions(table.groups, table.attributes)
    grouped = {position for members in positions.values() for position in members}
    found = {group: group_values(table.labels, members) for group, members in positions.items()}
    words = {
        group: [*(word_of(group, name) for name in members), NONE_OF_GROUP]
        for group, members in table.groups.items()
    }
    for row, labels in enumerate(table.labels.tolist()):
        values: dict[str, bool | str] = {
            name: label == PRESENT
            for position, (name, label) in enumerate(zip(table.attributes, labels, strict=True))
            if label != UNSPECIFIED and position not in grouped
        }
        for group, which in found.items():
            if which[row] >= 0:
                values[group] = words[group][int(which[row])]
        yield values


def _size_of(path: Path) -> tuple[int, int]:
    found = check_picture(path, decode=False)
    if isinstance(found, str):
        raise VAAError(f"{path}: {found}; put it back, or run vaa prepare again to leave it out")
    return found


def _root_here(table: LabelTable) -> Path:
    """The folder of the pictures, which must be files on this machine."""
    if table.extents is not None:
        raise VAAError(
            "the pictures are in shards; prepare the dataset without `shards` to convert it"
        )
    if isinstance(table.root, Path):
        return table.root
    raise VAAError(f"the pictures are at {table.root}; copy them to this machine to convert them")


def _take_pictures(tables: Iterable[LabelTable], folder: Path) -> None:
    """Link the pictures of tables into a folder, by the names that they have in them."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for name in table.distinct_images.names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with writing_errors(target):
                source = os.path.realpath(_root_here(table) / name)
                try:
                    os.link(source, target)
                except FileExistsError:
                    continue  # a picture of two splits
                except OSError:  # another disk, or a file system without links
                    shutil.copyfile(source, target)


FORMS: dict[str, Callable[[Prepared, Path], list[str]]] = {
    "csv": _to_csv,
    "imagefolder": _to_imagefolder,
    "coco": _to_coco,
    "fiftyone": _to_fiftyone,
}
_WITH_BOXES = ("csv", "coco")
