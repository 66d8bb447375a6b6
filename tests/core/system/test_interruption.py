"""Signals: a process ends at once, or cleans up first; one line, and the right exit code."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")

PROGRAM = """
import sys, time
from pathlib import Path
from vaa_cli.core.system.interruption import (
    cleanup, handle_signals, received_signal, uninterrupted,
)
handle_signals(lambda number: print("ended by", number, flush=True))
out = Path(sys.argv[1])
BODY
"""
BODIES = {
    "outside": "print('ready', flush=True); time.sleep(30)",
    "cleanup": """
try:
    with cleanup():
        print('ready', flush=True)
        time.sleep(30)
except KeyboardInterrupt:
    out.write_text(f'cleaned up after {received_signal()}')
    sys.exit(128 + received_signal())
""",
    "swallowed": """
class Swallows:
    def __del__(self):
        print('ready', flush=True)
        time.sleep(1)
try:
    with cleanup():
        item = Swallows()
        del item
        time.sleep(30)
except KeyboardInterrupt:
    out.write_text(f'cleaned up after {received_signal()}')
    sys.exit(128 + received_signal())
""",
    "uninterrupted": """
try:
    with cleanup():
        with uninterrupted():
            print('ready', flush=True)
            time.sleep(1)
            out.write_text('whole')
        time.sleep(30)
except KeyboardInterrupt:
    out.write_text(out.read_text() + f', cleaned up after {received_signal()}')
    sys.exit(128 + received_signal())
""",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("body", list(BODIES))
def test_how_a_process_ends(tmp_path: Path, body: str, times: int, number: int) -> None:
    out = tmp_path / "out"
    program = PROGRAM.replace("BODY", BODIES[body])
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05)
    printed, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (128 + number, "")
    if body == "outside":
        assert printed == f"ended by {int(number)}\n"
    else:
        whole = "whole, " if body == "uninterrupted" else ""
        assert out.read_text() == f"{whole}cleaned up after {int(number)}" and printed == ""
