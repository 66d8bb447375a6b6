"""What the commands say: data on stdout, everything else here, on stderr."""

import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from vaa_cli.core.errors import VAAError

stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell something, as it is: no markup, one line."""
    stderr.print(message, markup=False)


def warn(message: str) -> None:
    """Tell what may surprise, and go on."""
    stderr.print("warning:", style="yellow", end=" ")
    say(message)


def progress(*columns: ProgressColumn) -> Progress:
    """Progress bars that vanish when done, and do not show where stderr is no terminal."""
    return Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal)


def parse_image_size(text: str) -> tuple[int, int]:
    """`224` or `256x128` (height x width) as two numbers of pixels.

    Raises:
        VAAError: it is none of these, or a side is shorter than 32.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise VAAError(f"image size {text!r} is not HEIGHTxWIDTH, such as 256x128, or one number")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 32:  # the backbones divide each side by 32
        raise VAAError(f"image size {text!r} is too small; each side needs 32 pixels or more")
    return height, width


def quote(path: Path) -> str:
    """A path as one can paste it into a shell."""
    import shlex

    return shlex.quote(str(path))


def is_pipe() -> bool:
    """Whether stdout goes into a file or a pipe."""
    return not sys.stdout.isatty()
