"""Messages on why a process that decodes pictures failed, with remedies."""

import errno
import os
import signal
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

_REMEDIES = {
    errno.ENOSPC: "a larger /dev/shm (in a container: --shm-size)",
    errno.EFBIG: "a higher limit of the size of files (ulimit -f)",
    errno.EMFILE: "a higher limit of open files (ulimit -n)",
}


def _not_handed_over(reason: str) -> str:
    known = [what for number, what in _REMEDIES.items() if os.strerror(number) in reason]
    return (
        "a process that decodes pictures could not hand them over in shared memory "
        f"({reason}); try `workers=0`, or {(known or ['a larger /dev/shm'])[0]}"
    )


_CAUSES = {
    "SIGKILL": "perhaps killed by the system for want of memory; try fewer `workers`, or 0",
    "SIGTERM": "so something outside ended it; try again",
    "SIGBUS": "most likely /dev/shm is full; make it larger (in a container: --shm-size), or try "
    "`workers=0`",
}


_FAULT = "perhaps at a broken picture; vaa prepare with `check=full` decodes each"


def _died(workers: Sequence[BaseProcess]) -> str:
    """A message on the end of the workers that have ended."""
    codes = {worker.exitcode for worker in workers} - {None}
    killed = sorted(-code for code in codes if code is not None and code < 0)
    failed = sorted(code for code in codes if code is not None and code > 0)
    if killed:
        try:
            name = signal.Signals(killed[0]).name
        except ValueError:  # a real-time signal has none
            name = "a signal"
        end = f"by {name} (signal {killed[0]}), {_CAUSES.get(name, _FAULT)}"
    elif failed:
        end = f"with exit code {failed[0]}; `workers=0` may show why"
    else:
        end = "and left no reason; try again, or with `workers=0`"
    return f"a process that decodes pictures ended {end}"
