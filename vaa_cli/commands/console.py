"""What the commands say: data on stdout, everything else here, on stderr."""

import shlex
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from vaa_cli.core.world import World

_WAIT_FOR_FIRST = 2.0  # seconds

stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def speak_of_errors_only() -> None:
    """Leave all else to the first of the processes that do one piece of work together."""
    stderr.quiet = True


def say_error(message: str) -> None:
    """Tell what went wrong, in one line."""
    world = World.from_environment()
    which = ""
    if not world.is_first:
        # What is wrong in all processes is told by the first, and torchrun then ends this one.
        time.sleep(_WAIT_FOR_FIRST)
        which = f"process {world.rank}: "
    stderr.quiet = False
    stderr.print("error:", style="bold red", end=" ")
    say(which + " ".join(message.splitlines()))


def say(message: str) -> None:
    """Tell something, as it is: no markup, one line, nothing that steers a terminal."""
    stderr.print(printable(message), markup=False)


def printable(message: str) -> str:
    """A message of which a file's name, say, can neither end the line nor colour the terminal."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in message
    )


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
