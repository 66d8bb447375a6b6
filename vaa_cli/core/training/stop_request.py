"""Asked to stop, work stops where it can go on later."""

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# torchrun passes on a Ctrl-C that the terminal has sent to its children already.
_SAME_REQUEST = 1.0  # seconds


class StopRequest:
    """Notices Ctrl-C (SIGINT) and a scheduler's SIGTERM, while it is entered.

    A second Ctrl-C stops at once, by KeyboardInterrupt.

    Args:
        on_request: called when the first of them comes.

    Attributes:
        signal: the number of the signal that came; 0 for none.
    """

    def __init__(self, on_request: Callable[[], None] | None = None) -> None:
        self.signal = 0
        self._on_request = on_request
        self._when = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():  # others may not
            self._before = {number: signal.signal(number, self._notice) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Leave signals to those who had them before, from now on."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.signal:
            if number == signal.SIGINT and time.monotonic() - self._when > _SAME_REQUEST:
                raise KeyboardInterrupt
            return
        self.signal, self._when = number, time.monotonic()
        if self._on_request is not None:
            self._on_request()
