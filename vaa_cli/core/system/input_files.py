"""Files that people give: regular ones only, of bounded size, in which lines and nesting end."""

import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import reading_errors

# A pipe without a writer is not waited for, and Windows does not touch the ends of lines.
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
READ_FLAGS |= getattr(os, "O_CLOEXEC", 0)
# Bytes of a file of options or names; of a table or a description of one; and of one of its lines.
LARGEST_SETTINGS = 4 << 20
LARGEST_TABLE = 8 << 30
_LONGEST_LINE = 16 << 20


@contextmanager
def opened_file(path: Path, largest: int = LARGEST_TABLE) -> Iterator[BinaryIO]:
    """A file to read from.

    Args:
        path: the file.
        largest: bytes that it may have.

    Raises:
        VAAError: it is missing or cannot be read, is a pipe or a device, or is larger.
    """
    with reading_errors(path), open(os.open(path, READ_FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise VAAError(f"{path} is not a file but a {_kind(status.st_mode)}; name a file")
        if status.st_size > largest:
            raise VAAError(
                f"{path} has {status.st_size:,} bytes, more than the limit of {largest:,}; "
                "is it the right file?"
            )
        yield file


def require_file(path: Path, largest: int = LARGEST_TABLE) -> None:
    """Check that another library may open a file.

    Raises:
        VAAError: as `opened_file`.
    """
    with opened_file(path, largest):
        pass


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    return "pipe" if stat.S_ISFIFO(mode) else "device"


def read_file(path: Path, largest: int = LARGEST_SETTINGS) -> bytes:
    """The content of a file.

    Raises:
        VAAError: as `opened_file`.
    """
    with opened_file(path, largest) as file:
        return file.read(largest + 1)


def read_text(path: Path, largest: int = LARGEST_SETTINGS, errors: str = "strict") -> str:
    """The text of a UTF-8 file, with or without a byte-order mark.

    Args:
        path: the file.
        largest: bytes that it may have.
        errors: treatment of bytes that are no UTF-8, as `bytes.decode` takes it.

    Raises:
        VAAError: as `opened_file`, or it is no UTF-8.
    """
    try:
        return read_file(path, largest).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise VAAError(f"{path}: line {line} is not UTF-8; convert the file") from error


def text_lines(path: Path, errors: str = "strict", encoding: str = "utf-8-sig") -> Iterator[str]:
    """The lines of a file with their ends, one after the other.

    Args:
        path: the file.
        errors: treatment of bytes that are no text, as `bytes.decode` takes it.
        encoding: its encoding.

    Raises:
        VAAError: as `opened_file`; a line has a NUL character, or is longer than any of a table.
        UnicodeDecodeError: it is not in this encoding.
    """
    with opened_file(path) as binary:
        text = io.TextIOWrapper(binary, encoding=encoding, errors=errors, newline="")
        number = 0
        while line := text.readline(_LONGEST_LINE):
            number += 1
            if len(line) == _LONGEST_LINE:
                raise VAAError(f"{path}: line {number} does not end; is it the right file?")
            if "\0" in line:
                raise VAAError(f"{path}: line {number} has a NUL character; is it a text file?")
            yield line


def parse_json(
    text: str | bytes, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text; arguments as those of `json.loads`.

    Raises:
        ValueError: it is no JSON, or nested too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=object_pairs_hook)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
