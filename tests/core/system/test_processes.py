"""Work in other processes: in order, bounded, and no process outlives the work."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.processes import in_processes

MANY = 2_000


def square(number: int) -> int:
    return number * number


def process(_: int) -> int:
    return os.getpid()


def fail_at_thousand(number: int) -> int:
    if number == 1000:
        raise VAAError("a thousand is too many")
    return number


def die_at_thousand(number: int) -> int:
    if number == 1000:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("count", [0, 1, 400, 401, MANY])
@pytest.mark.parametrize("workers", [1, 2, None])
def test_results_in_order(count: int, workers: int | None) -> None:
    assert list(in_processes(square, range(count), workers)) == [n * n for n in range(count)]


def test_many_are_done_elsewhere_and_few_here() -> None:
    assert set(in_processes(process, range(10), 2)) == {os.getpid()}
    others = set(in_processes(process, range(MANY), 2))
    assert os.getpid() not in others and 1 <= len(others) <= 2
    assert os.getpid() not in set(in_processes(process, range(10), 2, few=5))


def test_items_are_asked_for_as_they_are_needed() -> None:
    asked = 0

    def items() -> Iterator[int]:
        nonlocal asked
        for number in range(100_000):
            asked = number
            yield number

    results = in_processes(square, items(), 2)
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    assert asked < 2_000
    results.close()  # type: ignore[attr-defined]


def test_an_error_in_the_work_is_raised_here() -> None:
    with pytest.raises(VAAError, match="a thousand is too many"):
        list(in_processes(fail_at_thousand, range(MANY), 2))


def test_a_process_that_dies_is_an_error_for_people() -> None:
    with pytest.raises(VAAError, match="memory"):
        list(in_processes(die_at_thousand, range(MANY), 2))


SLEEPER = """
import time
from vaa_cli.core.system.processes import in_processes
from tests.core.system.test_processes import report
for _ in in_processes(report, range(2000), 2, few=1):
    pass
"""


def report(number: int) -> int:
    if number == 0:
        print(os.getpid(), flush=True)
    time.sleep(0.05)
    return number


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while alive(worker):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.05)
    parent.stdout.close()


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
