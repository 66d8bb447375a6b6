"""A folder for what a process keeps while it runs; gone when it ends, or swept after a kill."""

import atexit
import contextlib
import multiprocessing.process
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path

# The path of a socket has at most 107 bytes, of which its name and that of the folder take 40.
_LONGEST_PARENT, _SHORT_PARENT = 60, "/tmp"
_NAME = re.compile(r"vaa-(\d+)-\w+")


@cache
def process_folder() -> Path:
    """The folder of this process, private to its user; it is made when it is first asked for.

    multiprocessing keeps its sockets there, too. Folders of processes that were killed are removed.

    Raises:
        OSError: it cannot be made.
    """
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) > _LONGEST_PARENT and os.access(_SHORT_PARENT, os.W_OK):
        parent = _SHORT_PARENT
    _remove_abandoned(Path(parent))
    folder = Path(tempfile.mkdtemp(prefix=f"vaa-{os.getpid()}-", dir=parent))
    atexit.register(_remove, folder, os.getpid())
    # Where multiprocessing looks for such a folder before it makes one called pymp-*.
    multiprocessing.process.current_process()._config["tempdir"] = str(folder)  # type: ignore[attr-defined]
    return folder


def remove_process_folder() -> None:
    """Remove the folder of this process, if it was made, where the process ends without exit."""
    if process_folder.cache_info().currsize:
        _remove(process_folder(), os.getpid())


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not a copy of it that was forked
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of processes of this user that are no longer there."""
    if not hasattr(os, "getuid"):
        return
    with contextlib.suppress(OSError):
        for entry in os.scandir(parent):
            match = _NAME.fullmatch(entry.name)
            if match is None or not entry.is_dir(follow_symlinks=False):
                continue
            if entry.stat(follow_symlinks=False).st_uid == os.getuid() and not is_running(
                int(match[1])
            ):
                shutil.rmtree(entry.path, ignore_errors=True)


def is_running(process: int) -> bool:
    """Whether there is a process of a number on this machine, of whichever user."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    return True
