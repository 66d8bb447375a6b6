"""The typer app: registers the commands and turns errors into one line."""

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from vaa_cli.commands.ablate import ablate
from vaa_cli.commands.calibrate import calibrate
from vaa_cli.commands.compare import compare
from vaa_cli.commands.console import (
    open_standard_streams,
    paragraphs,
    say,
    say_error,
    start_console,
    was_stop_said,
)
from vaa_cli.commands.convert import convert
from vaa_cli.commands.evaluate import evaluate
from vaa_cli.commands.explain import explain
from vaa_cli.commands.export import export
from vaa_cli.commands.predict import predict
from vaa_cli.commands.prepare import prepare
from vaa_cli.commands.rename import rename
from vaa_cli.commands.runs import app as runs_app
from vaa_cli.commands.train import train
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import end_process
from vaa_cli.core.system.interruption import end_at_once, ignore_signals, received_signal

DEBUG = "--debug"
WRONG_REQUEST = 2
# Options that name one thing.
_ONCE = ("--run", "--data", "--out", "--config", "--report", "--engine")

app = typer.Typer(
    name="vaa",
    help="Recognise attributes of people in pictures: prepare, train, evaluate, predict, explain, "
    "calibrate, compare, ablate, export, convert, rename, runs.",
    epilog="Each command works with no option after the one before it. "
    "A wrong request is one line on stderr and exit code 2; work done in part is exit code 1.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    prepare,
    train,
    evaluate,
    predict,
    explain,
    calibrate,
    compare,
    ablate,
    export,
    convert,
    rename,
):
    app.command(help=paragraphs(command.__doc__))(command)
app.add_typer(runs_app, name="runs")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # for `vaa --help` too slow

        print(f"vaa {version('vaa-cli')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    debug: Annotated[
        bool,
        typer.Option(DEBUG, help="Show the traceback of an error. Can stand anywhere."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(WRONG_REQUEST)


def run_process() -> NoReturn:
    """Run the command line of this process, and end it with the exit code."""
    open_standard_streams()
    code = run()
    ignore_signals()
    if received_signal():
        end_at_once(code)
    end_process(code)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after `vaa`; None for those of this process.

    Returns:
        The exit code: 0, 1 for work done in part, 2 for a wrong request, or that of a signal.
    """
    start_console()
    arguments = sys.argv[1:] if arguments is None else arguments
    # Typer takes the app's options before the command only; people add this one at the end.
    debug = DEBUG in arguments
    arguments = _with_help([argument for argument in arguments if argument != DEBUG])
    try:
        _require_once(arguments)
        code = app(arguments, prog_name="vaa", standalone_mode=False)
        sys.stdout.flush()
        if received_signal():  # typer returns a code of its own for KeyboardInterrupt
            code = _stopped()
    except (KeyboardInterrupt, typer.Abort):
        code = _stopped()
    except Exception as error:
        # What a signal has done to a library, or to other processes, is no error of its own.
        code = _stopped() if received_signal() and not debug else _explained(error, debug)
    return code if isinstance(code, int) else 0


def _with_help(arguments: list[str]) -> list[str]:
    """The words of a command line, with `help` and `help COMMAND` as --help."""
    return [*arguments[1:], "--help"] if arguments[:1] == ["help"] else arguments


def _require_once(arguments: list[str]) -> None:
    """Check that no option of which one would be used is given twice.

    Raises:
        VAAError: one is.
    """
    for option in _ONCE:
        places = [i for i, word in enumerate(arguments) if word.split("=")[0] == option]
        if len(places) > 1:
            values = [
                arguments[i].partition("=")[2] or next(iter(arguments[i + 1 : i + 2]), "")
                for i in places
            ]
            raise VAAError(f"{option} is given {len(places)} times ({', '.join(values)}); name one")


def _stopped() -> int:
    """Print that a signal stopped the command, unless the command did; the exit code."""
    if not was_stop_said():
        say("stopped")
    return 128 + (received_signal() or signal.SIGINT)


def _explained(error: Exception, debug: bool) -> int:
    """Print an error that a person can do something about; the exit code.

    Raises:
        Exception: it is another one, or `debug` is on.
    """
    if isinstance(error, BrokenPipeError):
        # The reader has enough (vaa predict … | head). The interpreter must not try to write what
        # is still buffered when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if debug:
        raise error
    if isinstance(error, VAAError):
        return _fail(str(error))
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}")
    # Typer before 0.26 raises click's exceptions, later ones its own; both have this method.
    if not hasattr(error, "format_message"):
        raise error
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "vaa"
    return _fail(f"{error.format_message().rstrip('.')}; see {command} --help")


def _fail(message: str) -> int:
    say_error(message)
    return WRONG_REQUEST
