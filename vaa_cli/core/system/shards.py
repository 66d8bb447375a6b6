"""Pictures in shards: files that hold many pictures each, one behind the other.

Only the place of a picture in its shard is needed to read it: its first byte and its number of
bytes. Shards are named by their content, so what a cache holds under a shard's name is right.
"""

import functools
import os
import threading
from pathlib import Path

from vaa_cli.core.errors import PictureError
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.location import Location, URLFolder
from vaa_cli.core.system.named_content import NamedContent
from vaa_cli.core.system.storage import LARGEST, is_url, read_url_part

# Shards that a process keeps open; on shared file systems, opening one takes longer than reading.
_OPEN = 64


class ShardMember(NamedContent):
    """A picture in a shard, named SHARD/MEMBER.

    Args:
        shard: path or URL of the shard.
        member: name of the picture in it.
        start: position of its first byte in the shard.
        size: its number of bytes.
        cache: what a shard at a URL is read through; None for one on this machine.
    """

    shard: str
    start: int
    size: int
    cache: FileCache | None

    def __new__(
        cls, shard: str, member: str, start: int, size: int, cache: FileCache | None = None
    ) -> "ShardMember":
        made = super().__new__(cls, f"{shard}/{member}")
        made.shard, made.start, made.size, made.cache = shard, start, size, cache
        return made

    @classmethod
    def of(cls, folder: Location, name: str, start: int, size: int) -> "ShardMember":
        """The picture of a name, SHARD/MEMBER, in a folder of shards."""
        shard, member = name.split("/", 1)
        cache = folder.cache if isinstance(folder, URLFolder) else None
        return cls(str(folder / shard), member, start, size, cache)

    def __getnewargs__(self) -> tuple[str, str, int, int, FileCache | None]:  # type: ignore[override]
        return self.shard, self[len(self.shard) + 1 :], self.start, self.size, self.cache

    @property
    def is_remote(self) -> bool:
        """Whether the shard is at a URL."""
        return is_url(self.shard)

    def fetch(self) -> Path | None:
        """Read a shard at a URL into the cache, unless it is there.

        Returns:
            The shard on this machine; None if the cache has no room for it.

        Raises:
            StorageError: it cannot be read.
        """
        return Path(self.shard) if self.cache is None else self.cache.file(self.shard)

    def content(self) -> bytes:
        """The bytes of the picture.

        Raises:
            StorageError: a shard at a URL cannot be read.
            PictureError: a shard on this machine cannot be read, or ends before the picture does.
        """
        if self.size > LARGEST:
            raise PictureError(f"{self.size:,} bytes, more than the limit of {LARGEST:,}")
        path = self.fetch()
        if path is None:  # it is read without the cache, picture by picture
            content = read_url_part(self.shard, self.start, self.start + self.size)
        else:
            try:
                content = _opened(path).read(self.start, self.size)
            except OSError as error:
                raise PictureError(f"its shard cannot be read ({error.strerror})") from error
        if len(content) != self.size:
            raise PictureError(
                f"its shard ends before it: {len(content):,} of {self.size:,} bytes are there"
            )
        return content


class _OpenShard:
    """A shard on this machine that stays open until nobody uses it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._lock = threading.Lock()

    def read(self, start: int, size: int) -> bytes:
        if hasattr(os, "pread"):  # which moves no position that other threads or processes share
            return os.pread(self._file.fileno(), size, start)
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


@functools.lru_cache(maxsize=_OPEN)
def _opened(path: Path) -> _OpenShard:
    return _OpenShard(path)
