"""Files and folders that appear whole or not at all: written beside, fsynced, renamed."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vaa_cli.core.errors import VAAError


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
        VAAError: it cannot be written; nothing is left behind.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing_errors(path):
        try:
            with beside.open("wb") as file:
                yield file
                replace_whole(file, beside, path, sync)
        finally:
            beside.unlink(missing_ok=True)


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
        os.fsync(file.fileno())
    os.replace(written, path)
    if sync:
        _sync_folder(path.parent)


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
                    os.fsync(file.fileno())


def content_digest(path: Path) -> str:
    """The SHA-256 of a file's content; with an .xml file's, that of the .bin file beside it.

    Raises:
        VAAError: it cannot be read.
    """
    digest = hashlib.sha256()
    beside = [path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else []
    for part in (path, *beside):
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


@contextmanager
def whole_folder(path: Path, contents: Collection[str]) -> Iterator[Path]:
    """A folder to fill that takes its name only when it is complete.

    Args:
        path: the folder's name. A folder there is replaced if it holds nothing but `contents`.
        contents: the names of the entries that such a folder may hold.

    Raises:
        VAAError: the place is taken by something else or cannot be written; nothing half-written
            is left.
    """
    require_replaceable(path, contents)
    path = path.resolve() if path.is_symlink() else path  # the folder is replaced, not the link
    with writing_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        retired = beside.with_name(f"{beside.name}.old")
        try:
            yield beside
            beside.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            _sync_folder(beside)
            if path.exists():
                path.rename(retired)
            beside.rename(path)
            _sync_folder(path.parent)
        except BaseException:
            # Stopped between the two renames: what stood there comes back.
            if retired.exists() and not path.exists():
                retired.rename(path)
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(retired, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are not there yet.

    Raises:
        VAAError: it cannot be made; names the file that stands in the way, if that is the reason.
    """
    require_folders_above(path)
    with writing_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def require_replaceable(path: Path, contents: Collection[str]) -> None:
    """Check that a folder may be written at a path.

    Raises:
        VAAError: a file stands there, or a folder that holds more than `contents`.
    """
    require_folders_above(path)
    with writing_errors(path):
        if path.exists() and not path.is_dir():
            raise VAAError(f"{path} is a file; name a folder to write")
        foreign = sorted(
            entry.name
            for entry in (path.iterdir() if path.exists() else ())
            if entry.name not in contents
        )
    if foreign:
        raise VAAError(
            f"{path} holds other files ({foreign[0]}); name a new folder, so that nothing is lost"
        )


def require_apart(path: Path, sources: Iterable[Path]) -> None:
    """Check that no file that is read lies in the folder that will be replaced.

    Args:
        path: the folder to write.
        sources: the files and folders that are read.

    Raises:
        VAAError: one of them is the folder or in it, or it is the working folder or above that.
    """
    real = path.resolve()
    if Path.cwd().is_relative_to(real):
        raise VAAError(f"{path} is the folder that you are in, or above it; name a new folder")
    for source in sources:
        if source.resolve().is_relative_to(real):
            raise VAAError(
                f"{path} holds what is read ({source}) and would be replaced; name a new folder"
            )


def require_folders_above(path: Path) -> None:
    """Check that nothing but folders stands above a path.

    Raises:
        VAAError: a file does.
    """
    for place in path.parents:
        if place.exists() and not place.is_dir():
            raise VAAError(f"cannot write {path}: {place} is a file")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Put the folder's entries on disk, where the system can do that for folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
