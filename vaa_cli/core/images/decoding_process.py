"""A process that decodes pictures for another one, and the pipe to it; nothing here needs torch."""

import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import PictureError, VAAError, one_line
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.requests import Request
from vaa_cli.core.system.processes import follow_parent

# multiprocessing's own lists are not made for several threads that start processes.
_starting = threading.Lock()


class Answer(NamedTuple):
    """The answer to one request: a problem, or whether the picture has more frames."""

    problem: str | None
    more_frames: bool = False


def decode_into(decoder: Decoder, request: Request, place: NDArray[np.uint8]) -> Answer:
    """Decode a picture into its place `[3 x h x w]`, which is black if it is broken."""
    try:
        decoded = decoder.decode(request)
    except PictureError as error:
        place[:] = 0
        return Answer(str(error))
    place[:] = np.asarray(decoded.picture).transpose(2, 0, 1)
    return Answer(None, decoded.has_more_frames)


class DecodingProcess:
    """A process that decodes, and the pipe to it."""

    def __init__(self, context: Any, shared: Any, shape: tuple[int, ...], decoder: Decoder) -> None:
        self._pipe: Connection
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_work, args=(theirs, shared, shape, decoder), daemon=True
        )
        try:
            with _starting:
                self._process.start()
        except OSError as error:
            raise VAAError(
                f"the processes that decode pictures could not be started ({one_line(error)}); "
                "try fewer `workers`, or 0"
            ) from error
        finally:
            theirs.close()  # else its end would not close the pipe

    def wait_until_ready(self, seconds: float) -> None:
        self._receive(seconds)

    def ask(self, slot: int, requests: list[tuple[int, Request]], seconds: float) -> list[Answer]:
        """Have requests decoded into a batch.

        Raises:
            TimeoutError: it took too long.
            EOFError, OSError: the process died.
        """
        self._pipe.send((slot, requests))
        return [Answer(*answer) for answer in self._receive(seconds)]

    def _receive(self, seconds: float) -> Any:
        if not self._pipe.poll(seconds):
            raise TimeoutError
        return self._pipe.recv()

    def kill(self) -> None:
        with suppress(ValueError, AttributeError):  # it has ended
            self._process.kill()

    def end(self) -> str:
        """End the process, and describe how it ended."""
        self._pipe.close()
        self._process.join(0.2)  # one that died needs a moment to be dead
        self.kill()
        self._process.join()
        # It is not closed: as the interpreter ends, multiprocessing may be joining it, too.
        code = self._process.exitcode or 0
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):  # a real-time signal has no name
            return f"{signal.Signals(-code).name}, signal {-code}"
        return f"signal {-code}"


def _work(pipe: Connection, shared: Any, shape: tuple[int, ...], decoder: Decoder) -> None:
    """Decode requests until the pipe closes."""
    follow_parent()
    slots = np.frombuffer(memoryview(shared), dtype=np.uint8).reshape(shape)
    is_wanted = _send(pipe, None)  # ready
    while is_wanted:
        try:
            slot, requests = pipe.recv()
        except (EOFError, OSError):
            return
        answers = [
            tuple(decode_into(decoder, request, slots[slot, position]))
            for position, request in requests
        ]
        is_wanted = _send(pipe, answers)


def _send(pipe: Connection, answer: Any) -> bool:
    """Send an answer; whether anyone is left to receive it."""
    try:
        pipe.send(answer)
    except OSError:
        return False
    return True
