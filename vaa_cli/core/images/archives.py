"""Pictures in tar and zip archives, read as a stream, never unpacked to disk."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from posixpath import dirname, join, normpath
from stat import S_ISLNK, S_ISREG

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
from vaa_cli.core.images.tar_archives import tar_pictures
from vaa_cli.core.system.storage import is_url, shown_url

_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_ENDINGS = (*_TARS, ".zip")
# The others can inflate a few bytes to any size before one can stop them.
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def is_archive(name: str) -> bool:
    """Whether a file's name is one of an archive that is read."""
    return name.lower().endswith(_ENDINGS)


def archive_pictures(path: str) -> Iterator[ImageSource]:
    """The pictures in an archive, in its order, each called ARCHIVE/MEMBER.

    Members without an ending are looked into. Where an archive has none, or is broken, so that
    what follows cannot be found, it stands for itself, as one more picture with a problem.
    """
    problem = _problem_of(path)
    if problem is not None:
        yield ImageSource(path, problem=problem)
        return
    pictures = (
        tar_pictures(path) if shown_url(path).lower().endswith(_TARS) else _zip_pictures(path)
    )
    found = False
    for picture in pictures:
        found = True
        yield picture
    if not found:
        yield ImageSource(
            path, problem="no pictures in this archive (by their names: .jpg, .png, …)"
        )


def _problem_of(path: str) -> str | None:
    """Why an archive is not opened; a pipe or a device would be read for ever."""
    if is_url(path):
        return None
    try:
        return None if S_ISREG(os.stat(path).st_mode) else "not a file"
    except OSError as error:
        return broken(error)
    except ValueError:
        return "no file has such a name"  # one with a NUL byte


def _zip_pictures(path: str) -> Iterator[ImageSource]:
    with ExitStack() as opened:
        try:
            archive = zipfile.ZipFile(opened.enter_context(open_archive(path)))
        except Exception as error:  # broken data raises any kind
            yield ImageSource(path, problem=broken(error))
            return
        for info in archive.infolist():
            member = _ZipMember(archive, info)
            if info.is_dir():
                continue
            if is_ending_wanted(info.filename) or (
                is_without_ending(info.filename) and member.is_picture()
            ):
                yield ImageSource(f"{path}/{info.filename}", read=member.read)


class _ZipMember:
    """A picture in a zip archive."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self._archive, self._member = archive, member

    def is_picture(self) -> bool:
        """Whether its content is a picture's, whatever it is called."""
        try:
            return looks_like_picture(self.read())
        except PictureError:
            return False

    def read(self) -> bytes:
        """The content; that of the file that it leads to, if it is a link.

        Raises:
            PictureError: it cannot be read.
        """
        member = self._member
        for _ in range(MOST_LINKS):
            content = self._content(member)
            if not S_ISLNK(member.external_attr >> 16):
                return content
            target = normpath(join(dirname(member.filename), content.decode(errors="replace")))
            try:
                member = self._archive.getinfo(target)
            except KeyError as error:
                raise PictureError(f"a link to {target}, which is not in the archive") from error
        raise PictureError("a link that leads in circles")

    def _content(self, member: zipfile.ZipInfo) -> bytes:
        size = member.file_size
        require_size(size)
        if member.flag_bits & 1:
            raise PictureError("encrypted in the archive")
        if member.compress_type not in _ZIP_METHODS:
            raise PictureError("compressed in a way that is not read: neither stored nor deflated")
        try:
            with self._archive.open(member) as file:
                # Only the size in its header, not all that it could inflate to.
                content = file.read(size + 1)
        except Exception as error:  # broken data raises any kind
            raise PictureError(broken(error)) from error
        return require_whole(content, size)
