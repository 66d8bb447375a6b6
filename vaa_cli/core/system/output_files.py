"""Files that a user names to be written: only a file of the same kind is replaced."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import reading_errors, require_regular
from vaa_cli.core.system.storage import MISSING, StorageError, shown_url
from vaa_cli.core.system.storage_file import open_url

# Bytes by which the kind of a file is known.
_START = 1 << 16


def require_output(
    path: Path,
    kind: str,
    is_kind: Callable[[bytes], bool],
    inputs: Iterable[Path | str | int] = (),
) -> Path:
    """Check that a file may be written, before any work is done for it.

    Args:
        path: the file as the user names it.
        kind: what is written, in words with an article: `a CSV of predictions`.
        is_kind: whether a file that begins with some bytes is of this kind.
        inputs: files that are read, and descriptors of open ones.

    Returns:
        The file to write: where the path is a link, the one that it leads to.

    Raises:
        VAAError: a folder, a device or a pipe stands there, a file of another kind, or one that is
            read.
    """
    real = Path(os.path.realpath(path)) if path.is_symlink() else path
    require_regular(real)
    if not real.exists():
        return real
    for one in inputs:
        if _is_same(real, one):
            raise VAAError(f"{path} is read here and would be replaced; name another file")
    with reading_errors(path), real.open("rb") as file:
        start = file.read(_START)
    if start and not is_kind(start):
        raise VAAError(f"{path} is there and is not {kind}, so it stays; name another file")
    return real


def require_output_url(url: str, kind: str, is_kind: Callable[[bytes], bool]) -> str:
    """Check that a file may be written at a URL, before any work is done for it; returns the URL.

    Args:
        url: the URL.
        kind: what is written, in words with an article.
        is_kind: whether a file that begins with some bytes is of this kind.

    Raises:
        VAAError: a folder or a file of another kind stands there, or the storage cannot be read.
    """
    try:
        with open_url(url, _START) as file:
            start = file.read(_START)
    except StorageError as error:
        if error.problem == MISSING:
            return url
        raise
    if start and not is_kind(start):
        raise VAAError(
            f"{shown_url(url)} is there and is not {kind}, so it stays; name another file"
        )
    return url


def _is_same(path: Path, other: Path | str | int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.stat(other))
    except (OSError, ValueError):
        return False
