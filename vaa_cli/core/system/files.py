"""Files that appear whole or not at all: written beside, fsynced, renamed."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.interruption import cleanup

# The answers of file systems that have no fsync, or none for folders: network shares, cloud drives.
_NO_SYNC = {
    errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EBADF,
    errno.EACCES, errno.EPERM, errno.EISDIR,
}  # fmt: skip
# Neither through a link nor into a file that is there: whoever may write to the folder could have
# put one there to have another file overwritten.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_NEW |= getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
# Earlier versions used the number of the process.
_TEMPORARY = re.compile(r"\..+\.([0-9a-f]{12}|\d+)\.tmp")
# Names of files have at most 255 bytes.
_LONGEST_STEM = 200
# A temporary file that nobody has written to for so many seconds is of a process that was killed.
_ABANDONED = 3600.0


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn a failed read into the error that names the file and the reason.

    Raises:
        VAAError: the block failed for want of the file or of permission.
    """
    try:
        yield
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def writing_errors(path: Path | str) -> Iterator[None]:
    """Turn a failed write into the error that names the place and the reason.

    Raises:
        VAAError: the block failed for want of space, permission or a proper folder.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # who reads has enough; that is no failure
    except OSError as error:
        raise VAAError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def whole_file(path: Path, sync: bool = True) -> Iterator[BinaryIO]:
    """A binary file to write that takes its name only when it is complete and on disk.

    Args:
        path: the file's name; what stands there stays until the new file replaces it.
        sync: wait for the disk. Who does not, as with thousands of files, calls `sync_tree` when
            all are written.

    Raises:
        VAAError: it cannot be written, or a device, a pipe or a folder stands there; nothing is
            left behind.
    """
    with (
        _written_beside(path, sweep=sync) as beside,
        open(os.open(beside, _NEW, 0o666), "wb") as file,
    ):
        yield file
        replace_whole(file, beside, path, sync)


@contextmanager
def whole_path(path: Path) -> Iterator[Path]:
    """The path of a file for a library to write, which gets its name when the block ends.

    Raises:
        VAAError: as `whole_file`.
    """
    with _written_beside(path, sweep=True) as beside:
        os.close(os.open(beside, _NEW, 0o666))
        yield beside
        with beside.open("r+b") as file:
            replace_whole(file, beside, path)


@contextmanager
def _written_beside(path: Path, sweep: bool) -> Iterator[Path]:
    """A temporary name beside a path that may be written; nothing has it after the block.

    Args:
        path: the path.
        sweep: remove what killed processes have left there.
    """
    require_regular(path)
    beside = temporary_name(path)
    with cleanup(), writing_errors(path):
        if sweep:
            _remove_abandoned(path)
        try:
            yield beside
        finally:
            beside.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """A name beside a path, for what is written there until it is whole; nobody can guess it."""
    stem = os.fsencode(path.name)[:_LONGEST_STEM].decode("utf-8", "ignore")
    return path.with_name(f".{stem}.{secrets.token_hex(6)}.tmp")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one that `temporary_name` gives."""
    return _TEMPORARY.fullmatch(name) is not None


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed had begun to write for this path."""
    before = time.time() - _ABANDONED
    stem = temporary_name(path).name.rsplit(".", 2)[0]
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            ours = entry.name.startswith(stem) and is_temporary(entry.name)
            if ours and entry.stat(follow_symlinks=False).st_mtime < before:
                os.unlink(entry.path)


def require_regular(path: Path) -> None:
    """Check that a file may be written at a path: nothing, a file or a link stands there.

    Raises:
        VAAError: a folder, a device or a pipe does.
    """
    with writing_errors(path):
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
    if stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        return
    if stat.S_ISDIR(mode):
        raise VAAError(f"{path} is a folder; name a file to write")
    raise VAAError(f"{path} is a device or a pipe, which is not replaced; name a file to write")


def replace_whole(file: BinaryIO, written: Path, path: Path, sync: bool = True) -> None:
    """Give a file that is complete its name.

    Args:
        file: open for writing still.
        written: its path now.
        path: the path to give it; a file there is replaced.
        sync: wait for the disk.
    """
    file.flush()
    if sync:
        _sync(file.fileno())
    os.replace(written, path)
    if sync:
        sync_folder(path.parent)


def _sync(descriptor: int) -> None:
    """Wait until a file or folder is on disk, where the file system can do that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's entries on disk, where the system can do that for folders."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return
        raise
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Put all files below a folder on disk.

    Raises:
        VAAError: the disk fails.
    """
    with writing_errors(folder):
        if hasattr(os, "sync"):
            os.sync()  # one wait for all, where thousands of single ones take minutes
            return
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("r+b") as file:
                    _sync(file.fileno())


def content_parts(path: Path) -> list[Path]:
    """The files that a content is in: the file, and with an .xml file the .bin file beside it."""
    beside = [path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else []
    return [path, *beside]


def content_digest(path: Path) -> str:
    """The BLAKE2 digest of a file's content; with an .xml file's, that of the .bin file beside it.

    Raises:
        VAAError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=32)  # three times as fast as SHA-256
    for part in content_parts(path):
        with reading_errors(part), part.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all.

    Raises:
        VAAError: it cannot be written.
    """
    write_bytes(path, text.encode("utf-8", errors="surrogateescape"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        VAAError: it cannot be written.
    """
    with whole_file(path) as file:
        file.write(content)
