"""The pictures that a CSV names, also one of a prepared folder; at a path or at a URL."""

from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.url_inputs import NamedPictures, named_picture
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.system.cached_files import cached_file
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.location import URLFolder
from vaa_cli.core.system.shards import ShardMember
from vaa_cli.core.system.storage import is_url, parent_url, shown_url

if TYPE_CHECKING:
    import pandas as pd


def table_pictures(name: str) -> NamedPictures:
    """The pictures that a CSV names, each with its box if it has one.

    Args:
        name: path or URL of the CSV.

    Raises:
        VAAError: it cannot be read, has no image column, or a row names no picture.
    """
    from vaa_cli.core.labels.label_file import parse_boxes
    from vaa_cli.core.labels.label_header import box_columns, image_column
    from vaa_cli.core.labels.picture_root import prepared_root
    from vaa_cli.core.system.csv_reader import read_csv  # with pandas, for tables alone

    path = cached_file(name) if is_url(name) else Path(name)
    root = prepared_root(name)
    frame = read_csv(path, spaces=root is None)
    column = image_column(list(frame.columns))
    if column is None:
        raise VAAError(f"{shown_url(name)} has no image column, so it names no pictures")
    if (frame[column] == "").any():
        row = frame.index[frame[column] == ""][0]
        raise VAAError(f"{shown_url(name)}: row {row}, column {column!r} names no picture")
    pictures = _pictures(name, root, frame, frame[column].tolist())
    boxes_from = box_columns(list(frame.columns))
    if not boxes_from:
        return NamedPictures(lambda: map(named_picture, pictures), len(pictures))
    boxes = parse_boxes(frame[boxes_from], path).tolist()
    # NaN: the whole picture
    parts = [None if box[0] != box[0] else Box(*box) for box in boxes]
    return NamedPictures(lambda: map(named_picture, pictures, parts), len(pictures), True)


def _pictures(
    name: str, root: Path | str | None, frame: "pd.DataFrame", images: list[str]
) -> list[str]:
    """The paths and URLs of a table's pictures.

    Args:
        name: path or URL of the table.
        root: the folder that its names start from, of a table in a prepared folder.
        frame: the table.
        images: the names in it.
    """
    from vaa_cli.core.labels.label_file import parse_extents
    from vaa_cli.core.labels.label_header import EXTENT_COLUMNS
    from vaa_cli.core.labels.picture_root import find_pictures

    if root is not None and set(EXTENT_COLUMNS) <= set(frame.columns):
        extents = parse_extents(frame[list(EXTENT_COLUMNS)], Path(name))
        folder = URLFolder(str(root), FileCache.default()) if is_url(root) else Path(root)
        return [
            ShardMember.of(folder, image, start, size)
            for image, (start, size) in zip(images, extents.tolist(), strict=True)
        ]
    if is_url(name) or is_url(root):
        start = f"{str(root).rstrip('/')}/" if root is not None else parent_url(name)
        return [image if is_url(image) else start + image for image in images]
    if isinstance(root, Path):
        return [image if is_url(image) else str(root / image) for image in images]
    folder, images = find_pictures(Path(name), images) or (Path(name).parent, images)
    return [image if is_url(image) else str(folder / image) for image in images]
