"""The command `vaa`; `python -m vaa_cli` is the same, and what torchrun starts."""

import os
import sys

from vaa_cli.core.system.interruption import handle_signals


def main() -> None:
    """Run the command line of this process, and end it with the exit code."""
    # Before anything else is loaded, which takes long enough for somebody to press Ctrl-C.
    handle_signals(_say_stopped)
    from vaa_cli.app import run_process

    run_process()


def _say_stopped(number: int) -> None:
    processes = sys.modules.get("vaa_cli.core.system.process_folder")
    if processes is not None:
        processes.remove_process_folder()
    if os.environ.get("RANK", "0") == "0":  # of several processes, the first one prints
        os.write(2, b"stopped\n")


if __name__ == "__main__":
    main()
