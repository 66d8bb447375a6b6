"""Single files of URLs, such as models and tables, on this machine's disk: a version each."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.file_cache import cache_folder, name_digest
from vaa_cli.core.system.files import whole_file
from vaa_cli.core.system.storage import StorageError, content_tag, shown_url
from vaa_cli.core.system.storage_file import copy_url

_FILES = ".files"
_A_DAY = 24 * 3600.0


def cached_file(url: str) -> Path:
    """A file of a URL on this machine's disk, read again when its ETag changes.

    A version that nobody has asked for in a day goes when a newer one comes.

    Raises:
        StorageError: it cannot be read.
        VAAError: it cannot be kept.
    """
    name = url.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    tag = content_tag(url)
    try:
        versions = cache_folder() / _FILES / name_digest(url)
        folder = versions / name_digest(tag)
        path = folder / (re.sub(r"[^\w.-]", "_", name) or "file")
        if path.is_file():
            with contextlib.suppress(OSError):
                os.utime(folder)  # by which it was used last
            return path
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VAAError(
            f"{shown_url(url)} cannot be kept ({one_line(error)}); name a folder with VAA_CACHE=DIR"
        ) from error
    with whole_file(path) as file:
        copy_url(url, file)
        if content_tag(url) != tag:
            raise StorageError(url, "it changed while it was read; try again")
    _remove_older(versions, folder)
    return path


def _remove_older(versions: Path, newest: Path) -> None:
    """Remove versions of a file but the newest that were not used in a day."""
    with contextlib.suppress(OSError):  # another process may do the same
        for folder in versions.iterdir():
            if folder != newest and folder.stat().st_mtime < time.time() - _A_DAY:
                shutil.rmtree(folder, ignore_errors=True)


def is_cached(path: Path) -> bool:
    """Whether a path is one that `cached_file` gave."""
    try:
        return path.is_relative_to(cache_folder() / _FILES)
    except OSError:
        return False
