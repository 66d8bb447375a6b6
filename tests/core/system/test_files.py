"""Files appear whole or not at all, on whatever file system."""

import errno
import os
import stat
import time
from pathlib import Path

import pytest

from tests.helpers.command import contents
from tests.helpers.failures import Stop, raised
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import (
    sync_tree,
    temporary_name,
    whole_file,
    write_text,
    writing_errors,
)

# Files


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_appears_when_it_is_whole(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "out.csv"
    if before is not None:
        path.write_bytes(before)
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert (path.read_bytes() if path.exists() else None) == before
    assert path.read_bytes() == b"new"
    assert contents(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_that_failed_leaves_what_was_there(
    tmp_path: Path, failure: type[BaseException], before: bytes | None
) -> None:
    path = tmp_path / "out.csv"
    if before is not None:
        path.write_bytes(before)
    with pytest.raises(raised(failure)), whole_file(path) as file:
        file.write(b"half")
        raise failure("stop")
    assert contents(tmp_path) == ([] if before is None else ["out.csv"])
    assert before is None or path.read_bytes() == before


def test_a_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "whole", "")
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_text_is_utf8_as_it_stands(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Straße\r\n日\n" + os.fsdecode(b"caf\xe9"))
    assert (tmp_path / "a.txt").read_bytes() == "Straße\r\n日\n".encode() + b"caf\xe9"


@pytest.mark.parametrize("place", ["file/out.csv", "nowhere/out.csv", "folder"])
def test_places_where_no_file_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(VAAError) as caught:
        write_text(tmp_path / place, "new")
    assert str(tmp_path / place) in str(caught.value)
    assert contents(tmp_path) == ["file", "folder"]
    assert contents(tmp_path / "folder") == []
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR], ids=["pipe", "device"])
def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path, kind: int) -> None:
    path = tmp_path / "out.csv"
    try:
        os.mknod(path, kind | 0o600, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(VAAError, match="device or a pipe"):
        write_text(path, "new")
    assert stat.S_IFMT(path.stat().st_mode) == kind
    assert contents(tmp_path) == ["out.csv"]


def test_a_link_is_replaced_and_what_it_names_is_not(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("old")
    (tmp_path / "out").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "precious").read_text() == "old"
    assert (tmp_path / "out").read_text() == "new" and not (tmp_path / "out").is_symlink()


def test_a_link_with_the_temporary_name_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "precious").write_text("old")
    planted = tmp_path / "planted"
    planted.symlink_to(tmp_path / "precious")
    monkeypatch.setattr("vaa_cli.core.system.files.temporary_name", lambda path: planted)
    with pytest.raises(VAAError, match="cannot write"):
        write_text(tmp_path / "out", "new")
    assert (tmp_path / "precious").read_text() == "old"


def test_temporary_names_are_not_guessed_and_fit(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)  # 254 bytes
    assert temporary_name(path) != temporary_name(path)
    write_text(path, "new")
    assert contents(tmp_path) == [path.name]


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    old, young = (temporary_name(tmp_path / "out.csv") for _ in range(2))
    other = tmp_path / ".out.csv.notes.tmp"
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    write_text(tmp_path / "out.csv", "new")
    assert set(contents(tmp_path)) == {"out.csv", young.name, other.name}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.ENOSYS])
def test_a_file_system_without_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "out").read_text() == "new"


def test_a_disk_that_fails_is_no_file_system_without_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(VAAError, match="the disk is gone"):
        write_text(tmp_path / "out", "new")
    assert contents(tmp_path) == []


# Errors


def test_a_failed_write_is_reported_with_place_and_reason() -> None:
    with pytest.raises(VAAError) as caught, writing_errors("there"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "there" in str(caught.value) and os.strerror(errno.ENOSPC) in str(caught.value)


def test_a_reader_that_has_enough_is_no_failed_write() -> None:
    with pytest.raises(BrokenPipeError), writing_errors("there"):
        raise BrokenPipeError
    with pytest.raises(Stop), writing_errors("there"):
        raise Stop


# Many files at once


@pytest.mark.parametrize("whole", [True, False])
def test_every_file_below_a_folder_is_put_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    """By one call where the system has it, else file by file."""
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b", "sub/c"):
        with whole_file(tmp_path / name, sync=False) as file:
            file.write(b"text")
    synced: list[object] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    if whole:
        monkeypatch.setattr(os, "sync", lambda: synced.append("all"), raising=False)
    else:
        monkeypatch.delattr(os, "sync", raising=False)
    sync_tree(tmp_path)
    assert synced == ["all"] if whole else len(synced) == 3
