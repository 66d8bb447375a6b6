"""Work on many small items in processes on all cores, in order, with bounded memory."""

import multiprocessing
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from itertools import chain, islice
from multiprocessing.connection import wait
from typing import TypeVar

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.interruption import uninterrupted
from vaa_cli.core.system.process_folder import process_folder

Item = TypeVar("Item")
Result = TypeVar("Result")

# Fewer items are done in this process before others would have started.
_FEW = 400
_BATCH = 64


_FORK_SERVER = "vaa_cli.core.system.fork_server"
# Not fork: the parent has threads (a progress bar's), whose locks a fork would copy as held.
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start_early(modules: Sequence[str] = ()) -> None:
    """Let the process start that others will be forked from, so that `in_processes` need not wait.

    It leaves Ctrl-C to this one.

    Args:
        modules: those that the work needs, and the one that this program started from: they are
            loaded there, while this process goes on.
    """
    with suppress(OSError):
        process_folder()  # where multiprocessing then keeps its sockets
    if METHOD != "forkserver":
        return
    multiprocessing.forkserver.set_forkserver_preload([_FORK_SERVER, *modules])
    # First what it starts itself, since that would undo the mask.
    multiprocessing.resource_tracker.ensure_running()
    with _uninterrupted():  # which the other process inherits
        multiprocessing.forkserver.ensure_running()


def in_processes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int | None = None,
    few: int = _FEW,
    batch: int = _BATCH,
) -> Iterator[Result]:
    """Call `work` on each item in other processes; gives the results in order.

    Args:
        work: a function of a module, which other processes can import.
        items: asked for as they are needed, never held all at once.
        workers: processes; None for one a core.
        few: up to so many items are done in this process.
        batch: so many items go to a process at a time.

    Raises:
        VAAError: a process died, as one does that the system kills for want of memory.
    """
    workers = workers or os.cpu_count() or 1
    source = iter(items)
    first = list(islice(source, few + 1))
    if len(first) <= few:
        yield from map(work, first)
        return
    start_early()
    batches = _batches(chain(first, source), batch)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context(METHOD), follow_parent)
    try:
        pending: deque[Future[list[Result]]] = deque()
        for items_of_one in batches:
            with _uninterrupted():  # else a process could be started that nobody ends
                pending.append(pool.submit(_work_on, work, items_of_one))
            if len(pending) > 2 * workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    except BrokenProcessPool as error:
        raise VAAError("a working process died, perhaps for want of memory; try again") from error
    except BaseException:
        # Who stops this, by Ctrl-C or otherwise, does not wait for what is being worked on.
        with _uninterrupted():  # people press Ctrl-C more than once
            for process in list((pool._processes or {}).values()):
                process.terminate()
        raise
    finally:
        with _uninterrupted():
            pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # on Linux; it knows of taskset and a scheduler's share
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def decoding_workers(processes_here: int = 1) -> int:
    """The number of decoding processes for each process that shares this machine."""
    return max(1, min(8, usable_cores() // processes_here))


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A block that Ctrl-C does not break into, nor into processes that are started in it."""
    with uninterrupted():
        if not hasattr(signal, "pthread_sigmask"):  # on Windows
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while batch := list(islice(items, size)):
        yield batch


def _work_on(work: Callable[[Item], Result], batch: Sequence[Item]) -> list[Result]:
    return [work(item) for item in batch]


def follow_parent(ignore_sigterm: bool = False) -> None:
    """Leave Ctrl-C to the parent, and end when it ends; for a process that works for another one.

    Args:
        ignore_sigterm: ignore SIGTERM, too, unless the parent sends it. A scheduler sends it to all
            processes, and a parent that finishes its step and saves still needs this one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = _end_with_parent
    if ignore_sigterm and hasattr(signal, "sigtimedwait"):  # not on macOS and Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        end = _end_with_parent_or_its_sigterm
    threading.Thread(target=end, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end_with_parent_or_its_sigterm() -> None:
    parent, started_by = multiprocessing.parent_process(), os.getppid()
    assert parent is not None
    # Of a forked process's parent, its siblings hold the sentinel open, but it has another parent
    # once that is dead. One from a fork server has the server for a parent, but its sentinel.
    while os.getppid() == started_by and parent.is_alive():
        received = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if received is not None and received.si_pid == parent.pid:
            break
    os._exit(0)
