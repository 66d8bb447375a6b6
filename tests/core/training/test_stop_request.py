"""Ctrl-C and SIGTERM are noticed while work runs, and what was there before comes back."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from vaa_cli.core.training.stop_request import StopRequest

INT, TERM = signal.SIGINT, signal.SIGTERM


class Clock:
    """A time that tests set."""

    now = 1000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that stopping sees."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def before() -> Iterator[list[int]]:
    """The signals that came to what was there before; nothing of a test is left behind."""
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)

    handlers = {number: signal.signal(number, note) for number in (INT, TERM)}
    yield came
    for number, handler in handlers.items():
        signal.signal(number, handler)


def send(*numbers: int) -> None:
    """Send signals to this process, which stop nothing at once."""
    try:
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0)  # it is delivered here at the latest
    except KeyboardInterrupt:  # it would end all tests, not this one
        pytest.fail(f"{numbers} raised KeyboardInterrupt")


def interrupt() -> None:
    """Send a Ctrl-C to this process, which stops it at once."""
    os.kill(os.getpid(), INT)
    time.sleep(0.2)
    pytest.fail("the Ctrl-C did nothing")


def test_nothing_came() -> None:
    calls: list[int] = []
    with StopRequest(lambda: calls.append(1)) as stop:
        assert stop.signal == 0
    assert stop.signal == 0 and not calls


@pytest.mark.parametrize("number", [INT, TERM])
def test_a_signal_is_noticed_and_told(number: int, before: list[int]) -> None:
    calls: list[int] = []
    with StopRequest(lambda: calls.append(1)) as stop:
        send(number)
        assert stop.signal == number
        assert calls == [1]
    assert stop.signal == number  # still, after the work
    assert not before


def test_nobody_need_be_told() -> None:
    with StopRequest() as stop:
        send(TERM)
    assert stop.signal == TERM


@pytest.mark.parametrize("numbers", [(INT, INT), (INT, TERM), (TERM, INT), (TERM, TERM, TERM)])
def test_the_same_request_in_several_signals_is_one(
    numbers: tuple[int, ...], clock: Clock, before: list[int]
) -> None:
    calls: list[int] = []
    with StopRequest(lambda: calls.append(1)) as stop:
        for number in numbers:
            send(number)
            clock.now += 0.01
        assert stop.signal == numbers[0]
    assert calls == [1]
    assert not before


@pytest.mark.parametrize("first", [INT, TERM])
def test_a_second_ctrl_c_stops_at_once(first: int, clock: Clock) -> None:
    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt), StopRequest(lambda: calls.append(1)) as stop:
        send(first)
        clock.now += 30
        assert stop.signal == first
        interrupt()
    assert calls == [1]


def test_a_ctrl_c_after_two_that_were_one_stops_at_once(clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest():
        send(INT, INT)
        clock.now += 30
        interrupt()


@pytest.mark.parametrize("first", [INT, TERM])
def test_a_later_sigterm_changes_nothing(first: int, clock: Clock) -> None:
    calls: list[int] = []
    with StopRequest(lambda: calls.append(1)) as stop:
        send(first)
        for _ in range(3):
            clock.now += 30
            send(TERM)
        assert stop.signal == first
    assert calls == [1]


@pytest.mark.parametrize("error", [None, RuntimeError, KeyboardInterrupt])
def test_handlers_come_back(error: type[BaseException] | None, before: list[int]) -> None:
    handlers = [signal.getsignal(number) for number in (INT, TERM)]
    try:
        with StopRequest() as stop:
            assert [signal.getsignal(number) for number in (INT, TERM)] != handlers
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt) as caught:
        assert type(caught) is error
    assert [signal.getsignal(number) for number in (INT, TERM)] == handlers
    send(TERM, INT)
    assert before == [TERM, INT]
    assert stop.signal == 0


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN])
def test_handlers_of_the_system_come_back(handler: signal.Handlers) -> None:
    for number in (INT, TERM):
        signal.signal(number, handler)
    with StopRequest():
        send(TERM)
    assert [signal.getsignal(number) for number in (INT, TERM)] == [handler, handler]


def test_one_within_another(before: list[int]) -> None:
    with StopRequest() as outer:
        with StopRequest() as inner:
            send(TERM)
        assert (outer.signal, inner.signal) == (0, TERM)
        send(INT)
    assert (outer.signal, inner.signal) == (INT, TERM)
    assert not before


def test_other_threads_can_enter_it(before: list[int]) -> None:
    # Only the main thread may set handlers; signals go where they went.
    entered, go_on = threading.Event(), threading.Event()
    ends: list[object] = []

    def work() -> None:
        try:
            with StopRequest() as stop:
                entered.set()
                go_on.wait(10)
            ends.append(stop.signal)
        except BaseException as error:
            ends.append(error)
            entered.set()

    handlers = [signal.getsignal(number) for number in (INT, TERM)]
    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    assert [signal.getsignal(number) for number in (INT, TERM)] == handlers
    send(TERM)
    go_on.set()
    thread.join(10)
    assert ends == [0]
    assert before == [TERM]
    assert [signal.getsignal(number) for number in (INT, TERM)] == handlers
