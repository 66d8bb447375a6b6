"""Pictures as they are found, and as they are asked for from whoever decodes them.

Nothing here needs torch, and pandas is for type checkers only: each decoding process loads this.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vaa_cli.core.errors import PictureError
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.system.named_content import NamedContent
from vaa_cli.core.system.storage import StorageError

if TYPE_CHECKING:
    from vaa_cli.core.labels.table import LabelTable

Item = TypeVar("Item")


class Request(NamedTuple):
    """A picture to decode.

    Attributes:
        path: path of the file, a `NamedContent` such as a `CachedURL` (read by whoever decodes it),
            or the name of a picture in an archive.
        box: the part of the picture to cut out; None for all of it.
        row: its row in the table or stream that it comes from.
        draw: seeds of the augmentation, which the same seeds repeat; None for no augmentation.
        content: the bytes of the picture, where it is not a file.
        problem: a problem that was found before decoding.
    """

    path: str
    box: Box | None = None
    row: int = 0
    draw: tuple[int, ...] | None = None
    content: bytes | None = None
    problem: str | None = None


class ImageSource(NamedTuple):
    """A picture that was found and not yet read.

    A process that leaves a picture to another one, or to an earlier job, makes no request of it,
    and nothing is read.

    Attributes:
        path: path of the file, its URL, or the name of a picture in an archive.
        box: the part of the picture to cut out; None for all of it.
        read: reads the bytes of a picture in an archive, until the next picture is asked for; or
            those of one at a URL, at any time and in any thread. Raises PictureError. None for a
            file.
        problem: why it cannot be read; a folder that cannot be listed has a row with one, too.
        is_remote: whether it is at a URL.
    """

    path: str
    box: Box | None = None
    read: Callable[[], bytes] | None = None
    problem: str | None = None
    is_remote: bool = False

    def request(self, row: int = 0) -> Request:
        """Make the request that decodes the picture; reads it where it is no file here."""
        content, problem = None, self.problem
        if self.read is not None and problem is None:
            try:
                content = self.read()
            except PictureError as error:
                problem = str(error)
        return Request(self.path, self.box, row, content=content, problem=problem)


def table_sources(table: "LabelTable") -> Iterator[ImageSource]:
    """The pictures of a table, a source a row."""
    for row in range(len(table)):
        yield picture_source(table.path(row), table.box(row))


def picture_source(path: Path | str, box: Box | None = None) -> ImageSource:
    """The picture of a file, or of a `NamedContent`, which reads it."""
    if isinstance(path, NamedContent):
        return ImageSource(path, box, partial(named_content, path), is_remote=path.is_remote)
    return ImageSource(str(path), box)


def named_content(name: NamedContent) -> bytes:
    """The bytes of a picture that is no file of its own here.

    Raises:
        PictureError: it cannot be read.
    """
    with picture_errors():
        return name.content()


@contextmanager
def picture_errors() -> Iterator[None]:
    """Turn the error of a storage into that of a picture, which has a row.

    Raises:
        PictureError: the storage failed in the block.
    """
    try:
        yield
    except StorageError as error:
        raise PictureError(error.problem) from error


def table_requests(table: "LabelTable", rows: Iterable[int] | None = None) -> Iterator[Request]:
    """Requests for rows of a table, without augmentation.

    Args:
        table: the table.
        rows: positions of the rows; None for all.
    """
    for row in range(len(table)) if rows is None else rows:
        path = table.path(row)
        name = path if isinstance(path, NamedContent) else str(path)
        yield Request(name, table.box(row), row)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
