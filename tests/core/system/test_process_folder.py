"""The folder of a process goes with it, or with the next one after a kill."""

import os
import signal
import subprocess
import sys
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


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_what_processes_keep_is_removed_at_the_end_or_by_the_next(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / "vaa-1-isthere").mkdir()  # of process 1, which is always there
    for how, left in (("killed", 2), ("ended", 1)):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how], cwd=tmp_path, env=environment, text=True,
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == (-signal.SIGKILL if how == "killed" else 0), done.stderr
        during = done.stdout.split()
        assert len(during) == 2 and all(name.startswith("vaa-") for name in during), during
        assert len(contents(tmp_path)) == left
    assert contents(tmp_path) == ["vaa-1-isthere"]
