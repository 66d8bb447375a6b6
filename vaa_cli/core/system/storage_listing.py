"""The files below a URL, named as they are found, however many there are."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vaa_cli.core.system.storage import (
    MISSING,
    TIME_LIMIT,
    StorageError,
    StoredFile,
    called,
    filesystem,
    retried,
)

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def list_url(url: str) -> Iterator[StoredFile]:
    """The files below the folder at a URL, but those with a dot before a part of their names.

    S3 is asked for a thousand names at a time, and gives them sorted; of other storages, each
    folder's names are asked for at once: first its files, sorted, then the folders in it.

    Raises:
        StorageError: there is no such folder, or it may not be read.
    """
    fs, path = filesystem(url)
    outer, chain, inner = url.partition("::")
    names = _of_s3(fs, path, url) if _is_s3(fs) else _of_folders(fs, path, url)
    for name, size in names:
        below = name.removeprefix(path.rstrip("/")).lstrip("/")
        if any(part.startswith(".") for part in below.split("/")):
            continue
        yield StoredFile(f"{outer.rstrip('/')}/{below}{chain}{inner}", size)


def match_url(url: str) -> list[StoredFile]:
    """The files that a URL with `*`, `?`, `[…]` or `**` in its path means, sorted.

    Raises:
        StorageError: the storage cannot be read.
    """
    fs, path = filesystem(url)
    outer, chain, inner = url.partition("::")
    found = retried(url, lambda: called(fs, "glob", path, detail=True, time_limit=TIME_LIMIT))
    return [
        StoredFile(f"{_full_name(name, outer)}{chain}{inner}", info.get("size"))
        for name, info in sorted(found.items())
        if info.get("type") != "directory"
    ]


def _full_name(name: str, outer: str) -> str:
    """The URL of a path, with the scheme that was given, such as s3a."""
    scheme, given = outer.split("://")
    return f"{scheme}://{name if given.startswith('/') else name.lstrip('/')}"


def _is_s3(fs: "AbstractFileSystem") -> bool:
    return type(fs).__name__ == "S3FileSystem" and not getattr(fs, "version_aware", False)


def _of_s3(fs: "AbstractFileSystem", path: str, url: str) -> Iterator[tuple[str, int | None]]:
    bucket, _, key = path.strip("/").partition("/")
    asked: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{key}/" if key else ""}

    def page() -> dict[str, Any]:
        return dict(called(fs, "call_s3", "list_objects_v2", time_limit=TIME_LIMIT, **asked))

    found = False
    while True:
        answer = retried(url, page)
        for entry in answer.get("Contents", ()):
            found = True
            if not entry["Key"].endswith("/"):  # a mark that there is a folder
                yield f"{bucket}/{entry['Key']}", entry["Size"]
        if not answer.get("IsTruncated"):
            break
        asked["ContinuationToken"] = answer["NextContinuationToken"]
    if not found and key:
        raise StorageError(url, MISSING)


def _of_folders(fs: "AbstractFileSystem", path: str, url: str) -> Iterator[tuple[str, int | None]]:
    waiting = [path]
    while waiting:
        folder = waiting.pop()
        entries = retried(
            url,
            lambda folder=folder: called(fs, "ls", folder, detail=True, time_limit=TIME_LIMIT),  # type: ignore[misc]
        )
        entries = sorted(entries, key=lambda entry: str(entry["name"]))
        below = []
        for entry in entries:
            name = str(entry["name"])
            if name.rstrip("/") == folder.rstrip("/"):
                continue
            if entry.get("type") == "directory":
                below.append(name)
            else:
                yield name, entry.get("size")
        waiting += reversed(below)
