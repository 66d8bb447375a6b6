"""Folders on this machine or at a URL, to which the same names of files lead."""

from dataclasses import dataclass, field
from pathlib import Path

from vaa_cli.core.system.cached_files import cached_file
from vaa_cli.core.system.file_cache import CachedURL, FileCache
from vaa_cli.core.system.storage import is_url


@dataclass(frozen=True)
class URLFolder:
    """A folder at a URL that names of files start from, as a `Path` is one on this machine.

    Attributes:
        url: its URL.
        cache: what its files are read through.

    Example:
        >>> folder = URLFolder("s3://bucket/people", FileCache(Path("cache"), 1000))
        >>> folder / "a.jpg"
        's3://bucket/people/a.jpg'
    """

    url: str
    cache: FileCache = field(compare=False)

    def __truediv__(self, name: str) -> CachedURL:
        return CachedURL(f"{self.url.rstrip('/')}/{name}", self.cache)

    def __str__(self) -> str:
        return self.url

    def resolve(self) -> "URLFolder":
        """The folder itself: no link leads on."""
        return self


# A folder on this machine or at a URL.
Location = Path | URLFolder


def location(name: Location | str, cache: FileCache | None = None) -> Location:
    """The folder of a path or a URL.

    Args:
        name: the path or the URL.
        cache: what files at a URL are read through; None for the cache of the user.

    Raises:
        VAAError: it is a URL, and this user has no cache.
    """
    if isinstance(name, str) and is_url(name):
        return URLFolder(name.rstrip("/"), cache or FileCache.default())
    return name if isinstance(name, URLFolder) else Path(name)


def subfolder(folder: Location, name: str) -> Location:
    """A folder in a folder."""
    if isinstance(folder, URLFolder):
        return URLFolder(str(folder / name), folder.cache)
    return folder / name


def local_file(folder: Location, name: str) -> Path:
    """A file in a folder, on this machine's disk.

    Raises:
        StorageError: it is at a URL, and cannot be read.
        VAAError: it cannot be kept.
    """
    return cached_file(str(folder / name)) if isinstance(folder, URLFolder) else folder / name
