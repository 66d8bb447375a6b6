"""Members of archives: which of them are pictures, and how much of one is read."""

from io import BufferedReader, BytesIO
from posixpath import basename

from PIL import Image

from vaa_cli.core.errors import PictureError, one_line
from vaa_cli.core.images.decode import is_picture, picture_formats
from vaa_cli.core.images.unread_formats import is_unread_picture, picture_advice
from vaa_cli.core.system.storage import StorageError, is_url
from vaa_cli.core.system.storage_file import open_url

# A picture's file that is larger is not read: an archive can promise any size.
LARGEST = 512 << 20
# A link may lead to a link; one that leads to itself ends after so many.
MOST_LINKS = 16


def open_archive(path: str) -> BufferedReader:
    """Open an archive, a file or one at a URL, to read its bytes."""
    return open_url(path) if is_url(path) else open(path, "rb")


def is_ending_wanted(name: str) -> bool:
    """Whether a member is a picture by its name, also one in a format that is not read."""
    return (is_picture(name) or is_unread_picture(name)) and not _is_hidden(name)


def is_without_ending(name: str) -> bool:
    """Whether a member's name has no ending, so that its content shows what it is."""
    return "." not in basename(name) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in (".", "..")]
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def looks_like_picture(content: bytes) -> bool:
    """Whether a content begins as that of a picture does."""
    if picture_advice(content) is not None:
        return True
    try:
        with Image.open(BytesIO(content), formats=picture_formats()):
            return True
    except Exception:  # whatever a parser of another format raises
        return False


def require_size(size: int) -> None:
    """Check that a member is not too large to be read.

    Raises:
        PictureError: it is.
    """
    if size > LARGEST:
        raise PictureError(f"{size:,} bytes, more than the limit of {LARGEST:,}")


def require_whole(content: bytes, size: int) -> bytes:
    """Check that all of a member is there; returns its content.

    Raises:
        PictureError: it is not.
    """
    if len(content) != size:
        raise PictureError(f"broken archive: {len(content):,} of {size:,} bytes are there")
    return content


def broken(error: Exception) -> str:
    """A few words on an error of an archive's reader."""
    if isinstance(error, StorageError):
        return error.problem
    reason = getattr(error, "strerror", None) or one_line(error)
    return f"broken archive: {reason}"
