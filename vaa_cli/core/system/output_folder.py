"""A folder of files that appear whole, on this machine or at a URL."""

import contextlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import is_temporary, whole_file, writing_errors
from vaa_cli.core.system.input_files import opened_file
from vaa_cli.core.system.locks import exclusive
from vaa_cli.core.system.storage import (
    TIME_LIMIT,
    called,
    filesystem,
    is_url,
    retried,
    shown_url,
    write_url,
)
from vaa_cli.core.system.storage_file import open_url

_LOCK = ".lock"
# Bytes that are asked for at a time of a file that is looked into.
_BLOCK = 256 << 10


class OutputFolder(Protocol):
    """A folder that files are written into; its text is its path or URL."""

    def names(self) -> list[str]:
        """The names of what is in it, sorted; none where there is no such folder."""
        ...

    def writing(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file to write, which is there when the block ends, whole."""
        ...

    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        """A file to read.

        Raises:
            VAAError: it is missing, or cannot be read.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from writing here, as far as the storage can.

        Raises:
            VAAError: another process does, or the folder cannot be written.
        """
        ...


class _LocalFolder:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def names(self) -> list[str]:
        if not self._path.is_dir():
            return []
        found = [path.name for path in self._path.iterdir()]
        return sorted(name for name in found if name != _LOCK and not is_temporary(name))

    def writing(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        return whole_file(self._path / name)

    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        return opened_file(self._path / name)

    def remove(self, name: str) -> None:
        with writing_errors(self._path):
            (self._path / name).unlink()

    @contextmanager
    def alone(self) -> Iterator[None]:
        if self._path.exists() and not self._path.is_dir():
            raise VAAError(f"{self} is a file, and parts need a folder; name another one")
        with writing_errors(self._path):
            self._path.mkdir(parents=True, exist_ok=True)
        in_use = f"{self} is being written by another process; wait for it"
        with exclusive(self._path / _LOCK, self._path, in_use), writing_errors(self._path):
            yield


class _StoredFolder:
    """A folder of an object store, where a file is there as soon as all of it has come."""

    def __init__(self, url: str) -> None:
        self._url = url if url.endswith("/") else f"{url}/"
        self._fs, self._path = filesystem(url.rstrip("/"))

    def __str__(self) -> str:
        return shown_url(self._url)

    def names(self) -> list[str]:
        def listed() -> list[str]:
            try:
                entries = called(self._fs, "ls", self._path, detail=False, time_limit=TIME_LIMIT)
            except FileNotFoundError as error:
                if "bucket does not exist" in str(error):
                    raise
                return []
            return [str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in entries]

        own = self._path.rstrip("/").rsplit("/", 1)[-1]
        # Some storages have a mark of the folder itself.
        return sorted(name for name in retried(self._url, listed) if name not in ("", own))

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        buffer = io.BytesIO()
        yield buffer
        write_url(f"{self._url}{name}", buffer.getvalue())

    def opened(self, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
        return open_url(f"{self._url}{name}", _BLOCK)

    def remove(self, name: str) -> None:
        path = f"{self._path.rstrip('/')}/{name}"
        retried(self._url, lambda: called(self._fs, "rm_file", path, time_limit=TIME_LIMIT))

    def alone(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


def output_folder(place: Path | str) -> OutputFolder:
    """The folder at a path or a URL; it need not be there yet."""
    if isinstance(place, str) and is_url(place):
        return _StoredFolder(place)
    return _LocalFolder(Path(place))
