"""What is asked of whoever decodes pictures; nothing here needs torch."""

from typing import NamedTuple

from vaa_cli.core.boxes import Box


class Request(NamedTuple):
    """A picture to decode.

    Attributes:
        path: the file.
        box: the part of it that is meant.
        row: its place in the table or stream it comes from.
        draw: seeds of the augmentation, the same again for the same draw; None for none.
    """

    path: str
    box: Box | None = None
    row: int = 0
    draw: tuple[int, ...] | None = None
