"""Pictures in tar archives, plain or compressed, read as a stream."""

import bz2
import gzip
import lzma
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedIOBase
from posixpath import dirname, join, normpath
from typing import IO, Any, cast

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images.archive_members import (
    MOST_LINKS,
    broken,
    is_ending_wanted,
    is_without_ending,
    looks_like_picture,
    open_archive,
    require_size,
    require_whole,
)
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.system.storage import StorageError

# The versions of Python from which on tarfile reads the header of an attacker in linear time
# (CVE-2024-6232); before, one of a megabyte of digits takes 20 minutes.
_LINEAR_SINCE = {(3, 10): 15, (3, 11): 10, (3, 12): 6}
_IS_LINEAR = sys.version_info.micro >= _LINEAR_SINCE.get(sys.version_info[:2], 0)
# Python reads a header of a member, such as a long name, at once, whatever size it claims.
_LARGEST_HEADER = 1 << 16 if _IS_LINEAR else 1 << 13
# Zeros end an archive, and another one may follow; behind so many blocks none is looked for.
_ZERO_BLOCKS = 4096

# Headers that describe the member that follows.
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


# By what the archives begin with.
_DECOMPRESSORS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}

# At which tarfile ends an archive; not in its documentation.
_NoHeaderError = tarfile.EmptyHeaderError  # type: ignore[attr-defined]


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
        assert isinstance(archive, _Tar)
        try:
            header = super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            kind = type(error).__name__
            if kind == "EOFHeaderError":
                archive.has_ended = True
                archive.zero_blocks += 1
                if archive.zero_blocks <= _ZERO_BLOCKS:
                    raise  # tarfile goes on behind it
            if kind == "InvalidHeaderError" and archive.offset == 0:
                raise tarfile.ReadError(str(error)) from error
            if kind in ("EOFHeaderError", "InvalidHeaderError"):
                # tarfile would look for a header in each block from here on.
                raise _NoHeaderError(str(error)) from error
            raise
        archive.has_ended, archive.zero_blocks = False, 0
        return header


class _Tar(tarfile.TarFile):
    """One tar archive or several, one behind the other; knows whether the last one was ended."""

    tarinfo = _Header
    has_ended = False
    zero_blocks = 0


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


def tar_pictures(path: str) -> Iterator[ImageSource]:
    """The pictures in a tar archive, in its order; see `archives.archive_pictures`."""
    # Opening, and going to the next member, read what is broken; the pictures are yielded outside.
    links = _LinkedFiles(path)
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(_unpacked(path))
            archive = _open(stream)
        except Exception as error:  # broken data raises any kind, each decompressor its own
            yield ImageSource(path, problem=broken(error))
            return
        while True:
            try:
                member = archive.next()
                archive.members = []  # type: ignore[attr-defined]  # it would keep all of them
                if member is None:
                    _read_end(archive, stream)
            except Exception as error:  # likewise
                yield ImageSource(path, problem=broken(error))
                return
            if member is None:
                return
            picture = _picture(path, archive, member, links)
            if picture is not None:
                yield picture


def _open(stream: BufferedIOBase) -> _Tar:
    return _Tar.open(fileobj=cast(IO[bytes], _Ending(stream)), mode="r|", ignore_zeros=True)


def _picture(
    path: str, archive: tarfile.TarFile, member: tarfile.TarInfo, links: "_LinkedFiles"
) -> ImageSource | None:
    """A member as a picture; None for what is none."""
    name = f"{path}/{member.name}"
    if member.isdir():
        return None
    if is_without_ending(member.name) and member.isreg():
        try:
            content = _TarMember(archive, member).read()
        except PictureError:
            return None
        return ImageSource(name, read=lambda: content) if looks_like_picture(content) else None
    if not is_ending_wanted(member.name):
        return None
    if member.islnk() or member.issym():
        return ImageSource(name, read=_TarLink(links, member).read)
    if not member.isreg():
        return ImageSource(name, problem="not a file")
    return ImageSource(name, read=_TarMember(archive, member).read)


@contextmanager
def _unpacked(path: str) -> Iterator[BufferedIOBase]:
    """The archive's bytes, decompressed."""
    with open_archive(path) as file:
        start = file.read(6)
        file.seek(0)
        for mark, decompressor in _DECOMPRESSORS.items():
            if start.startswith(mark):
                with decompressor(file) as stream:
                    yield cast(BufferedIOBase, stream)
                return
        yield file


def _read_end(archive: _Tar, stream: BufferedIOBase) -> None:
    """Check that an archive is whole where no member follows.

    tarfile takes the end of the file, and in places a broken header, for the archive's end.
    """
    if not archive.has_ended:
        raise tarfile.ReadError("it ends without an end mark, so pictures may be missing")
    while piece := stream.read(1 << 16):  # a decompressor checks its sum at its end
        if archive.zero_blocks > _ZERO_BLOCKS and piece.strip(b"\0"):
            raise tarfile.ReadError("there is more far behind its end mark, which is not read")


class _TarMember:
    """A picture in a tar archive, while the archive stands there."""

    def __init__(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self._archive, self._member = archive, member

    def read(self) -> bytes:
        """The content.

        Raises:
            PictureError: it cannot be read.
        """
        size = self._member.size
        require_size(size)
        try:
            file = self._archive.extractfile(self._member)
            content = file.read() if file is not None else b""
        except Exception as error:  # likewise
            raise PictureError(broken(error)) from error
        return require_whole(content, size)


class _LinkedFiles:
    """The files of an archive that links lead to; it is looked through at the first link.

    Args:
        path: the archive.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._files: dict[str, tuple[int, int]] | None = None
        self._links: dict[str, str] = {}
        self._problem = ""

    def read(self, name: str) -> bytes:
        """The content of a member.

        Raises:
            PictureError: it is not there, or cannot be read.
        """
        if self._files is None:
            self._files = {}
            self._look_through(self._files)
        if self._problem:
            raise PictureError(self._problem)
        target = name
        for _ in range(MOST_LINKS):
            if target in self._files:
                break
            if target not in self._links:
                raise PictureError(f"a link to {target}, which is not in the archive")
            target = self._links[target]
        else:
            raise PictureError("a link that leads in circles")
        start, size = self._files[target]
        require_size(size)
        with open_archive(self._path) as file:
            file.seek(start)
            content = file.read(size)
        return require_whole(content, size)

    def _look_through(self, files: dict[str, tuple[int, int]]) -> None:
        """Note where the files of a plain archive are, and where its links lead."""
        with _unpacked(self._path) as stream:
            if isinstance(stream, gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile):
                self._problem = (
                    "a link in a compressed archive, which is read once only; pack it with "
                    "tar --hard-dereference --dereference"
                )
                return
            try:
                archive = _open(stream)
                while (member := archive.next()) is not None:
                    archive.members = []  # type: ignore[attr-defined]
                    name = normpath(member.name)
                    if member.islnk() or member.issym():
                        self._links[name] = _target(member)
                    elif member.isreg() and not member.issparse():
                        files[name] = (member.offset_data, member.size)
            except Exception:  # the archive is broken from here on, which has a row of its own
                return


class _TarLink:
    """A link in a tar archive, read as the file that it leads to."""

    def __init__(self, files: _LinkedFiles, member: tarfile.TarInfo) -> None:
        self._files, self._member = files, member

    def read(self) -> bytes:
        """The content of the file.

        Raises:
            PictureError: it is not in the archive, or cannot be read.
        """
        try:
            return self._files.read(_target(self._member))
        except (OSError, StorageError) as error:
            raise PictureError(broken(error)) from error


def _target(link: tarfile.TarInfo) -> str:
    """The name of the member that a link leads to."""
    name = link.linkname
    return normpath(name if link.islnk() else join(dirname(link.name), name))
