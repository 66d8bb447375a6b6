"""Files of URLs, kept on this machine's disk up to a size; those that were used last stay."""

import contextlib
import hashlib
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.byte_sizes import DEFAULT_CACHE_SIZE, parse_size
from vaa_cli.core.system.files import whole_file
from vaa_cli.core.system.locks import exclusive
from vaa_cli.core.system.named_content import NamedContent
from vaa_cli.core.system.storage import StorageError, read_url, url_info
from vaa_cli.core.system.storage_file import copy_url

# The part of the size that is left when the oldest files are removed.
_LEFT = 0.9
# Seconds in which a file that was used may be needed again: a training reads dozens of shards by
# turns, and one that is removed between two pictures would be read as a whole for each.
_IN_USE = 60.0
# Seconds after which what was begun to be written is of no process any longer.
_ABANDONED = 3600.0


def cache_folder() -> Path:
    """The folder of what can be made or read again; the variable VAA_CACHE names another one.

    Raises:
        OSError: it is not known where the user's files are.
    """
    named = os.environ.get("VAA_CACHE")
    if named:
        return Path(named)
    try:
        return user_cache_path("vaa", appauthor=False)
    except (KeyError, RuntimeError) as error:
        raise OSError("this user has no home folder") from error


def name_digest(name: str) -> str:
    """A name for a file of a cache, by the name that the user knows it by."""
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=16).hexdigest()


@dataclass
class FileCache:
    """Files of URLs in a folder.

    Several processes may use a folder at once. A file is known by its URL: where that may change,
    use `cached_file`.

    Args:
        folder: the folder; it is made when the first file comes.
        size: bytes that the files in it may have.

    Example:
        >>> cache = FileCache(Path("cache"), parse_size("2GB"))
        >>> cache.size
        2000000000
    """

    folder: Path
    size: int

    def __post_init__(self) -> None:
        self._held: int | None = None

    @classmethod
    def default(cls, folder: Path | None = None, size: str = DEFAULT_CACHE_SIZE) -> "FileCache":
        """The cache of pictures, in the user's cache folder if no folder is named.

        Raises:
            VAAError: the size is none, or there is no such folder.
        """
        try:
            return cls(folder or cache_folder() / ".pictures", parse_size(size))
        except OSError as error:
            raise VAAError(f"{one_line(error)}; name a folder with `cache_dir`") from error

    def read(self, url: str, size: int | None = None) -> bytes:
        """The content of a file, from the folder if it is there.

        Args:
            url: the URL.
            size: its number of bytes, if a listing has said it.

        Raises:
            StorageError: it cannot be read.
        """
        path = self._path(url)
        with contextlib.suppress(OSError):
            content = path.read_bytes()
            os.utime(path)  # by which it was used last
            return content
        content = read_url(url, size)
        self._keep(path, content)
        return content

    def file(self, url: str) -> Path | None:
        """A file of the folder with the content of a URL, which is read into it if need be.

        Of several processes or threads that ask for it, one reads it. It stays until others need
        its room, and for a minute after it was last asked for.

        Args:
            url: the URL of a file whose content never changes.

        Returns:
            The file; None if the cache has no room for it, or cannot be written.

        Raises:
            StorageError: it cannot be read.
        """
        path = self._path(url)
        if path.is_file():
            with contextlib.suppress(OSError):
                os.utime(path)  # by which it was used last
            return path
        size = int(url_info(url).get("size") or 0)
        if size > self.size:
            return None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(path.with_name(f".{path.name}.lock"), path, "", wait=True):
                return path if path.is_file() or self._copy(url, size, path) else None
        except StorageError:
            raise
        except (OSError, VAAError):  # a disk that is full, or read-only
            return None

    def _copy(self, url: str, size: int, path: Path) -> bool:
        """Read a file into the folder, a piece at a time; whether there is room for it."""
        if not self._make_room(size, unused_since=time.time() - _IN_USE):
            return False
        with whole_file(path, sync=False) as file:
            copy_url(url, file)
        return True

    def _path(self, url: str) -> Path:
        digest = name_digest(url)
        return self.folder / digest[:2] / digest[2:]

    def _keep(self, path: Path, content: bytes) -> None:
        # A disk that is full, or read-only, costs time and nothing else.
        with contextlib.suppress(OSError, VAAError):
            if not self._make_room(len(content)):
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path, sync=False) as file:
                file.write(content)

    def _make_room(self, size: int, unused_since: float = math.inf) -> bool:
        """Count a file that will be written, and remove others for it; whether there is room.

        Args:
            size: its number of bytes.
            unused_since: time after which a file must not have been used to be removed.
        """
        if self._held is None:
            self._held = self._remove_oldest()
        if self._held + size > self.size:
            self._held = self._remove_oldest(size, unused_since)
        if self._held + size > self.size:
            return False
        self._held += size
        return True

    def _remove_oldest(self, wanted: int = 0, unused_since: float = math.inf) -> int:
        """Make place if the cache is full; the number of bytes that are there then."""
        found, abandoned = [], time.time() - _ABANDONED
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                if not path.name.startswith("."):
                    found.append((status.st_mtime, status.st_size, path))
                elif status.st_mtime < abandoned:  # of a process that was killed
                    path.unlink()
        held = sum(size for _, size, _ in found)
        if held + wanted <= self.size:
            return held
        for used, size, path in sorted(found):
            if held + wanted <= _LEFT * self.size or used > unused_since:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            held -= size
        return held


class CachedURL(NamedContent):
    """The URL of a file that is read through a cache, wherever it is read.

    Args:
        url: the URL.
        cache: the cache.
    """

    cache: FileCache

    def __new__(cls, url: str, cache: FileCache) -> "CachedURL":
        made = super().__new__(cls, url)
        made.cache = cache
        return made

    def __getnewargs__(self) -> tuple[str, FileCache]:  # type: ignore[override]
        return str(self), self.cache

    @property
    def is_remote(self) -> bool:
        """Yes, it is."""
        return True

    def content(self) -> bytes:
        """The bytes of the file.

        Raises:
            StorageError: it cannot be read.
        """
        return self.cache.read(str(self))
