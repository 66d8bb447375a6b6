"""Cutting people out of pictures once, so that training reads small files."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from vaa_cli.core.datasets.cleaning import Dropped
from vaa_cli.core.errors import PictureError, VAAError, one_line
from vaa_cli.core.images.check import check_picture
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.images.read_ahead import fetched_ahead
from vaa_cli.core.labels.boxes import Box, crop_region
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.file_cache import CachedURL
from vaa_cli.core.system.files import is_temporary, whole_file
from vaa_cli.core.system.folders import make_folder
from vaa_cli.core.system.processes import in_processes

SHORT_SIDE = 256
# JPEG at this quality differs from the original in measurements, not to the eye.
_QUALITY = 95
# No JPEG is longer, in pixels.
_LONGEST = 65_500
# How the names of crops end.
_CROP = re.compile(r"-[0-9a-f]{16}\.jpg$")
# Pictures take long enough that few of them are worth other processes.
_FEW, _BATCH = 8, 4


@dataclass(frozen=True)
class CropOptions:
    """The options of crops.

    Attributes:
        margin: context around each box, see `boxes.crop_region`.
        short_side: pixels; what is larger is scaled down so that its shorter side has so many.
    """

    margin: float = 0.0
    short_side: int = SHORT_SIDE


@dataclass(frozen=True)
class _Job:
    """One picture, and the name of each of its crops with what is cut out for it."""

    source: Path | CachedURL
    crops: tuple[tuple[str, Box | None], ...]
    folder: Path
    earlier: Path
    options: CropOptions


def crop_names(table: LabelTable, options: CropOptions) -> list[str]:
    """A name for each row's crop, which changes with all that the crop depends on."""
    pictures = table.distinct_images
    versions = [_version(table.root / name) for name in pictures.names]
    names = []
    for row, image in enumerate(table.row_images):
        parts = (image, versions[pictures.row_index[row]], table.box(row), options, _QUALITY)
        digest = hashlib.sha256(repr(parts).encode(errors="surrogateescape")).hexdigest()[:16]
        # Folders stay small, and a person finds the picture that a crop is from.
        stem = os.fsencode(Path(image).stem)[:80].decode("utf-8", "ignore")  # names have 255 bytes
        names.append(f"{digest[:2]}/{stem}-{digest}.jpg")
    return names


def write_crops(
    table: LabelTable,
    names: Sequence[str],
    folder: Path,
    earlier: Path,
    options: CropOptions,
    workers: int | None = None,
) -> Iterator[list[str | None]]:
    """Write each row's crop, unless it is there; on all cores, each picture decoded once.

    They are not waited for to be on disk; `files.sync_tree` does that.

    Args:
        table: the rows.
        names: names of their crops, from `crop_names`.
        folder: folder of the crops; crops of other names there are removed.
        earlier: a folder that may have some of them, from which they are taken over.
        options: the options of crops.
        workers: processes; None for one a core.

    Yields:
        For each picture in the order of `table.pictures`, what is wrong with each of its crops.

    Raises:
        VAAError: a crop cannot be written, or the folder holds what is none.
    """
    make_folder(folder)
    for prefix in {name.split("/")[0] for name in names}:
        make_folder(folder / prefix)
    _remove_others(folder, set(names))
    jobs = _jobs(table, names, folder, earlier, options)
    jobs = fetched_ahead(jobs, lambda job: job.source)
    return in_processes(_write, jobs, workers, _FEW, _BATCH)


def cropped(
    table: LabelTable, names: Sequence[str], problems: Iterable[Sequence[str | None]]
) -> tuple[LabelTable, list[Dropped]]:
    """The table of the crops, and the rows that have none.

    Args:
        table: the rows.
        names: names of their crops.
        problems: the problems that `write_crops` gave.
    """
    order = _rows_by_picture(table)
    found = [problem for picture in problems for problem in picture]
    failed = {int(row): problem for row, problem in zip(order, found, strict=True) if problem}
    dropped = [Dropped(table.row_images[row], failed[row]) for row in sorted(failed)]
    kept = np.array([row not in failed for row in range(len(table))])
    crops = replace(table, row_images=list(names), boxes=None)
    return crops.select(np.flatnonzero(kept)), dropped


def _version(path: Path | CachedURL) -> tuple[int, int] | None:
    if isinstance(path, CachedURL):
        return None  # by its name alone
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _rows_by_picture(table: LabelTable) -> list[int]:
    order: list[int] = np.argsort(table.distinct_images.row_index, kind="stable").tolist()
    return order


def _jobs(
    table: LabelTable, names: Sequence[str], folder: Path, earlier: Path, options: CropOptions
) -> Iterator[_Job]:
    rows = _rows_by_picture(table)
    for image, group in groupby(rows, key=lambda row: table.row_images[row]):
        crops = tuple((names[row], table.box(row)) for row in group)
        yield _Job(table.root / image, crops, folder, earlier, options)


def _remove_others(folder: Path, names: set[str]) -> None:
    """Remove crops of earlier options, and what a run that was killed left in the making."""
    others = [
        path
        for path in sorted(folder.rglob("*"))
        if not path.is_dir() and path.relative_to(folder).as_posix() not in names
    ]
    for path in others:
        if not (_CROP.search(path.name) or is_temporary(path.name)):
            raise VAAError(f"{path} is no crop; move it away, so that nothing is lost")
    for path in others:
        path.unlink()


def _write(job: _Job) -> list[str | None]:
    """The problem of each crop; None where it is written or was there."""
    there = [_is_there(job, name) for name, _ in job.crops]
    if all(there):
        return [None] * len(job.crops)
    enough = (job.options.short_side,) * 2
    whole = all(box is None for _, box in job.crops)
    try:
        picture = open_picture(job.source, enough=enough if whole else None)
    except PictureError as error:
        return [str(error)] * len(job.crops)
    return [
        None if done else _write_one(picture, box, job.folder / name, job.options)
        for (name, box), done in zip(job.crops, there, strict=True)
    ]


def _is_there(job: _Job, name: str) -> bool:
    target = job.folder / name
    if not target.exists():
        try:
            os.link(job.earlier / name, target)
        except OSError:  # it is not in the earlier folder, or the file system has no links
            return False
    # Looked at, not only for: a machine that stopped may have left a name without its content.
    return not isinstance(check_picture(target, decode=False), str)


def _write_one(
    picture: Image.Image, box: Box | None, target: Path, options: CropOptions
) -> str | None:
    region = (0, 0, *picture.size)
    if box is not None:
        try:
            region = crop_region(box, *picture.size, options.margin)
        except PictureError as error:
            return str(error)
    file = BytesIO()
    try:
        _scaled(picture.crop(region), options.short_side).save(file, "JPEG", quality=_QUALITY)
    except Exception as error:  # of one odd picture; the others are cut out all the same
        return f"it cannot be cut out: {one_line(error)}"
    with whole_file(target, sync=False) as crop:
        crop.write(file.getbuffer())
    return None


def _scaled(picture: Image.Image, short_side: int) -> Image.Image:
    scale = min(short_side / min(picture.size), _LONGEST / max(picture.size))
    if scale >= 1:
        return picture
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
