"""The table of dataset formats, and the detection of a dataset's format."""

from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.datasets.formats import (
    ccp,
    celeba,
    coco,
    csv_folder,
    cvat,
    duke,
    fiftyone,
    folders,
    imagefolder,
    labelstudio,
    market1501,
    mmpretrain,
    pa100k,
    paddle,
    par_pickles,
    peta,
    rap,
    rap2,
    roboflow,
    wider,
)
from vaa_cli.core.datasets.formats.base import DatasetFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.text_table import header_of

_MODULES = (
    csv_folder, wider, peta, pa100k, rap, rap2, market1501, duke, celeba, ccp, par_pickles, cvat,
    coco, labelstudio, roboflow, imagefolder, fiftyone, mmpretrain, paddle, folders,
)  # fmt: skip
FORMATS: tuple[DatasetFormat, ...] = tuple(module.FORMAT for module in _MODULES)


@dataclass(frozen=True)
class Detection:
    """The format of a dataset, and the file or folder that it was detected by."""

    format: DatasetFormat
    evidence: Path


def detect(source: Path) -> Detection:
    """Detect the format of a dataset by its files; a single file is a table, or an export.

    Raises:
        VAAError: there is no such folder, or none or several of the formats are in it.
    """
    if source.is_file():
        if source.suffix.lower() == ".mat":
            raise VAAError(f"{source} is one file of a dataset; name the folder that holds it")
        of_file = (format for format in FORMATS if format.reads_files)
        chosen = next((format for format in of_file if format.find(source)), csv_folder.FORMAT)
        return Detection(chosen, source)
    if not source.is_dir():
        raise VAAError(f"{source}: no such folder; name the folder that holds the dataset")
    found = [
        Detection(format, evidence)
        for format in FORMATS
        if (evidence := format.find(source)) is not None
    ]
    if not found:
        looks = "; ".join(f"{format.name}: {format.looks_for}" for format in FORMATS)
        raise VAAError(f"{source} is in no known format; {_hint(source)}looked for {looks}")
    firm = [one for one in found if not one.format.is_last]
    found = firm or found
    if len(found) > 1:
        names = " and ".join(f"{one.format.name} ({one.evidence})" for one in found)
        raise VAAError(f"{source} could be {names}; choose with `format`")
    return found[0]


def _hint(source: Path) -> str:
    """What is missing, where a folder has one table that would do but for the name of a column."""
    tables = csv_folder.tables_in(source)
    if len(tables) != 1:
        return ""
    try:
        header = header_of(tables[0])
    except VAAError:
        return ""  # some other file
    return (
        f"{tables[0].name} has no image column, so say which of its columns it is with "
        f"`image_column` ({', '.join(header[:8])}); "
    )


def format_named(name: str) -> DatasetFormat:
    """The format of a name.

    Raises:
        VAAError: there is none; names those there are.
    """
    by_name = {format.name: format for format in FORMATS}
    if name not in by_name:
        raise VAAError(f"`format` {name!r}: no such format; use auto, {', '.join(by_name)}")
    return by_name[name]
