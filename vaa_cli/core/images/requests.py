"""What is asked of whoever decodes pictures; nothing here needs torch."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from vaa_cli.core.errors import PictureError
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.table import LabelTable

Item = TypeVar("Item")


class Request(NamedTuple):
    """A picture to decode.

    Attributes:
        path: the file, or what a picture in an archive is called.
        box: the part of it that is meant.
        row: its place in the table or stream it comes from.
        draw: seeds of the augmentation, the same again for the same draw; None for none.
        content: the picture file's bytes, where it is not a file of its own.
        problem: what was wrong with it before anyone tried to decode it.
    """

    path: str
    box: Box | None = None
    row: int = 0
    draw: tuple[int, ...] | None = None
    content: bytes | None = None
    problem: str | None = None


class ImageSource(NamedTuple):
    """A picture that was met; nobody has looked into it yet.

    Who takes another process's share of the pictures, or those that an earlier job has done,
    asks for no request of them, and nothing is read.

    Attributes:
        path: the file, or what a picture in an archive is called.
        box: the part of it that is meant.
        read: gives the bytes of a picture in an archive, until the next one is asked for; raises
            PictureError. None for a file of its own.
        problem: what is wrong with it: a folder that cannot be listed, say, has a row too.
    """

    path: str
    box: Box | None = None
    read: Callable[[], bytes] | None = None
    problem: str | None = None

    def request(self, row: int = 0) -> Request:
        """What is asked of whoever decodes it; reads it, where it is in an archive."""
        content, problem = None, self.problem
        if self.read is not None and problem is None:
            try:
                content = self.read()
            except PictureError as error:
                problem = str(error)
        return Request(self.path, self.box, row, content=content, problem=problem)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items in lists of `size`, the last one shorter."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def table_requests(table: LabelTable, rows: Iterable[int] | None = None) -> Iterator[Request]:
    """A request for each row of a table, or for some of them; not augmented."""
    for row in range(len(table)) if rows is None else rows:
        yield Request(str(table.path(row)), table.box(row), row)
