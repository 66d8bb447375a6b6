"""Files at URLs: s3://, gs://, az://, https://, hf:// and whatever else fsspec reads.

Reads are tried again where a server is busy or a connection breaks, each for a limited time.
Credentials come from the environment alone, and no message holds any: neither a URL's user name
nor its query, which may be a signature.
"""

import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar, cast

from vaa_cli.core.errors import VAAError, one_line

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

Result = TypeVar("Result")

# Seconds that one attempt to read a file may take, and after which no further one begins.
TIME_LIMIT = 120.0
# A file that is larger is not read into memory: whoever names a URL does not know what is there.
LARGEST = 512 << 20
# Attempts, and the seconds before the second one, which double from one to the next.
_ATTEMPTS, _DELAY = 6, 0.2
# A scheme, perhaps behind others that lead into what it names: zip://a.jpg::s3://bucket/a.zip.
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+(?:://[^:]*)?::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# User name and password; of Azure's URLs it is the container that stands there.
_USER = re.compile(r"(?<!abfs)(?<!abfss)(?<!az)(://)[^/@]*@")
# Answers of servers that another attempt does not change, but for these two.
_CLIENT_ERRORS, _BUSY = range(400, 500), (408, 429)
_PERMANENT = (
    FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError,
    ValueError, NotImplementedError, MemoryError,
)  # fmt: skip
# Errors of the libraries behind fsspec, by their names, since none of them need be installed.
_NO_CREDENTIALS = (
    "NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError",
    "ClientAuthenticationError", "TokenRetrievalError", "CredentialRetrievalError",
)  # fmt: skip
_CREDENTIALS = {
    "s3": "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
    "hf": "HF_TOKEN",
}
_SAME_SCHEME = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "adl": "az"}
# The problem of a URL where there is nothing.
MISSING = "nothing is there"


class StorageError(VAAError):
    """A URL that cannot be read or written; `problem` is the reason in a few words."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"{shown_url(url)}: {problem}")
        self.problem = problem


class StoredFile(NamedTuple):
    """A file that a listing names.

    Attributes:
        url: its URL.
        size: its number of bytes; None where that is not known.
    """

    url: str
    size: int | None


def is_url(name: object) -> bool:
    """Whether a name is a URL and no path of this machine."""
    return isinstance(name, str) and _URL.match(name) is not None


def shown_url(url: str) -> str:
    """A URL as messages have it: without user name, password and query."""
    return _USER.sub(r"\1", url.split("?")[0] if _scheme(url) in ("http", "https") else url)


def parent_url(url: str) -> str:
    """The folder of a URL, with a slash behind it."""
    return f"{url.rsplit('/', 1)[0]}/"


def read_url(url: str, size: int | None = None, time_limit: float = TIME_LIMIT) -> bytes:
    """The content of a file at a URL.

    Args:
        url: the URL.
        size: its number of bytes, if a listing has said it.
        time_limit: seconds that an attempt may take, and after which no further one begins.

    Raises:
        StorageError: it is missing, may not be read, is too large, or the storage keeps failing.
    """
    if size is not None and size > LARGEST:
        raise StorageError(url, f"{size:,} bytes, more than the limit of {LARGEST:,}")
    fs, path = filesystem(url)

    def read() -> bytes:
        if size is not None:
            content = called(fs, "cat_file", path, time_limit=time_limit)
        else:
            content = _first_bytes(fs, path, LARGEST + 1, time_limit)
        if len(content) > LARGEST:
            raise StorageError(url, f"more bytes than the limit of {LARGEST:,}")
        return bytes(content)

    return retried(url, read, time_limit)


def _first_bytes(fs: "AbstractFileSystem", path: str, count: int, time_limit: float) -> bytes:
    try:
        return bytes(called(fs, "cat_file", path, start=0, end=count, time_limit=time_limit))
    except OSError:
        # There is no part of an empty file to ask for.
        if called(fs, "info", path, time_limit=time_limit).get("size") != 0:
            raise
        return b""


def read_url_part(url: str, start: int, end: int) -> bytes:
    """The bytes of a file at a URL from one position to another, of which all must be there.

    Raises:
        StorageError: it is missing, may not be read, ends before, or the storage keeps failing.
    """
    fs, path = filesystem(url)

    def read() -> bytes:
        limits = {"start": start, "end": end, "time_limit": TIME_LIMIT}
        content = bytes(called(fs, "cat_file", path, **limits))
        if len(content) != end - start:
            raise OSError(f"{len(content):,} bytes came where {end - start:,} were asked for")
        return content

    return retried(url, read)


def write_url(url: str, content: bytes) -> None:
    """Write a file at a URL, whole or not at all; what stands there is replaced.

    Raises:
        StorageError: it cannot be written.
    """
    _write(url, lambda fs, there: called(fs, "pipe_file", there, content, time_limit=TIME_LIMIT))


def put_url(path: Path, url: str) -> None:
    """Write a file of this machine at a URL, whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    # No limit but the library's: it may be large.
    _write(url, lambda fs, there: fs.put_file(str(path), there))


def _write(url: str, write: "Callable[[AbstractFileSystem, str], object]") -> None:
    """Write a file at a URL, in a folder that is made where the storage has any."""
    fs, there = filesystem(url)

    def attempt() -> None:
        if not fs.async_impl:  # object stores have none, and might make a bucket
            fs.makedirs(fs._parent(there), exist_ok=True)
        write(fs, there)

    retried(url, attempt)


@contextmanager
def whole_url(url: str) -> Iterator[BinaryIO]:
    """A file to write that is at a URL when the block ends without an error.

    Raises:
        StorageError: it cannot be written.
    """
    filesystem(url)  # what is wrong with it is found before anything is written
    with tempfile.NamedTemporaryFile() as file:
        yield cast(BinaryIO, file)
        file.flush()
        put_url(Path(file.name), url)


def url_info(url: str) -> dict[str, Any]:
    """What a storage knows of a URL: `type` (file or directory), `size`, and perhaps `ETag`.

    Raises:
        StorageError: nothing is there, or it may not be read.
    """
    fs, path = filesystem(url)
    return retried(url, lambda: dict(called(fs, "info", path, time_limit=TIME_LIMIT)))


def is_folder_url(url: str) -> bool:
    """Whether there is a folder at a URL; one that ends in a slash is taken for one.

    Raises:
        StorageError: nothing is there, or it may not be read.
    """
    return url.endswith("/") or url_info(url).get("type") == "directory"


def content_tag(url: str) -> str:
    """A text that changes when the content of a file does: its ETag, or what comes nearest.

    Raises:
        StorageError: it is missing, or may not be read.
    """
    info = url_info(url)
    for name in ("ETag", "etag", "md5Hash", "content_md5", "sha256", "blob_id", "checksum"):
        if info.get(name):
            return str(info[name]).strip('"')
    changed = next(
        (info[name] for name in ("mtime", "LastModified", "created") if name in info), ""
    )
    return f"{info.get('size')}-{changed}"


def retried(url: str, action: Callable[[], Result], time_limit: float = TIME_LIMIT) -> Result:
    """Do something with a storage, again where it fails for a while.

    Args:
        url: the URL that it is done with.
        action: what is done.
        time_limit: seconds after which no new attempt begins.

    Raises:
        StorageError: it failed for good, or too often.
    """
    end = time.monotonic() + time_limit
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return action()
        except StorageError:
            raise
        except Exception as raised:  # of any library behind fsspec
            error = _reason(raised)
            delay = _DELAY * 2**attempt * random.uniform(0.5, 1.0)
            is_last = attempt == _ATTEMPTS or time.monotonic() + delay > end
            if is_last or not _is_transient(error):
                raise StorageError(url, _problem(url, error)) from error
        time.sleep(delay)
    raise AssertionError("each attempt ends in one way or the other")


def called(
    fs: "AbstractFileSystem", name: str, *args: Any, time_limit: float, **kwargs: Any
) -> Any:
    """Call a method of a file system, which ends at a time limit where its kind can be stopped."""
    if fs.async_impl and not fs.asynchronous:
        from fsspec.asyn import sync

        return sync(fs.loop, getattr(fs, f"_{name}"), *args, timeout=time_limit, **kwargs)
    return getattr(fs, name)(*args, **kwargs)


def filesystem(url: str) -> tuple["AbstractFileSystem", str]:
    """The file system of a URL, and the path in it.

    Raises:
        StorageError: nothing here reads such URLs, or it has credentials in it.
    """
    if _USER.search(url):
        raise StorageError(url, "credentials in a URL are not used; set them in the environment")
    import fsspec

    try:
        # fsspec keeps what it has opened. Listings are not kept: they may have a million names.
        fs, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise StorageError(url, f"this needs another package: {_package(url)}") from error
    except ValueError as error:
        if "Protocol not known" not in str(error):
            raise StorageError(url, _problem(url, error)) from error
        scheme = _scheme(url)
        raise StorageError(url, f"{scheme}:// is no storage that is known here") from error
    except Exception as error:  # of the library behind it
        raise StorageError(url, _problem(url, error)) from error
    return fs, str(path)


def _package(url: str) -> str:
    from fsspec.registry import known_implementations

    module = str(known_implementations.get(_scheme(url), {}).get("class", "")).split(".")[0]
    return f"pip install {'aiohttp' if module == 'fsspec' else module}"


def _scheme(url: str) -> str:
    """The scheme of what a URL finally names."""
    return url.rsplit("::", 1)[-1].split("://")[0].lower()


def _reason(error: Exception) -> Exception:
    """The error behind one; fsspec reports each failure of a web server as a missing file."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception):
        status = _status(cause)
        if status not in (None, 404) or (status is None and isinstance(cause, OSError)):
            return cause
    return error


def _is_transient(error: Exception) -> bool:
    if isinstance(error, _PERMANENT) or _is_credentials(error):
        return False
    status = _status(error)
    return status is None or status in _BUSY or status not in _CLIENT_ERRORS


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error."""
    found = getattr(error, "status", None) or getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # of botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    elif response is not None:
        found = getattr(response, "status_code", found)
    if found is None and error.__cause__ is not None:
        return _status(error.__cause__)
    return found if isinstance(found, int) else None


def _is_credentials(error: Exception) -> bool:
    return any(kind.__name__ in _NO_CREDENTIALS for kind in type(error).__mro__)


def _problem(url: str, error: Exception) -> str:
    """A few words on an error of a storage."""
    scheme = _SAME_SCHEME.get(_scheme(url), _scheme(url))
    names = _CREDENTIALS.get(scheme, "credentials")
    if _is_credentials(error):
        return f"no credentials; set {names} in the environment"
    status = _status(error)
    if isinstance(error, PermissionError) or status in (401, 403):
        return f"access denied; check {names} in the environment"
    if isinstance(error, FileNotFoundError) or status == 404:
        is_bucket = "bucket does not exist" in str(error)
        return "no such bucket" if is_bucket else MISSING
    if type(error).__name__ == "FSTimeoutError" or isinstance(error, TimeoutError):
        return "the storage did not answer in time"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    reason = f"status {status}" if status is not None else one_line(error, 120)
    return f"the storage failed ({_without_query(reason)})"


def _without_query(text: str) -> str:
    """An error's text, in which a URL may stand, without what may be secret in that."""
    return re.sub(r"\?[^\s'\")]*", "", _USER.sub(r"\1", text))
