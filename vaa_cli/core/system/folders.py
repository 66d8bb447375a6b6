"""Folders that appear whole or not at all, and the checks before one is written."""

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import sync_folder, writing_errors
from vaa_cli.core.system.interruption import cleanup

# How the names of folders in the making end, and of the earlier folders that they replace.
_NEW, _OLD = ".new", ".old"
# From Linux's fcntl.h and stdio.h, and from macOS's stdio.h.
_AT_FDCWD, _RENAME_EXCHANGE, _RENAME_SWAP = -100, 2, 2


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
    beside = _sibling(path, _NEW)
    retired = beside.with_suffix(_OLD)
    with cleanup(), writing_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.mkdir()
            yield beside
            sync_folder(beside)
            _put_in_place(beside, path, retired)
            sync_folder(path.parent)
        except BaseException:
            # Stopped between two renames: what stood there comes back.
            if retired.exists() and not path.exists():
                retired.rename(path)
            raise
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(retired, ignore_errors=True)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside a path, to write what will be there; removed after the block.

    Raises:
        OSError: it cannot be made.
    """
    beside = _sibling(path, _NEW)
    with cleanup():
        try:
            beside.mkdir()
            yield beside
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def _sibling(path: Path, ending: str) -> Path:
    """A name beside a path that nobody can guess."""
    stem = os.fsencode(path.name)[:200].decode("utf-8", "ignore")
    return path.with_name(f".{stem}.{secrets.token_hex(6)}{ending}")


def _put_in_place(beside: Path, path: Path, retired: Path) -> None:
    """Give a folder its name; what has it now is at `beside` or `retired` then, or nowhere."""
    if not path.exists():
        beside.rename(path)
    elif not _exchange(beside, path):
        path.rename(retired)
        beside.rename(path)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; whether the system can do that."""
    rename = _exchange_function()
    if rename is None:
        return False
    return bool(rename(os.fsencode(one), os.fsencode(other)) == 0)


@cache
def _exchange_function() -> Any:
    """A function of two paths that exchanges them and returns 0; None where there is none."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "linux":
            renameat2 = library.renameat2
            return lambda one, other: renameat2(
                _AT_FDCWD, one, _AT_FDCWD, other, ctypes.c_uint(_RENAME_EXCHANGE)
            )
        if sys.platform == "darwin":
            renamex_np = library.renamex_np
            return lambda one, other: renamex_np(one, other, ctypes.c_uint(_RENAME_SWAP))
    except (OSError, AttributeError, TypeError):  # an older C library, or another kind of system
        pass
    return None


def restore_folder(path: Path) -> None:
    """Put an earlier folder back that a process was replacing when it was killed.

    That can be where the system cannot exchange two folders in one step. Nothing happens if
    anything stands at the path.

    Raises:
        VAAError: the folder cannot be renamed.
    """
    if os.path.lexists(path) or not path.parent.is_dir():
        return
    earlier = [one for one in _siblings(path) if one.suffix == _OLD]
    if earlier:
        with writing_errors(path):
            newest = max(earlier, key=lambda one: one.stat().st_mtime)
            newest.rename(path)


def remove_abandoned_folders(path: Path) -> None:
    """Remove what killed processes have left beside a folder.

    Whoever calls this holds the lock of all who write the folder.
    """
    restore_folder(path)
    path = path.resolve() if path.is_symlink() else path
    for folder in _siblings(path):
        shutil.rmtree(folder, ignore_errors=True)


def _siblings(path: Path) -> list[Path]:
    stem = re.escape(_sibling(path, "").name.rsplit(".", 1)[0])
    ours = re.compile(rf"{stem}\.[0-9a-f]{{12}}({re.escape(_NEW)}|{re.escape(_OLD)})")
    with contextlib.suppress(OSError):
        return [one for one in path.parent.iterdir() if ours.fullmatch(one.name)]
    return []


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
