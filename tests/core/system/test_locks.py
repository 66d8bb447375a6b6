"""Locks keep two processes apart, also where the file system has none."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import contents
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.locks import exclusive, is_held

HOLDER = """
import fcntl, sys, time
from pathlib import Path
if sys.argv[2] != "0":
    def refuse(*_):
        raise OSError(int(sys.argv[2]), "no locks")
    fcntl.flock = refuse
from vaa_cli.core.system.locks import exclusive
with exclusive(Path(sys.argv[1]), Path("out"), "in use"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=[0, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=str)
def number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The error of flock; 0 where there are locks."""
    if request.param:

        def refuse(*_: object) -> None:
            raise OSError(request.param, "no locks")

        monkeypatch.setattr("fcntl.flock", refuse)
    return int(request.param)


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_lock_is_held_by_one_process_and_goes_with_it(tmp_path: Path, number: int) -> None:
    lock = tmp_path / "made" / ".lock"
    command = [sys.executable, "-c", HOLDER, str(lock), str(number)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert is_held(lock)
        with pytest.raises(VAAError, match="in use"), exclusive(lock, Path("out"), "in use"):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert not is_held(lock)
    with exclusive(lock, Path("out"), "in use"):
        assert contents(lock.parent) == [".lock"]
    assert not lock.exists()


def test_a_folder_that_was_made_for_the_lock_goes_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "down" / ".lock"
    with exclusive(lock, lock.parent, "in use"):
        pass
    assert contents(tmp_path) == []
    with exclusive(lock, lock.parent, "in use"):
        (lock.parent / "kept").touch()
    assert contents(lock.parent) == ["kept"]


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(VAAError, match="file"),
        exclusive(tmp_path / "file" / ".lock", tmp_path / "file" / "out", "in use"),
    ):
        pass
    assert os.listdir(tmp_path) == ["file"]
