"""The columns of a label table: which holds the pictures, boxes, splits, people or an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.boxes import BOX_COLUMNS
from vaa_cli.core.system.csv_reader import require_distinct_columns

EmptyMeaning = Literal["unspecified", "absent"]

SPLIT_NAMES = {
    "train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2,
    "testing": 2,
}  # fmt: skip
IMAGE_COLUMNS = (
    "image", "file", "filename", "path", "file_name", "image_path", "img", "picture",
)  # fmt: skip
SPLIT_COLUMN = "split"
# Who is on a picture: rows of one person stay in one part.
IDENTITY_COLUMN = "identity"
# Where a picture is in its shard: its first byte, and its number of bytes.
EXTENT_COLUMNS = ("shard_offset", "shard_bytes")
# The last column of predictions, empty where all went well.
PROBLEM_COLUMN = "error"


def image_column(columns: Sequence[str]) -> str | None:
    """The name of the column that holds the pictures' paths, if there is one."""
    return next((found for name in IMAGE_COLUMNS if (found := _column(columns, name))), None)


def box_columns(columns: Sequence[str]) -> list[str]:
    """The names of the four box columns, or none: a lone `top` is a piece of clothing."""
    found = [column for name in BOX_COLUMNS if (column := _column(columns, name))]
    return found if len(found) == len(BOX_COLUMNS) else []


def _column(columns: Sequence[str], wanted: str) -> str | None:
    """The column of a name, in whatever case; if there are several, the one spelt alike."""
    alike = [name for name in columns if name.lower() == wanted]
    return wanted if wanted in alike else next(iter(alike), None)


@dataclass(frozen=True)
class TableOptions:
    """How a label table is read.

    Attributes:
        image_column: name of the column with the pictures' paths; None for one of `IMAGE_COLUMNS`.
        ignore: names of columns that are no attributes.
        sheet: name of the sheet of a workbook; None for the first.
        empty: what an empty cell means.
    """

    image_column: str | None = None
    ignore: tuple[str, ...] = ()
    sheet: str | None = None
    empty: EmptyMeaning = "unspecified"


@dataclass(frozen=True)
class LabelHeader:
    """The columns of a label table by what they hold, None where there is none.

    Attributes:
        images: the pictures' paths.
        split: the split of each row.
        identity: the person of each row.
        problems: the problems that vaa predict writes.
        boxes: the four sides of boxes, or none.
        attributes: the rest.
    """

    images: str
    split: str | None
    identity: str | None
    problems: str | None
    boxes: list[str]
    attributes: tuple[str, ...]

    @classmethod
    def of(cls, header: Sequence[str], path: Path, options: TableOptions) -> "LabelHeader":
        """Sort the columns of a header.

        Args:
            header: their names.
            path: the file, for messages.
            options: how it is read.

        Raises:
            VAAError: it is none of a label CSV.
        """
        require_distinct_columns(header, path)
        images = _images_from(header, path, options)
        split, identity, problems = (
            _column(header, name) for name in (SPLIT_COLUMN, IDENTITY_COLUMN, PROBLEM_COLUMN)
        )
        boxes = box_columns(header)
        special = {images, split, identity, problems, *boxes, *_ignored(header, path, options)}
        attributes = tuple(name for name in header if name not in special)
        if not attributes:
            raise VAAError(f"{path} has no attribute columns beside {images!r}")
        if "" in attributes:
            position = header.index("") + 1
            raise VAAError(f"{path}: column {position} has no name; name it or delete it")
        return cls(images, split, identity, problems, boxes, attributes)


def _images_from(header: Sequence[str], path: Path, options: TableOptions) -> str:
    """The name of the column with the pictures' paths."""
    wanted = options.image_column
    if wanted is not None:
        if wanted not in header:
            raise VAAError(f"{path} has no column {wanted!r}; it has {', '.join(header)}")
        return wanted
    alike = [name for name in header if name.lower() in IMAGE_COLUMNS]
    if not alike:
        raise VAAError(
            f"{path} has no image column; name one of {', '.join(IMAGE_COLUMNS)}, or say which of "
            f"its columns it is with `image_column`: {', '.join(header[:8])}"
        )
    left = [name for name in alike if name not in options.ignore]
    if len(left) > 1:
        raise VAAError(
            f"{path} has {len(left)} image columns, {' and '.join(left)}; choose with "
            "`image_column`, and `ignore` the others"
        )
    return left[0] if left else alike[0]


def _ignored(header: Sequence[str], path: Path, options: TableOptions) -> set[str]:
    """The names of columns that are no attributes."""
    for name in options.ignore:
        if name not in header:
            raise VAAError(f"{path} has no column {name!r} to ignore; it has {', '.join(header)}")
    return set(options.ignore)
