"""The folder of a process goes with it, or with the next one after a kill."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command import contents

PROGRAM = """
import os, signal, sys
from vaa_cli.core.system.processes import in_processes
assert list(in_processes(abs, range(-900, 0), 2)) == list(range(900, 0, -1))
print(*os.listdir(), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves place for the names of sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def run(how: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(folder)}
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
    return done


def test_what_processes_keep_is_removed_at_the_end_or_by_the_next(short: Path) -> None:
    (short / "vaa-1-isthere").mkdir()  # of process 1, which is always there
    for how, left in (("killed", 2), ("ended", 1)):
        during = run(how, short).stdout.split()
        assert len(during) == 2 and all(name.startswith("vaa-") for name in during), during
        assert len(contents(short)) == left
    assert contents(short) == ["vaa-1-isthere"]


def test_a_temporary_folder_with_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    assert run("ended", folder).stdout.split() == []
