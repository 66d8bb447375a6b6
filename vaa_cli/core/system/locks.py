"""Locks that keep two processes from writing the same thing."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import writing_errors
from vaa_cli.core.system.folders import make_folder
from vaa_cli.core.system.interruption import cleanup, uninterrupted
from vaa_cli.core.system.process_folder import is_running

# What flock answers on file systems without locks: shared folders, cloud drives, some FUSE mounts.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
# Seconds between two attempts to get a lock.
_POLL = 0.1


@contextmanager
def exclusive(lock_file: Path, written: Path, problem: str, wait: bool = False) -> Iterator[None]:
    """Hold a lock while the block runs; the file of the lock is removed after it.

    Its folder is made if it is not there, and is gone again if nothing came into it.

    The lock goes with the process, however that ends. Where the file system has no locks, a file
    with the number of the process takes its place, which is ignored once that process is gone.

    Args:
        lock_file: the file of the lock.
        written: what is written, for messages.
        problem: the message if another process holds the lock.
        wait: wait for the other process instead.

    Raises:
        VAAError: another process holds the lock, or its file cannot be written.
    """
    made = [folder for folder in lock_file.parents if not folder.exists()]
    lock: BaseFileLock | None = None
    with cleanup():
        try:
            make_folder(lock_file.parent)
            while lock is None:
                with writing_errors(written), uninterrupted():
                    lock = _acquired(lock_file)
                if lock is None and not wait:
                    raise VAAError(problem)
                if lock is None:
                    time.sleep(_POLL)
            yield
        finally:
            if lock is not None:
                _release(lock, lock_file)
            with contextlib.suppress(OSError):  # something is in it
                for folder in made:
                    folder.rmdir()


def _release(lock: BaseFileLock, lock_file: Path) -> None:
    # Removed before it is released: after that it may be the next process's. A soft lock is its
    # file, and removes it itself.
    if not isinstance(lock, SoftFileLock):
        with contextlib.suppress(OSError):
            lock_file.unlink()
    lock.release()


def is_held(lock_file: Path) -> bool:
    """Whether another process holds a lock.

    Raises:
        OSError: the file of the lock cannot be opened.
    """
    if not lock_file.exists():
        return False
    lock = _acquired(lock_file)
    if lock is not None:
        lock.release()
    return lock is None


def _acquired(lock_file: Path) -> BaseFileLock | None:
    """The lock, held; None if another process holds it."""
    _require_creatable(lock_file)
    if _is_of_dead_process(lock_file):  # which not all versions of filelock see
        with contextlib.suppress(FileNotFoundError):
            lock_file.unlink()
    try:
        try:
            return _acquire(FileLock(lock_file))
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
                raise
            # What the attempt has left is no holder of the other lock.
            with contextlib.suppress(OSError):
                if lock_file.stat().st_size == 0:
                    lock_file.unlink()
            return _acquire(SoftFileLock(lock_file))
    except Timeout:
        return None


def _is_of_dead_process(lock_file: Path) -> bool:
    """Whether a soft lock names a process of this machine that is no longer there."""
    try:
        process, host, *_ = lock_file.read_text().splitlines()
        return host == socket.gethostname() and not is_running(int(process))
    except (OSError, ValueError):
        return False


def _require_creatable(path: Path) -> None:
    """Check that a file can be made; FileLock would take that for a lock which is held.

    Raises:
        OSError: it cannot.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        path.unlink()


def _acquire(lock: BaseFileLock) -> BaseFileLock:
    lock.acquire(timeout=0)
    return lock
