"""What the commands say: data on stdout, everything else here, on stderr."""

import io
import shlex
import sys
import time
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from vaa_cli.core.errors import VAAError, printable
from vaa_cli.core.system.distributed import ProcessGroup

_WAIT_FOR_FIRST = 2.0  # seconds

stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def this_process() -> ProcessGroup:
    """This process's place among those that work together; but for errors, the first one speaks.

    Raises:
        VAAError: what torchrun says makes no sense.
    """
    group = ProcessGroup.from_environment()
    stderr.quiet = not group.is_main
    return group


def say_error(message: str) -> None:
    """Tell what went wrong, in one line."""
    try:
        group = ProcessGroup.from_environment()
    except VAAError:  # which may be what is told here
        group = ProcessGroup()
    which = ""
    if not group.is_main:
        # What is wrong in all processes is told by the first, and torchrun then ends this one.
        time.sleep(_WAIT_FOR_FIRST)
        which = f"process {group.rank}: "
    stderr.quiet = False
    stderr.print("error:", style="bold red", end=" ")
    say(which + " ".join(message.splitlines()))


def say(message: str) -> None:
    """Tell something, as it is: no markup, one line, nothing that steers a terminal."""
    stderr.print(printable(message), markup=False)


def warn(message: str) -> None:
    """Tell what may surprise, and go on."""
    stderr.print("warning:", style="yellow", end=" ")
    say(message)


def progress(*columns: ProgressColumn) -> Progress:
    """Progress bars that vanish when done, and do not show where stderr is no terminal."""
    if stderr.is_terminal and not stderr.quiet:
        return Progress(*columns, console=stderr, transient=True)
    # Quiet, since a disabled bar still ends in an empty line with rich before 15.
    return Progress(*columns, console=Console(quiet=True), disable=True)


def quote(path: Path) -> str:
    """A path as one can paste it into a shell."""
    return shlex.quote(str(path))


def names_on_stdin(images: list[str]) -> TextIO:
    """What stdin says, if it is asked for: names of files, of any bytes but the end of a line.

    Raises:
        VAAError: it is closed.
    """
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    if sys.stdin is None or sys.stdin.closed:
        raise VAAError("- reads names from stdin, which is closed; name the pictures")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    return sys.stdin
