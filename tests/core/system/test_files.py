"""Files and folders appear whole or not at all."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import (
    require_replaceable,
    sync_tree,
    whole_file,
    whole_folder,
    write_text,
    writing_errors,
)

KNOWN = ("a.txt", "b.txt")


class Stop(Exception):
    """Something that goes wrong half-way."""


@pytest.fixture(params=[Stop, KeyboardInterrupt, OSError], ids=lambda kind: str(kind.__name__))
def failure(request: pytest.FixtureRequest) -> type[BaseException]:
    kind: type[BaseException] = request.param
    return kind


def raised(failure: type[BaseException]) -> type[BaseException]:
    """What comes out of a block in which a failure happens."""
    return VAAError if failure is OSError else failure


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


# Folders


def fill(folder: Path, text: str, names: tuple[str, ...] = KNOWN) -> None:
    for name in names:
        (folder / name).write_text(text)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("place", ["new", "deep/down/new"])
def test_a_folder_appears_when_it_is_whole(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    with whole_folder(path, KNOWN) as beside:
        fill(beside, "new")
        assert not path.exists()
    assert texts(path) == dict.fromkeys(KNOWN, "new")
    assert contents(path.parent) == ["new"]


@pytest.mark.parametrize("names", [(), KNOWN[:1], KNOWN])
def test_an_earlier_folder_is_replaced(tmp_path: Path, names: tuple[str, ...]) -> None:
    path = tmp_path / "out"
    path.mkdir()
    fill(path, "old", names)
    with whole_folder(path, KNOWN) as beside:
        fill(beside, "new", KNOWN[1:])
        assert texts(path) == dict.fromkeys(names, "old")
    assert texts(path) == {"b.txt": "new"}
    assert contents(tmp_path) == ["out"]


def test_a_folder_that_failed_leaves_what_was_there(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "out"
    path.mkdir()
    fill(path, "old")
    with pytest.raises(raised(failure)), whole_folder(path, KNOWN) as beside:
        fill(beside, "half", KNOWN[:1])
        raise failure("stop")
    assert texts(path) == dict.fromkeys(KNOWN, "old")
    assert contents(tmp_path) == ["out"]


def test_a_folder_that_failed_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(raised(failure)), whole_folder(tmp_path / "out", KNOWN) as beside:
        fill(beside, "half")
        raise failure("stop")
    assert contents(tmp_path) == []


def test_an_earlier_folder_comes_back_when_the_new_one_cannot_take_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.mkdir()
    fill(path, "old")
    rename: Callable[[Path, Path], Path] = Path.rename
    failed: list[Path] = []

    def rename_once_less(self: Path, target: Path) -> Path:
        if Path(target) == path and not failed:
            failed.append(self)
            raise OSError(errno.EIO, "the disk is gone")
        return rename(self, target)

    with pytest.raises(VAAError, match="the disk is gone"), whole_folder(path, KNOWN) as beside:
        fill(beside, "new")
        monkeypatch.setattr(Path, "rename", rename_once_less)
    assert failed, "the test needs a folder that is renamed"
    assert texts(path) == dict.fromkeys(KNOWN, "old")
    assert contents(tmp_path) == ["out"]


def test_a_folder_has_the_permissions_of_any_new_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with whole_folder(tmp_path / "whole", KNOWN):
        pass
    assert (tmp_path / "whole").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_to_an_earlier_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    fill(target, "old")
    (tmp_path / "here").mkdir()
    path = tmp_path / "here" / "out"
    path.symlink_to(target)
    with whole_folder(path, KNOWN) as beside:
        fill(beside, "new")
    assert texts(path) == dict.fromkeys(KNOWN, "new")
    assert contents(tmp_path / "here") == ["out"]


@pytest.mark.parametrize("place", ["file", "file/out"])
def test_places_where_no_folder_can_be(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("old")
    entered = False
    with pytest.raises(VAAError) as caught, whole_folder(tmp_path / place, KNOWN):
        entered = True
    assert not entered, "what cannot be written must not be worked for"
    assert str(tmp_path / place) in str(caught.value)
    assert contents(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("foreign", ["thesis.tex", ".hidden", "a.txt.bak", "sub/c.txt"])
def test_a_folder_with_other_contents_is_refused(tmp_path: Path, foreign: str) -> None:
    path = tmp_path / "out"
    (path / foreign).parent.mkdir(parents=True)
    fill(path, "old")
    (path / foreign).write_text("dear")
    before = contents(path)
    entered = False
    with pytest.raises(VAAError) as caught, whole_folder(path, KNOWN):
        entered = True
    assert not entered
    assert foreign.split("/")[0] in str(caught.value)
    assert contents(path) == before
    assert (path / foreign).read_text() == "dear"
    assert contents(tmp_path) == ["out"]


def test_require_replaceable_touches_nothing(tmp_path: Path) -> None:
    require_replaceable(tmp_path / "deep" / "new", KNOWN)
    assert contents(tmp_path) == []
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out", "old")
    require_replaceable(tmp_path / "out", KNOWN)
    assert texts(tmp_path / "out") == dict.fromkeys(KNOWN, "old")
    with pytest.raises(VAAError, match=r"b\.txt"):
        require_replaceable(tmp_path / "out", KNOWN[:1])


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
