"""Batches keep their order, their pixels and their augmentation whatever decodes them."""

import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.pictures import BLUE, GREEN, RED, make_table, noise, plain, truncated
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images import loader_failures
from vaa_cli.core.images.augment import Augmentation, augment, vary
from vaa_cli.core.images.batch import Batch
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.requests import Request, batched, table_requests
from vaa_cli.core.labels.boxes import Box
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.training.sampling import augmented_requests, epoch_batches

PROPERTY = settings(max_examples=50, deadline=None, derandomize=True)
SIZE = (32, 16)
WORKERS = pytest.mark.parametrize("workers", [0, 2])

# Height and width of a crop, and 256 / 224 of them, which are whole numbers.
CROP, SCALED = (112, 56), (128, 64)


def load(
    batches: Sequence[Sequence[Request]], workers: int = 0, size: tuple[int, int] = SIZE
) -> list[Batch]:
    return list(PictureLoader(size, workers).load([list(batch) for batch in batches]))


def load_one(request: Request, size: tuple[int, int] = SIZE) -> torch.Tensor:
    """The pixels of one picture."""
    (batch,) = load([[request]], size=size)
    assert batch.pixels.shape == (1, 3, *size)
    return batch.pixels[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve different pictures, 0.png to 11.png, each of one grey that is ten times its number."""
    for i in range(12):
        plain((10 * i, 10 * i, 10 * i), size=(20 + i, 30 - i)).save(tmp_path / f"{i}.png")
    return tmp_path


# Order


@WORKERS
def test_batches_and_pictures_keep_their_order(folder: Path, workers: int) -> None:
    order = [7, 2, 2, 11, 0, 5, 9, 1, 3, 10]
    requests = [Request(str(folder / f"{i}.png"), row=i) for i in order]
    batches = load([requests[:4], requests[4:5], requests[5:]], workers)
    assert [batch.requests for batch in batches] == [requests[:4], requests[4:5], requests[5:]]
    for batch in batches:
        assert batch.pixels.shape == (len(batch.requests), 3, *SIZE)
        assert batch.pixels.dtype == torch.uint8
        assert batch.decoded == list(range(len(batch.requests)))
        assert batch.problems == {}
        for request, pixels in zip(batch.requests, batch.pixels, strict=True):
            assert (pixels == 10 * request.row).all()


@WORKERS
def test_a_loader_can_be_used_again(folder: Path, workers: int) -> None:
    loader = PictureLoader(SIZE, workers)
    for i in (3, 8):
        (batch,) = loader.load([[Request(str(folder / f"{i}.png"))]])
        assert (batch.pixels == 10 * i).all()
    assert list(loader.load([])) == []


@WORKERS
@pytest.mark.parametrize("closed", [True, False])
def test_an_abandoned_pass_leaves_nothing_to_the_next(
    folder: Path, workers: int, closed: bool
) -> None:
    loader = PictureLoader(SIZE, workers)
    for i, taken in enumerate((0, 1, 3)):
        old = loader.load(batched((Request(str(folder / f"{i}.png")) for _ in range(40)), 2))
        assert all((batch.pixels == 10 * i).all() for batch in islice(old, taken))
        if closed:
            cast(Generator[Batch], old).close()
        order = [11 - i, 7, 6]
        new = list(loader.load([[Request(str(folder / f"{i}.png"), row=i)] for i in order]))
        assert [batch.requests[0].row for batch in new] == order
        assert [{*batch.pixels.flatten().tolist()} for batch in new] == [{10 * i} for i in order]


@WORKERS
def test_what_the_source_of_batches_raises_reaches_the_consumer(folder: Path, workers: int) -> None:
    def batches() -> Iterator[list[Request]]:
        yield [Request(str(folder / "1.png"))]
        raise OSError("the list of pictures cannot be read")

    loader = PictureLoader(SIZE, workers)
    with pytest.raises(OSError, match="the list of pictures"):
        list(loader.load(batches()))
    (batch,) = loader.load([[Request(str(folder / "2.png"))]])
    assert (batch.pixels == 20).all()


def test_pixels_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    for i in range(6):
        noise(60 + i, 80, seed=i).save(tmp_path / f"{i}.png")
    requests = [
        Request(str(tmp_path / f"{i}.png"), box, i, draw)
        for i in range(6)
        for box in (None, Box(5, 5, 30, 40))
        for draw in (None, (0, i), (1, i))
    ]
    batches = list(batched(requests, 8))
    alone = load(batches, 0)
    for workers in (1, 2):
        for batch, expected in zip(load(batches, workers), alone, strict=True):
            assert batch.requests == expected.requests
            assert torch.equal(batch.pixels, expected.pixels)


# Pixels


def test_channels_rows_and_columns(tmp_path: Path) -> None:
    picture = plain(RED, size=(16, 32))
    picture.paste(GREEN, (8, 0, 16, 16))
    picture.paste(BLUE, (0, 16, 16, 32))
    picture.save(tmp_path / "a.png")
    pixels = load_one(Request(str(tmp_path / "a.png")))
    np.testing.assert_array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(picture))


def test_a_box_is_scaled_to_the_whole(tmp_path: Path) -> None:
    picture = plain(RED, size=(100, 100))
    picture.paste(BLUE, (30, 40, 50, 90))
    picture.save(tmp_path / "a.png")
    pixels = load_one(Request(str(tmp_path / "a.png"), Box(30, 40, 20, 50)))
    assert (pixels.permute(1, 2, 0) == torch.tensor(BLUE)).all()


@pytest.mark.parametrize("draw", [None, (1, 2)])
def test_large_jpegs_show_the_same_as_pngs(tmp_path: Path, draw: tuple[int, ...] | None) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 640), np.linspace(0, 255, 480))
    pixels = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    for suffix in (".png", ".jpg"):
        Image.fromarray(pixels).save(tmp_path / f"a{suffix}")
    png, jpg = (load_one(Request(str(tmp_path / f"a{s}"), draw=draw)) for s in (".png", ".jpg"))
    assert (png.int() - jpg.int()).abs().max() <= 12


# Broken pictures


@WORKERS
def test_broken_pictures_are_reported_and_others_keep_their_places(
    folder: Path, workers: int
) -> None:
    truncated(folder / "half.jpg")
    (folder / "empty.jpg").touch()
    names = ["missing.jpg", "4.png", "half.jpg", "5.png", "6.png", "empty.jpg"]
    requests = [Request(str(folder / name), row=i) for i, name in enumerate(names)]
    requests.append(Request(str(folder / "7.png"), Box(500, 500, 5, 5), 6))
    batch, fine = load([requests, requests[1:2]], workers)
    assert batch.requests == requests
    assert batch.decoded == [1, 3, 4]
    assert [int(pixels.unique().item()) for pixels in batch.pixels] == [40, 50, 60]
    assert sorted(batch.problems) == [0, 2, 5, 6]
    assert "no such file" in batch.problems[0]
    assert "broken" in batch.problems[2]
    assert "empty" in batch.problems[5]
    assert "box" in batch.problems[6]
    assert fine.problems == {}


def test_a_batch_of_broken_pictures_alone(tmp_path: Path) -> None:
    requests = [Request(str(tmp_path / name)) for name in ("a.jpg", "b.jpg")]
    (batch,) = load([requests])
    assert batch.requests == requests
    assert len(batch.pixels) == 0 and batch.decoded == []
    assert sorted(batch.problems) == [0, 1]


@PROPERTY
@given(broken=st.lists(st.booleans(), min_size=1, max_size=20))
def test_filled(broken: list[bool]) -> None:
    decoded = [i for i, is_broken in enumerate(broken) if not is_broken]
    pixels = torch.tensor(decoded, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 2)
    problems = {i: f"problem {i}" for i, is_broken in enumerate(broken) if is_broken}
    batch = Batch([Request(f"{i}.png") for i in range(len(broken))], pixels, decoded, problems)
    if not decoded:
        with pytest.raises(VAAError, match=rf"^0\.png: problem 0.* all {len(broken)} "):
            batch.filled()
        return
    filled, sources = batch.filled()
    assert filled.shape == (len(broken), 3, 4, 2) and filled.dtype == torch.uint8
    assert filled[:, 0, 0, 0].tolist() == sources
    assert all(sources[i] == i for i in decoded)
    # Each picture stands in for as many others as any other does, give or take one.
    stands_in = [sum(sources[i] == j for i in problems) for j in decoded]
    assert sum(stands_in) == len(problems)
    assert max(stands_in) - min(stands_in) <= 1
    assert batch.filled()[1] == sources
    if not problems:
        assert filled is pixels, "copied though nothing is broken"


# Worker processes

FORK = "fork" in multiprocessing.get_all_start_methods()

# Starts two workers, has them decode, and then does what it is told in the middle of a pass.
SCRIPT = """
import multiprocessing, os, resource, sys
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.requests import batched
from vaa_cli.core.images.requests import Request, batched

if __name__ == "__main__":
    method, picture, before, after = sys.argv[1:]
    multiprocessing.set_start_method(method)
    exec(before)
    loader = PictureLoader((64, 32), 2)
    batches = loader.load(batched((Request(picture) for _ in range(2000)), 8))
    held = []
    try:
        held.append(next(batches))
        exec(after)
    except VAAError as error:
        print(error)
"""


def run_script(
    folder: Path, before: str, after: str, method: str = "fork"
) -> subprocess.CompletedProcess[str]:
    """Run `SCRIPT`, and wait until its workers, which have its standard output too, have ended."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    arguments = [sys.executable, script, method, folder / "7.png", before, after]
    return subprocess.run(
        [*map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.skipif(not FORK, reason="limits as on Linux")
@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("RLIMIT_FSIZE, (1000, 1000)", r"File too large.*`workers=0`, .*ulimit -f"),
        ("RLIMIT_NOFILE, (40, 40)", r"Too many open files.*`workers=0`, .*ulimit -n"),
    ],
)
def test_what_cannot_be_handed_over_is_an_error(folder: Path, limit: str, reason: str) -> None:
    done = run_script(folder, f"resource.setrlimit(resource.{limit})", "held.extend(batches)")
    (line,) = done.stdout.splitlines()
    assert "shared memory" in line
    assert re.search(reason, line), line
    assert "Traceback" not in done.stderr


# What Python before 3.14 and since then starts processes with, on Linux.
@pytest.mark.parametrize("method", ["fork", "forkserver"] if FORK else ["spawn"])
@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", pytest.param("pass", marks=pytest.mark.slow)]
)
def test_workers_end_with_their_parent(folder: Path, method: str, end: str) -> None:
    done = run_script(folder, "pass", end, method)  # which waits for the workers
    assert done.returncode == (0 if end == "pass" else -signal.SIGKILL), done.stderr
    assert done.stdout == ""
    if end == "pass":
        assert done.stderr == ""


def started(loader: PictureLoader, folder: Path) -> tuple[Iterator[Batch], list[BaseProcess]]:
    """A pass of 20 batches of which one is taken, and the loader's workers."""
    before = {*multiprocessing.active_children()}
    batches = loader.load([[Request(str(folder / "7.png"))] for _ in range(20)])
    next(batches)
    return batches, [p for p in multiprocessing.active_children() if p not in before]


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="as on Linux")
def test_only_the_parent_ends_workers(folder: Path) -> None:
    loader = PictureLoader(SIZE, 2)
    batches, workers = started(loader, folder)
    assert len(workers) == 2
    for name in ("-INT", "-TERM"):
        subprocess.run(["kill", name, *(str(worker.pid) for worker in workers)], check=True)
    assert all((batch.pixels == 70).all() for batch in batches)
    assert len(list(loader.load([[Request(str(folder / "7.png"))]] * 20))) == 20
    assert all(worker.is_alive() for worker in workers)
    workers[0].terminate()
    workers[0].join(timeout=30)
    assert workers[0].exitcode == 0


def test_workers_end_with_the_loader(folder: Path) -> None:
    loader = PictureLoader(SIZE, 2)
    batches, workers = started(loader, folder)
    del loader, batches
    for worker in workers:
        worker.join(timeout=30)
    assert [worker.exitcode for worker in workers] == [0, 0]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="as on Linux")
def test_a_dead_worker_is_an_error_of_the_pass(folder: Path) -> None:
    handler = signal.getsignal(signal.SIGCHLD)
    loader = PictureLoader(SIZE, 2)
    batches, workers = started(loader, folder)
    assert workers[0].pid is not None
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[0].join()  # and nothing is raised here, where nobody expects it
    assert signal.getsignal(signal.SIGCHLD) == handler
    for again in (batches, loader.load([[Request(str(folder / "7.png"))]] * 20)):
        with pytest.raises(VAAError, match=r"SIGKILL \(signal 9\).*want of memory.*`workers`"):
            list(again)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([None, -9], r"by SIGKILL \(signal 9\), perhaps .*memory"),
        ([0, -7], r"by SIGBUS \(signal 7\), .*/dev/shm"),
        ([-11, None], r"by SIGSEGV \(signal 11\), .*broken picture.*`check=full`"),
        ([-40], r"by a signal \(signal 40\)"),
        ([None, 3], "with exit code 3;"),
        ([0, None], "left no reason"),
        ([None, None], "left no reason"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="the numbers of Linux")
def test_what_is_known_of_a_dead_worker(codes: list[int | None], message: str) -> None:
    workers = [cast(BaseProcess, SimpleNamespace(exitcode=code)) for code in codes]
    said = loader_failures._died(workers)
    assert re.search(message, said), said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("cores", "processes", "workers"), [(4, 1, 4), (64, 1, 8), (64, 16, 4), (7, 2, 3), (2, 4, 1)]
)
def test_workers_for_the_machine(
    monkeypatch: pytest.MonkeyPatch, cores: int, processes: int, workers: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {*range(cores)}, raising=False)
    loader = PictureLoader(SIZE, processes_here=processes)
    assert loader._loader.num_workers == workers
    assert PictureLoader(SIZE, 0, processes_here=processes)._loader.num_workers == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory is a GPU's")
@WORKERS
def test_pinned(folder: Path, workers: int) -> None:
    requests = [Request(str(folder / "7.png")), Request(str(folder / "missing.png"))]
    (batch,) = PictureLoader(SIZE, workers, pin=True).load([requests])
    assert batch.pixels.is_pinned()
    assert batch.problems == {1: "no such file"}


# Augmentation


def coordinates(size: tuple[int, int]) -> Image.Image:
    """A picture whose red is each pixel's column and whose green is its row."""
    down, across = np.indices(size)
    return Image.fromarray(np.stack([across, down, across * 0], axis=2).astype(np.uint8))


def crop_of(picture: Image.Image) -> tuple[int, int, bool]:
    """Top, left and whether it is mirrored, of a whole crop out of `coordinates`."""
    pixels = np.asarray(picture).astype(int)
    mirrored = bool(pixels[0, 0, 0] > pixels[0, -1, 0])
    if mirrored:
        pixels = pixels[:, ::-1]
    left, top, _ = pixels[0, 0].tolist()
    down, across = np.indices(pixels.shape[:2])
    np.testing.assert_array_equal(pixels[:, :, 0], across + left)
    np.testing.assert_array_equal(pixels[:, :, 1], down + top)
    return top, left, mirrored


def test_crops_lie_in_the_scaled_picture_and_half_are_mirrored() -> None:
    picture = coordinates(SCALED)
    crops = [crop_of(augment(picture, CROP, np.random.default_rng(seed))) for seed in range(1000)]
    room = [large - crop for large, crop in zip(SCALED, CROP, strict=True)]
    # All places are drawn; the rarest of them is missed once in 1e25 times.
    assert {top for top, _, _ in crops} == set(range(room[0] + 1))
    assert {left for _, left, _ in crops} == set(range(room[1] + 1))
    # Six deviations of the binomial distribution.
    assert abs(sum(mirrored for _, _, mirrored in crops) - 500) < 6 * math.sqrt(250)


@PROPERTY
@given(seed=st.integers(0, 2**32 - 1), width=st.integers(60, 400), height=st.integers(60, 400))
def test_crops_of_pictures_of_any_size(seed: int, width: int, height: int) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    picture = Image.fromarray(np.stack([across, down, across], axis=2).astype(np.uint8))
    cut = augment(picture, CROP, np.random.default_rng(seed))
    assert (cut.mode, cut.size) == ("RGB", (CROP[1], CROP[0]))
    pixels = np.asarray(cut).astype(float)
    # 224 / 256 of the picture is seen each way, so its middle moves a sixteenth to either side.
    for channel in (0, 1):
        seen = pixels[:, :, channel]
        assert abs(seen.mean() - 127.5) <= 255 / 16 + 4
        spread = np.ptp(seen.mean(axis=channel))
        assert spread == pytest.approx(255 * 224 / 256, abs=8)


def test_padded_crops_move_a_picture_and_keep_its_scale() -> None:
    picture, way = coordinates(CROP), Augmentation("pad-crop", mirror=False)
    original = np.asarray(picture)
    room = [max(4, round(0.05 * side)) for side in CROP]
    seen = set()
    for seed in range(1500):
        moved = np.asarray(augment(picture, CROP, np.random.default_rng(seed), way))
        assert moved.shape == original.shape
        # Where the middle came from, whose neighbours came with it.
        (height, width), middle = CROP, moved[CROP[0] // 2, CROP[1] // 2]
        down, across = int(middle[1]) - height // 2, int(middle[0]) - width // 2
        seen.add((down, across))
        rows = np.clip(np.arange(height) + down, 0, height - 1)
        columns = np.clip(np.arange(width) + across, 0, width - 1)
        np.testing.assert_array_equal(moved, original[rows][:, columns])
    assert {down for down, _ in seen} == set(range(-room[0], room[0] + 1))
    assert {across for _, across in seen} == set(range(-room[1], room[1] + 1))


def test_without_augmentation_a_draw_changes_nothing() -> None:
    picture = coordinates(SCALED)
    plain = np.asarray(picture.resize((CROP[1], CROP[0]), Image.Resampling.BILINEAR))
    for seed in range(20):
        way = Augmentation("none", mirror=False)
        found = augment(picture, CROP, np.random.default_rng(seed), way)
        np.testing.assert_array_equal(np.asarray(found), plain)
    mirrored = [
        np.array_equal(
            np.asarray(augment(picture, CROP, np.random.default_rng(seed), Augmentation("none"))),
            plain[:, ::-1],
        )
        for seed in range(100)
    ]
    assert 25 < sum(mirrored) < 75


def test_erased_rectangles_have_the_sizes_of_the_paper() -> None:
    way = Augmentation("none", mirror=False, erase=0.4)
    plain = np.full((60, 100, 3), 7, dtype=np.uint8)
    areas, forms = [], []
    for seed in range(600):
        found = np.asarray(vary(Image.fromarray(plain), np.random.default_rng(seed), way))
        changed = (found != 7).any(axis=2)
        if not changed.any():
            continue
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        box = changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.mean() > 0.99  # noise has the old colour once in 16 million pixels
        areas.append(box.size / changed.size)
        forms.append(box.shape[0] / box.shape[1])
    assert 180 < len(areas) < 300
    assert 0.015 < min(areas) < 0.05 and 0.3 < max(areas) <= 0.45
    assert 0.25 < min(forms) < 0.5 and 2 < max(forms) < 3.7


def test_jitter_multiplies_brightness_contrast_and_saturation() -> None:
    way, grey = Augmentation("none", mirror=False, jitter=0.3), Image.new("RGB", (4, 4), (100,) * 3)
    found = [
        np.asarray(vary(grey, np.random.default_rng(seed), way)).reshape(-1, 3)
        for seed in range(200)
    ]
    # A grey picture has nothing but its brightness.
    assert all((pixels == pixels[0, 0]).all() for pixels in found)
    levels = [int(pixels[0, 0]) for pixels in found]
    assert 70 <= min(levels) < 80 and 120 < max(levels) <= 130
    colours = Image.new("RGB", (4, 4), (150, 100, 50))
    spreads = [
        np.ptp(np.asarray(vary(colours, np.random.default_rng(seed), way)).astype(int))
        for seed in range(200)
    ]
    assert min(spreads) < 75 and max(spreads) > 125


def test_a_draw_is_the_same_again_and_others_differ(tmp_path: Path) -> None:
    noise(64, 128).save(tmp_path / "a.png")
    draws = [None, *((0, epoch, row) for epoch in range(4) for row in range(4))]
    first, second = (
        [load_one(Request(str(tmp_path / "a.png"), draw=draw), CROP) for draw in draws]
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    # 17 x 9 places, mirrored or not: a few of the 16 draws may meet.
    assert len({pixels.numpy().tobytes() for pixels in first}) >= 14


def test_without_a_draw_all_is_seen(tmp_path: Path) -> None:
    coordinates(CROP).save(tmp_path / "a.png")
    pixels = load_one(Request(str(tmp_path / "a.png")), CROP).permute(1, 2, 0)
    assert crop_of(Image.fromarray(pixels.numpy())) == (0, 0, False)


# Requests and batches


def test_requests_of_a_table(tmp_path: Path) -> None:
    table = make_table(
        [[1]] * 2, ["a.png", "s/b.png"], boxes=[[1, 2, 3, 4], [math.nan] * 4], root=tmp_path
    )
    assert list(table_requests(table)) == [
        Request(str(tmp_path / "a.png"), Box(1, 2, 3, 4), 0, None),
        Request(str(tmp_path / "s" / "b.png"), None, 1, None),
    ]


@PROPERTY
@given(n=st.integers(0, 30), size=st.integers(1, 12))
def test_batched(n: int, size: int) -> None:
    requests = [Request(str(i)) for i in range(n)]
    batches = list(batched(iter(requests), size))
    assert [request for batch in batches for request in batch] == requests
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(1 <= len(batch) <= size for batch in batches)


def test_batched_does_not_read_ahead() -> None:
    requests = (Request(str(i)) for i in range(10))
    assert len(next(batched(requests, 3))) == 3
    assert next(requests).path == "3"


@PROPERTY
@given(
    n=st.integers(0, 60),
    size=st.integers(1, 12),
    least=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 500),
)
def test_epoch_batches(n: int, size: int, least: int, seed: int, epoch: int) -> None:
    expected = np.random.default_rng((seed, epoch)).permutation(n).tolist()
    batches = epoch_batches(n, size, seed, epoch, least)
    assert all(rows.dtype == np.int64 for rows in batches)
    lengths = [len(rows) for rows in batches]
    if n < least:
        assert not batches
        return
    assert [row for rows in batches for row in rows.tolist()] == expected
    assert max(lengths) - min(lengths) <= 1, "no sample weighs much more than another"
    assert min(lengths) >= least
    # Larger than asked for only where they would be too small.
    assert max(lengths) <= size or n < least * -(-n // size)


def test_augmented_requests(tmp_path: Path) -> None:
    table = make_table([[1]] * 3, boxes=[[0, 0, 1, 1], [1, 2, 3, 4], [0, 0, 2, 2]], root=tmp_path)
    assert augmented_requests(table, np.array([1, 0]), seed=7, epoch=5) == [
        Request(str(tmp_path / "1.png"), Box(1, 2, 3, 4), 1, (7, 5, 1)),
        Request(str(tmp_path / "0.png"), Box(0, 0, 1, 1), 0, (7, 5, 0)),
    ]


def epoch_requests(table: LabelTable, size: int, seed: int, epoch: int) -> list[list[Request]]:
    """The augmented batches of one epoch."""
    order = epoch_batches(len(table), size, seed, epoch)
    return [augmented_requests(table, rows, seed, epoch) for rows in order]


@PROPERTY
@given(
    n=st.integers(1, 60),
    size=st.integers(2, 12),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 500),
)
def test_an_epoch_has_every_row_once(n: int, size: int, seed: int, epoch: int) -> None:
    table = make_table([[1]] * n)
    batches = epoch_requests(table, size, seed, epoch)
    rows = [request.row for batch in batches for request in batch]
    assert sorted(rows) == (list(range(n)) if n > 1 else [])
    for request in (request for batch in batches for request in batch):
        assert request.path == str(table.path(request.row))
        assert request.draw is not None
    assert batches == epoch_requests(table, size, seed, epoch)


def test_epochs_change_with_epoch_and_seed() -> None:
    table = make_table([[1]] * 41)
    epochs = [epoch_requests(table, 8, seed, epoch) for seed in (0, 1) for epoch in range(10)]
    orders = [[request.row for batch in batches for request in batch] for batches in epochs]
    assert len({*map(tuple, orders)}) == len(epochs)
    draws = [request.draw for batches in epochs for batch in batches for request in batch]
    assert len({*draws}) == len(draws), "each sample is augmented anew each time"


def test_epochs_keep_boxes() -> None:
    boxes = [[row, 0, 1, 1] for row in range(6)]
    table = make_table([[1]] * 6, boxes=boxes)
    for batch in epoch_requests(table, 3, 0, 0):
        assert all(request.box == Box(request.row, 0, 1, 1) for request in batch)
    bare = epoch_requests(replace(table, boxes=None), 3, 0, 0)
    assert all(request.box is None for batch in bare for request in batch)


# Normalisation


@PROPERTY
@given(
    n=st.integers(1, 3),
    h=st.integers(1, 5),
    w=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_normalise(n: int, h: int, w: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 3, h, w), dtype=np.uint8)
    mean, std = rng.uniform(0.1, 0.9, 3), rng.uniform(0.1, 0.5, 3)
    result = Normalisation(mean.tolist(), std.tolist())(torch.from_numpy(pixels))
    assert result.dtype == torch.float32
    expected = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-5)
