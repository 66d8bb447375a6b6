"""Messages of the commands: results go to stdout, everything else through here to stderr."""

import inspect
import io
import logging
import os
import re
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO, TypeVar

from rich.console import Console

from vaa_cli.core.errors import VAAError, printable
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Progress, ProgressColumn

Item = TypeVar("Item")

_WAIT_FOR_FIRST = 2.0  # seconds
# Columns that no table needs more of.
_WIDE = 200
# An option as messages of core name it: `workers` or `workers=0`.
_OPTION = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]*))?`")

_closed: set[int] = set()
_stop_was_said = False
stderr = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


class _ConsoleHandler(logging.Handler):
    """Prints what core logs."""

    def emit(self, record: logging.LogRecord) -> None:
        show = warn if record.levelno >= logging.WARNING else say
        show(with_switches(record.getMessage()))


def open_standard_streams() -> None:
    """Open stdin, stdout and stderr where they are closed, so that no other file gets their place.

    What is written there is lost; `require_stdout` is for commands whose results go there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            _closed.add(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def require_stdout(otherwise: str) -> None:
    """Check that results can be written to stdout.

    Args:
        otherwise: what to do else.

    Raises:
        VAAError: it is closed.
    """
    if 1 in _closed:
        raise VAAError(f"stdout is closed; {otherwise}")


def write_results(text: str) -> None:
    """Write results for other programs to stdout, in UTF-8 whatever the terminal has."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", errors="surrogateescape"))
    sys.stdout.buffer.flush()


def start_console() -> None:
    """Print from now on what core logs; letters that a stream cannot show are spelt out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logger = logging.getLogger("vaa_cli")
    logger.handlers = [_ConsoleHandler()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def paragraphs(docstring: str | None) -> str:
    """A docstring whose paragraphs are a line each, for terminals of any width."""
    parts = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(" ".join(part.split()) for part in parts)


def with_switches(message: str) -> str:
    """A message of core with options as they are typed: `batch_size=8` is --batch-size 8."""

    def switch(match: re.Match[str]) -> str:
        name, value = match[1].replace("_", "-"), match[2]
        return f"--{name}" if value is None else f"--{name} {value}"

    return _OPTION.sub(switch, message)


def this_process() -> ProcessGroup:
    """The processes that torchrun started; messages of all but the first one are not printed.

    Raises:
        VAAError: the environment variables of torchrun are wrong.
    """
    group = ProcessGroup.from_environment()
    stderr.quiet = not group.is_main
    return group


def say_error(message: str) -> None:
    """Print an error in one line."""
    try:
        group = ProcessGroup.from_environment()
    except VAAError:  # which may be the error itself
        group = ProcessGroup()
    which = ""
    if not group.is_main:
        # An error of all processes is printed by the first, and torchrun then ends this one.
        time.sleep(_WAIT_FOR_FIRST)
        which = f"process {group.rank}: "
    stderr.quiet = False
    stderr.print("error:", style="bold red", end=" ")
    say(which + " ".join(with_switches(message).splitlines()))


def was_stop_said() -> bool:
    """Whether a command has printed what becomes of its work, now that it was stopped."""
    return _stop_was_said


def say(message: str) -> None:
    """Print a message as it is: no markup, one line, no control characters."""
    global _stop_was_said
    _stop_was_said = _stop_was_said or isinstance(sys.exc_info()[1], KeyboardInterrupt)
    stderr.print(printable(message), markup=False)


def warn(message: str) -> None:
    """Print a warning."""
    stderr.print("warning:", style="yellow", end=" ")
    say(message)


def results_console(soft_wrap: bool = False) -> Console:
    """A console for results on stdout; tables are whole where that is a file or a pipe."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(highlight=False, emoji=False, soft_wrap=soft_wrap, width=width)


def show_table(table: "RenderableType") -> None:
    """Print a table on stderr, whole where that is a file or a pipe."""
    width = None if stderr.is_terminal or "COLUMNS" in os.environ else _WIDE
    stderr.print(table, width=width)


def progress(*columns: "ProgressColumn", wanted: bool = True) -> "Progress":
    """Progress bars that vanish when they are done, and are shown on terminals only."""
    from rich.progress import Progress

    if wanted and stderr.is_terminal and not stderr.quiet:
        return Progress(*columns, console=stderr, transient=True)
    # Quiet, since a disabled bar still ends in an empty line with rich before 15.
    return Progress(*columns, console=Console(quiet=True), disable=True)


def track(items: Iterable[Item], doing: str, total: int, /) -> Iterable[Item]:
    """Show a progress bar while items are taken."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress(*columns) as bar:
        yield from bar.track(items, total=total)


def quote(path: object) -> str:
    """A path or a URL quoted for a shell."""
    return shlex.quote(str(path))


def say_passed_over(counts: Counter[str]) -> None:
    """Print how many files in folders were passed over, since they are no pictures by name."""
    from vaa_cli.core.images.inputs import endings_text

    if counts:
        say(f"passed over, as no pictures by their names: {endings_text(counts)}")


def names_on_stdin(images: list[str]) -> TextIO:
    """The names of files on stdin, if `-` is among the images; bytes that are no UTF-8 are kept.

    Raises:
        VAAError: stdin is closed.
    """
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    if sys.stdin is None or sys.stdin.closed:
        raise VAAError("- reads names from stdin, which is closed; name the pictures")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
    return sys.stdin
