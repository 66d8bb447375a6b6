"""Decoding in processes that may crash and hang."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.pictures import plain
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images import decoding_pool
from vaa_cli.core.images.decode import Decoded, Decoder
from vaa_cli.core.images.decoding_pool import DecodingPool
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.boxes import Box

SIZE = (16, 8)


class Mined(Decoder):
    """A decoder that some pictures kill, stop or count."""

    def decode(
        self, request: Request, scale: Callable[[Image.Image], Image.Image] | None = None
    ) -> Decoded:
        name = Path(request.path).name
        if name.startswith("killer"):
            os.kill(os.getpid(), signal.SIGKILL)
        if name.startswith("once") and Path(request.path).exists():
            Path(request.path).unlink()
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.startswith("endless"):
            time.sleep(600)
        return super().decode(request, scale)


def mined(batch_size: int, workers: int, time_limit: float = 60.0) -> DecodingPool:
    pool = DecodingPool(SIZE, batch_size, workers, time_limit=time_limit)
    pool._decoder = Mined(SIZE)
    return pool


@dataclass
class Row:
    request: Request
    pixels: np.ndarray
    problem: str | None


def rows(pool: DecodingPool, requests: Iterable[Request]) -> list[Row]:
    found = []
    for batch in pool.load(requests):
        assert batch.pixels.shape == (pool.batch_size, 3, *SIZE)
        assert not batch.pixels[len(batch.requests) :].any()
        for place, request in enumerate(batch.requests):
            pixels = batch.pixels[place].copy()
            found.append(Row(request, pixels, batch.problems.get(place)))
    return found


@pytest.fixture
def pictures(tmp_path: Path) -> list[Request]:
    """Twenty pictures, each of a grey of its own."""
    for i in range(20):
        Image.new("RGB", (30, 40), (10 * i + 5,) * 3).save(tmp_path / f"{i:02d}.png")
    return [Request(str(tmp_path / f"{i:02d}.png")) for i in range(20)]


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_order_places_and_shape(pictures: list[Request], workers: int, batch_size: int) -> None:
    broken = Path(pictures[0].path).with_name("broken.png")
    broken.write_bytes(b"broken")
    requests = [*pictures[:9], Request(str(broken)), Request("x", problem="known"), *pictures[9:]]
    found = rows(DecodingPool(SIZE, batch_size, workers), requests)
    assert [row.request for row in found] == requests
    assert [row.problem for row in found if row.problem] == ["not a picture", "known"]
    greys = [int(row.pixels[0, 0, 0]) for row in found if row.problem is None]
    assert greys == [10 * i + 5 for i in range(20)]
    assert not any(row.pixels.any() for row in found if row.problem)


def test_a_picture_that_kills_its_process_costs_no_other(pictures: list[Request]) -> None:
    killers = [Request(f"killer{i}") for i in range(2)]
    requests = [killers[0], *pictures[:10], killers[1], *pictures[10:]]
    found = rows(mined(4, workers=2), requests)
    assert [row.request for row in found] == requests
    for row in found:
        if row.request in killers:
            assert row.problem == "decoding crashed (SIGKILL, signal 9)"
            assert not row.pixels.any()
        else:
            assert row.problem is None


def test_a_picture_is_given_a_second_try(pictures: list[Request], tmp_path: Path) -> None:
    """Its process may have been killed for the memory that others took."""
    plain().save(tmp_path / "once.png")
    (row,) = rows(mined(4, workers=1), [Request(str(tmp_path / "once.png"))])
    assert row.problem == "no such file"  # the second process looked for it again


def test_a_picture_that_takes_too_long(pictures: list[Request]) -> None:
    requests = [*pictures[:3], Request("endless"), *pictures[3:6]]
    found = rows(mined(4, workers=2, time_limit=3), requests)
    assert [row.problem for row in found] == [
        None, None, None, "decoding took longer than 3 s", None, None, None,
    ]  # fmt: skip


class SlowToStart(Decoder):
    """A decoder that takes long to arrive in its process, as on a busy machine."""

    def __setstate__(self, state: dict[str, object]) -> None:
        time.sleep(5)
        self.__dict__.update(state)


def test_the_start_of_a_process_is_not_its_pictures_time(pictures: list[Request]) -> None:
    pool = DecodingPool(SIZE, 4, 2, time_limit=3)
    pool._decoder = SlowToStart(SIZE)
    assert [row.problem for row in rows(pool, pictures[:4])] == [None] * 4


def test_a_process_that_never_starts(
    pictures: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding_pool, "_START_LIMIT", 0.5)
    pool = DecodingPool(SIZE, 4, 2)
    pool._decoder = SlowToStart(SIZE)
    with pytest.raises(VAAError, match=r"ready within 0\.5 s; try fewer `workers`"):
        rows(pool, pictures[:4])


def test_pictures_from_bytes(pictures: list[Request]) -> None:
    requests = [Request("a.tar/x", content=Path(r.path).read_bytes()) for r in pictures]
    found = rows(DecodingPool(SIZE, 8, 2), requests)
    assert [int(row.pixels[0, 0, 0]) for row in found] == [10 * i + 5 for i in range(20)]


@pytest.mark.parametrize("workers", [0, 2])
def test_bytes_that_wait_are_few(
    pictures: list[Request], monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """However many there are in a batch: those of large pictures would fill the memory."""
    contents = [Path(r.path).read_bytes() for r in pictures]
    monkeypatch.setattr(decoding_pool, "_WAITING", 2 * max(map(len, contents)))
    most = 0

    def source() -> Iterator[Request]:
        nonlocal most
        for place in range(200):
            content = Counted(contents[place % 20])
            Counted.alive += 1
            most = max(most, Counted.alive)
            yield Request(f"a.tar/{place}", content=content)
            del content

    found = rows(DecodingPool(SIZE, 64, workers), source())
    assert len(found) == 200
    assert all(row.problem is None for row in found)
    assert [int(row.pixels[0, 0, 0]) for row in found[:20]] == [10 * i + 5 for i in range(20)]
    # Beside those that wait: the next one, and what each thread has in hand.
    assert most <= 2 + 1 + 2 * workers


class Counted(bytes):
    """A picture's bytes, of which one can tell whether they are still held."""

    alive = 0

    def __del__(self) -> None:
        Counted.alive -= 1


def test_boxes_of_one_picture_decode_it_once(tmp_path: Path) -> None:
    """After the first box the file is gone, and nobody needs it."""
    picture = plain(size=(80, 60))
    picture.paste((200, 0, 0), (40, 0, 80, 60))
    picture.save(tmp_path / "a.png")

    class Removing(Decoder):
        def decode(
            self, request: Request, scale: Callable[[Image.Image], Image.Image] | None = None
        ) -> Decoded:
            decoded = super().decode(request, scale)
            Path(request.path).unlink(missing_ok=True)
            return decoded

    pool = DecodingPool(SIZE, 8, 0)
    pool._decoder = Removing(SIZE)
    boxes = [Box(0, 0, 40, 60), Box(40, 0, 40, 60), Box(50, 10, 20, 20)]
    found = rows(pool, [Request(str(tmp_path / "a.png"), box) for box in boxes])
    assert [row.problem for row in found] == [None] * 3
    assert [int(row.pixels[0, 5, 5]) for row in found][1:] == [200, 200]


def test_what_the_source_raises_reaches_the_consumer(pictures: list[Request]) -> None:
    def source() -> Iterator[Request]:
        yield from pictures[:6]
        raise VAAError("no more")

    batches = DecodingPool(SIZE, 4, 1).load(source())
    assert next(batches).requests == pictures[:4]
    assert next(batches).requests == pictures[4:6]  # all that was asked for
    with pytest.raises(VAAError, match="no more"):
        next(batches)


def test_the_source_is_not_read_far_ahead(pictures: list[Request]) -> None:
    asked = 0

    def source() -> Iterator[Request]:
        nonlocal asked
        while True:
            asked += 1
            yield pictures[0]

    batches = DecodingPool(SIZE, 4, 2).load(source())
    for _ in range(3):
        next(batches)
    time.sleep(0.3)
    assert asked <= 4 * 6
    batches.close()  # type: ignore[attr-defined]


def test_an_abandoned_pass_leaves_no_processes_and_threads(pictures: list[Request]) -> None:
    import multiprocessing

    before = {*threading.enumerate()}, {*multiprocessing.active_children()}
    batches = mined(2, workers=2).load([*pictures, Request("endless")])
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        left = (
            {*threading.enumerate()} - before[0],
            {*multiprocessing.active_children()} - before[1],
        )
        if not any(left):
            return
        time.sleep(0.05)
    raise AssertionError(left)
