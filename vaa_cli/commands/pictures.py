"""What the commands that are given pictures have in common."""

import io
import sys
from typing import Annotated, TextIO

import typer

from vaa_cli.core.errors import VAAError

ImagesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Pictures: files, folders (with all below them), globs, tar and zip archives, - "
        "for names on stdin, or a CSV with an image column and perhaps boxes.",
        show_default=False,
    ),
]


def names_on_stdin(images: list[str]) -> TextIO:
    """What stdin says, if it is asked for: names of files, of any bytes but the end of a line.

    Raises:
        VAAError: it is closed.
    """
    from vaa_cli.core.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    if sys.stdin is None or sys.stdin.closed:
        raise VAAError("- reads names from stdin, which is closed; name the pictures")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    return sys.stdin
