"""Pictures in tar and zip archives, read as a stream, never unpacked to disk."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from io import BufferedIOBase
from typing import IO, cast

from vaa_cli.core.errors import PictureError, one_line
from vaa_cli.core.images.decode import is_picture
from vaa_cli.core.images.requests import ImageSource

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ENDINGS = (*_TARS, ".zip")
# A picture's file that is larger is not read: an archive can promise any size.
_LARGEST = 512 << 20
# Nor is a tar header: Python reads a member's long name, say, at once, whatever size it claims.
_LARGEST_HEADER = 1 << 20
# The others can inflate a few bytes to any size before one can stop them.
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def is_archive(name: str) -> bool:
    """Whether a file's name is one of an archive that is read."""
    return name.lower().endswith(_ENDINGS)


def archive_pictures(path: str) -> Iterator[ImageSource]:
    """The pictures in an archive, in its order, each called ARCHIVE/MEMBER.

    Where an archive has none, or is broken, so that what follows cannot be found, it stands for
    itself, as one more picture with a problem.
    """
    pictures = _tar_pictures(path) if path.lower().endswith(_TARS) else _zip_pictures(path)
    found = False
    for picture in pictures:
        found = True
        yield picture
    if not found:
        yield ImageSource(
            path, problem="no pictures in this archive (by their names: .jpg, .png, …)"
        )


def _is_wanted(name: str) -> bool:
    parts = [part for part in name.split("/") if part not in (".", "..")]
    return is_picture(name) and not any(part.startswith((".", "__MACOSX")) for part in parts)


# Headers that describe the member that follows.
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class _Header(tarfile.TarInfo):
    """A member's header; notes where there is the block of zeros that ends an archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.type in _EXTENDED and header.size > _LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {header.size:,} bytes")
        return header

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            assert isinstance(archive, _Tar)
            archive.has_ended = type(error).__name__ == "EOFHeaderError"
            raise


class _Tar(tarfile.TarFile):
    """A tar archive that knows whether it ended as archives end."""

    tarinfo = _Header
    has_ended = False


class _Ending:
    """An archive's bytes, which cannot be read beyond their end twice.

    tarfile would go on for as long as a header's size promises, which may be for ever.
    """

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream, self._has_ended = stream, False

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        if not content and self._has_ended:
            raise tarfile.ReadError("unexpected end of data")
        self._has_ended = not content
        return content


def _tar_pictures(path: str) -> Iterator[ImageSource]:
    # Opening, and going to the next member, read what is broken; the pictures are yielded outside.
    try:
        stream = _unpacked(path)
    except OSError as error:
        yield ImageSource(path, problem=_broken(error))
        return
    with stream:
        try:
            archive = _Tar.open(fileobj=cast(IO[bytes], _Ending(stream)), mode="r|")
        except Exception as error:  # broken data raises any kind, each decompressor its own
            yield ImageSource(path, problem=_broken(error))
            return
        while True:
            try:
                member = archive.next()
                archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
                if member is None:
                    _read_end(archive, stream)
            except Exception as error:  # likewise
                yield ImageSource(path, problem=_broken(error))
                return
            if member is None:
                return
            if member.isreg() and _is_wanted(member.name):
                yield ImageSource(f"{path}/{member.name}", read=_TarMember(archive, member).read)


def _unpacked(path: str) -> BufferedIOBase:
    """The archive's bytes, decompressed."""
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start.startswith(b"\xfd7zXZ"):
        return lzma.open(path)
    return open(path, "rb")


def _read_end(archive: _Tar, stream: BufferedIOBase) -> None:
    """Check that an archive is whole where no member follows.

    tarfile takes the end of the file, and in places a broken header, for the archive's end.
    """
    if not archive.has_ended:
        raise tarfile.ReadError("it ends without an end mark, so pictures may be missing")
    while stream.read(1 << 16):  # a decompressor checks its sum at its end
        pass


class _TarMember:
    """A picture in a tar archive, while the archive stands there."""

    def __init__(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._archive, self._member = archive, member

    def read(self) -> bytes:
        size = self._member.size
        _require_size(size)
        try:
            file = self._archive.extractfile(self._member)
            content = file.read() if file is not None else b""
        except Exception as error:  # likewise
            raise PictureError(_broken(error)) from error
        if len(content) != size:
            raise PictureError(f"broken archive: {len(content):,} of {size:,} bytes are there")
        return content


def _zip_pictures(path: str) -> Iterator[ImageSource]:
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # broken data raises any kind
        yield ImageSource(path, problem=_broken(error))
        return
    with archive:
        for member in archive.infolist():
            if not member.is_dir() and _is_wanted(member.filename):
                yield ImageSource(
                    f"{path}/{member.filename}", read=_ZipMember(archive, member).read
                )


class _ZipMember:
    """A picture in a zip archive."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self._archive, self._member = archive, member

    def read(self) -> bytes:
        size = self._member.file_size
        _require_size(size)
        if self._member.flag_bits & 1:
            raise PictureError("encrypted in the archive")
        if self._member.compress_type not in _ZIP_METHODS:
            raise PictureError("compressed in a way that is not read: neither stored nor deflated")
        try:
            with self._archive.open(self._member) as file:
                # Only the size in its header, not all that it could inflate to.
                content = file.read(size + 1)
        except Exception as error:  # likewise
            raise PictureError(_broken(error)) from error
        if len(content) != size:
            raise PictureError(f"broken archive: {len(content):,} of {size:,} bytes are there")
        return content


def _require_size(size: int) -> None:
    if size > _LARGEST:
        raise PictureError(f"{size:,} bytes, more than the limit of {_LARGEST:,}")


def _broken(error: Exception) -> str:
    reason = getattr(error, "strerror", None) or one_line(error)
    return f"broken archive: {reason}"
