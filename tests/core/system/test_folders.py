"""Folders appear whole or not at all, on whatever file system."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import contents
from tests.helpers.failures import raised
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system import folders
from vaa_cli.core.system.folders import (
    remove_abandoned_folders,
    require_replaceable,
    restore_folder,
    whole_folder,
)

KNOWN = ("a.txt", "b.txt")


@pytest.fixture(params=[True, False], ids=["exchanged", "renamed"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the system exchanges two folders in one step."""
    if not request.param:
        monkeypatch.setattr(folders, "_exchange_function", lambda: None)
    return bool(request.param)


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
def test_an_earlier_folder_is_replaced(
    tmp_path: Path, names: tuple[str, ...], exchange: bool
) -> None:
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
    monkeypatch.setattr(folders, "_exchange_function", lambda: None)
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


# Kills


KILLED = """
import os, signal, sys
from pathlib import Path
from vaa_cli.core.system import folders
if sys.argv[2] == "renamed":
    folders._exchange_function = lambda: None
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
with folders.whole_folder(Path(sys.argv[1]), ("a.txt", "b.txt")) as beside:
    (beside / "a.txt").write_text("new")
    rename = Path.rename
    def once(self, target):
        rename(self, target)
        kill()
    Path.rename = once
    folders.shutil.rmtree = kill
"""


@pytest.mark.parametrize("how", ["exchanged", "renamed"])
def test_a_kill_at_the_worst_moment_loses_neither_folder(tmp_path: Path, how: str) -> None:
    path = tmp_path / "out"
    path.mkdir()
    fill(path, "old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), how], check=False)
    assert killed.returncode == -signal.SIGKILL
    restore_folder(path)
    assert texts(path) in ({"a.txt": "new"}, dict.fromkeys(KNOWN, "old"))
    remove_abandoned_folders(path)
    assert contents(tmp_path) == ["out"]


def test_only_what_whole_folder_leaves_is_removed(tmp_path: Path) -> None:
    kept = [".out.crops", ".out.123.new", ".out2.0123456789ab.new", "out"]
    for name in (*kept, ".out.0123456789ab.new", ".out.0123456789ab.old"):
        (tmp_path / name).mkdir()
    remove_abandoned_folders(tmp_path / "out")
    assert contents(tmp_path) == sorted(kept)


def test_a_file_system_without_permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    with whole_folder(tmp_path / "out", KNOWN) as beside:
        fill(beside, "new")
    assert texts(tmp_path / "out") == dict.fromkeys(KNOWN, "new")
