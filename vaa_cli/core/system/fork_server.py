"""What the process that others are forked from loads first; nothing else imports this.

A process that starts just as the command ends finds its pipes closed. Nobody needs its traceback.
"""

import sys
from types import TracebackType


def _report(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not isinstance(error, OSError | EOFError | KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _report
