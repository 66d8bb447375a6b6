"""Ctrl-C and SIGTERM: a process ends at once, but where it writes it cleans up first.

Python raises KeyboardInterrupt wherever it happens to be. While modules are loaded, libraries turn
it into other errors, print it and go on, or abort. So a process that has nothing to clean up ends
without it.
"""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# People press Ctrl-C more than once; cleaning up is not interrupted for so many seconds.
_PATIENCE = 3.0
_A_LITTLE_LATER = 0.05  # seconds


class _State:
    """What is known of signals in this process.

    Attributes:
        received: the number of the first signal that came; 0 for none.
        since: when that was, on the monotonic clock.
        cleanups: number of blocks entered that must be left properly.
        deferrals: number of blocks entered in which no signal raises.
        is_pending: whether one came in such a block.
        ended_by: called with the signal's number before the process ends at once.
    """

    received = 0
    since = 0.0
    cleanups = 0
    deferrals = 0
    is_pending = False
    ended_by: Callable[[int], None] = staticmethod(lambda number: None)


def received_signal() -> int:
    """The number of the signal that this process was asked to stop by; 0 for none."""
    return _State.received


@contextmanager
def cleanup() -> Iterator[None]:
    """A block that must be left by its end or by an exception, for what it has begun to write.

    A signal raises KeyboardInterrupt in it. That is so in the main thread, where signals arrive;
    other threads end with the process.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.cleanups += 1
    try:
        yield
    finally:
        _State.cleanups -= 1


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A short block in which no signal raises anything; one that came does so at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where none does
        return
    _State.deferrals += 1
    try:
        yield
    finally:
        _State.deferrals -= 1
        if _State.is_pending and not _State.deferrals:
            _State.is_pending = False
            raise KeyboardInterrupt


def handle_signals(ended_by: Callable[[int], None]) -> None:
    """End this process by Ctrl-C and SIGTERM from now on, with 128 and the signal for exit code.

    Args:
        ended_by: prints a line, when the process ends at once; gets the number of the signal.
    """
    _State.ended_by = staticmethod(ended_by)
    for number in _SIGNALS:
        signal.signal(number, _stop)
    sys.unraisablehook = _unraisable


def ignore_signals() -> None:
    """Let this process end as it is going to: its work is done."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_at_once(code: int) -> NoReturn:
    """End this process with an exit code, once what is to be cleaned up is.

    The interpreter's own end would wait for threads, abort where a library still computes, and send
    itself SIGINT if KeyboardInterrupt was raised in `exec`.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader may have closed it
            stream.flush()
    os._exit(code)


def _stop(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.received and now - _State.since < _PATIENCE:
        return
    is_again = bool(_State.received)
    _State.received, _State.since = _State.received or number, now
    if _State.deferrals and not is_again:
        _State.is_pending = True
        return
    if _State.cleanups and not is_again:
        raise KeyboardInterrupt
    _State.ended_by(_State.received)
    os._exit(128 + _State.received)


def _send_to_main_thread(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # not on Windows
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _unraisable(error: Any) -> None:
    """Where Python cannot raise what a signal raised, as in a callback, raise it a little later."""
    if isinstance(error.exc_value, KeyboardInterrupt) and _State.received:
        number, _State.received = _State.received, 0
        again = threading.Timer(_A_LITTLE_LATER, _send_to_main_thread, [number])
        again.daemon = True
        again.start()
        return
    sys.__unraisablehook__(error)
