"""A file at a URL that is read in parts, as archives are."""

import io
import shutil
from typing import Any, BinaryIO

from vaa_cli.core.system.storage import StorageError, read_url_part, url_info

# Bytes that are asked for at a time.
BLOCK = 8 << 20


class _Parts(io.RawIOBase):
    """The bytes of a file, asked for as they are needed, each part again where that fails."""

    def __init__(self, url: str) -> None:
        size = url_info(url).get("size")
        if size is None:
            raise StorageError(url, "the storage does not say how large it is; download it first")
        self._url, self._size, self._position = url, int(size), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._size, self._position + len(buffer))
        if end <= self._position:
            return 0
        content = read_url_part(self._url, self._position, end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def open_url(url: str, block: int = BLOCK) -> io.BufferedReader:
    """Open a file at a URL to read from it, as `open` opens one with mode `rb`.

    It is read as large as it was when it was opened.

    Args:
        url: the URL.
        block: bytes that are asked for at a time, at least.

    Raises:
        StorageError: it is missing, or may not be read; later reads raise it, too.
    """
    return io.BufferedReader(_Parts(url), block)


def copy_url(url: str, file: BinaryIO) -> None:
    """Copy the file at a URL into one that is open, a part at a time.

    Raises:
        StorageError: it is missing, or cannot be read.
    """
    with open_url(url) as source:
        shutil.copyfileobj(source, file, BLOCK)
