"""Batches from memory show what decoded ones do, whatever became of the files since."""

import os
import re
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.pictures import Pixels, make_table, noise, truncated
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images import ram_cache
from vaa_cli.core.images.augment import Augmentation
from vaa_cli.core.images.batch import Batch
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.images.ram_cache import RAMCache, bytes_needed, free_memory
from vaa_cli.core.images.requests import Request, batched, table_requests
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.training.sampling import augmented_requests, epoch_batches

# Height and width of a crop, and 256 / 224 of them, which are whole numbers.
CROP, SCALED = (112, 56), (128, 64)
N = 10


@pytest.fixture
def table(tmp_path: Path) -> LabelTable:
    """Ten different pictures of different sizes; of the last two rows a part is meant."""
    for i in range(N - 1):
        noise(60 + 7 * i, 150 - 5 * i, seed=i).save(tmp_path / f"{i}.png")
    boxes = [[np.nan] * 4] * (N - 2) + [[5, 10, 40, 60], [20, 0, 30, 90]]
    images = [*(f"{i}.png" for i in range(N - 1)), f"{N - 2}.png"]
    return make_table([[1]] * N, images, boxes=boxes, root=tmp_path)


def epoch(table: LabelTable, number: int, size: int = 3) -> list[list[Request]]:
    """The batches of an epoch of training."""
    order = epoch_batches(len(table), size, 7, number, smallest=1)
    return [augmented_requests(table, rows, 7, number) for rows in order]


def scaled(table: LabelTable, row: int, size: tuple[int, int]) -> Pixels:
    """`[h x w x 3]`: a row's part of its picture, scaled by Pillow."""
    picture: Image.Image = Image.open(table.path(row))
    box = table.box(row)
    if box is not None:
        picture = picture.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def assert_same(batches: Iterator[Batch], expected: Iterator[Batch]) -> None:
    for batch, other in zip(batches, expected, strict=True):
        assert batch.requests == other.requests
        assert batch.decoded == other.decoded
        assert batch.problems == other.problems
        assert torch.equal(batch.pixels, other.pixels)


# Pixels


@pytest.mark.parametrize("workers", [0, 2])
def test_crops_are_cut_from_the_scaled_pictures(table: LabelTable, workers: int) -> None:
    cache = RAMCache(table, CROP, augmented=True, workers=workers)
    seen = set()
    for number in range(4):
        batches = epoch(table, number)
        for requests, batch in zip(batches, cache.load(batches), strict=True):
            assert batch.requests == requests
            assert batch.decoded == list(range(len(requests))) and batch.problems == {}
            assert batch.pixels.dtype == torch.uint8
            assert batch.pixels.shape == (len(requests), 3, *CROP)
            for request, pixels in zip(requests, batch.pixels, strict=True):
                assert request.draw is not None
                rng = np.random.default_rng(request.draw)
                top, left = int(rng.integers(128 - 112 + 1)), int(rng.integers(64 - 56 + 1))
                crop = scaled(table, request.row, SCALED)[top : top + 112, left : left + 56]
                mirrored = rng.random() < 0.5
                seen.add((top, left, mirrored))
                expected = crop[:, ::-1] if mirrored else crop
                np.testing.assert_array_equal(pixels.permute(1, 2, 0).numpy(), expected)
    assert len(seen) > 30, "hardly anything was drawn"


def test_crops_lie_where_the_loader_cuts_them(tmp_path: Path) -> None:
    noise(SCALED[1], SCALED[0]).save(tmp_path / "0.png")  # which is not scaled in any way
    table = make_table([[1]], root=tmp_path)
    batches = [augmented_requests(table, np.array([0]), 3, number) for number in range(30)]
    cache = RAMCache(table, CROP, augmented=True, workers=0)
    assert_same(cache.load(batches), PictureLoader(CROP, 0).load(batches))


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_whole_pictures_are_those_of_the_loader(table: LabelTable, margin: float) -> None:
    batches = list(batched(table_requests(table), 4))
    cache = RAMCache(table, CROP, augmented=False, workers=0, box_margin=margin)
    assert_same(cache.load(batches), PictureLoader(CROP, 0, box_margin=margin).load(batches))


def test_whole_pictures_among_augmented_ones(tmp_path: Path) -> None:
    across, down = np.meshgrid(np.linspace(0, 255, 200), np.linspace(0, 255, 300))
    pixels = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "0.png")
    table = make_table([[1]], root=tmp_path)
    requests = [*augmented_requests(table, np.array([0]), 0, 0), *table_requests(table)]
    (batch,) = RAMCache(table, CROP, augmented=True, workers=0).load([requests])
    assert batch.pixels.shape == (2, 3, *CROP)
    (whole,) = PictureLoader(CROP, 0).load([requests[1:]])
    assert (batch.pixels[1].int() - whole.pixels[0].int()).abs().max() <= 3


def test_no_crops_where_none_were_announced(table: LabelTable) -> None:
    cache = RAMCache(table, CROP, augmented=False, workers=0)
    with pytest.raises(ValueError, match="not augmented"):
        list(cache.load(epoch(table, 0)))


# Passes


def test_a_pass_that_is_taken_up_again_gives_the_same(table: LabelTable) -> None:
    batches = epoch(table, 1)
    whole = list(RAMCache(table, CROP, augmented=True, workers=0).load(batches))
    again = RAMCache(table, CROP, augmented=True, workers=0)
    assert_same(again.load(batches[2:]), iter(whole[2:]))


def test_rows_are_decoded_once(table: LabelTable) -> None:
    cache = RAMCache(table, CROP, augmented=True, workers=0)
    first = list(cache.load(epoch(table, 0)))
    for name in {*table.row_images}:
        Path(table.root / name).unlink()
    assert_same(cache.load(epoch(table, 0)), iter(first))
    # Rows in another order, and some more than once.
    (batch,) = cache.load([[*epoch(table, 0)[1], *epoch(table, 0)[1]]])
    assert torch.equal(batch.pixels, first[1].pixels.repeat(2, 1, 1, 1))


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "vaa-cache" in thread.name]


def test_an_abandoned_pass_ends_its_thread(table: LabelTable) -> None:
    cache = RAMCache(table, CROP, augmented=True, workers=0)
    old = cache.load(epoch(table, 0) * 50)
    next(old)
    assert len(threads()) == 1
    cast(Generator[Batch], old).close()
    assert threads() == []
    for _ in cache.load(epoch(table, 0) * 50):
        break
    assert threads() == []
    assert [b.requests for b in cache.load(epoch(table, 1))] == epoch(table, 1)
    assert threads() == []


def test_few_batches_are_made_ahead(table: LabelTable) -> None:
    asked = 0

    def batches() -> Iterator[list[Request]]:
        nonlocal asked
        for requests in epoch(table, 0) * 50:
            asked += 1
            yield requests

    passing = RAMCache(table, CROP, augmented=True, workers=0).load(batches())
    for taken in range(1, 20):
        next(passing)
        assert taken < asked <= taken + 4


def test_errors_reach_the_consumer(table: LabelTable) -> None:
    def batches() -> Iterator[list[Request]]:
        yield from epoch(table, 0) * 3
        raise OSError("the list of pictures cannot be read")

    cache = RAMCache(table, CROP, augmented=True, workers=0)
    with pytest.raises(OSError, match="the list of pictures"):
        list(cache.load(batches()))
    with pytest.raises(IndexError):
        list(cache.load([[Request("", row=N)]]))
    assert threads() == []


# Broken pictures


@pytest.mark.parametrize("augmented", [True, False])
def test_broken_pictures_are_problems_of_their_batches(tmp_path: Path, augmented: bool) -> None:
    for i in (0, 2, 3):
        noise(SCALED[1], SCALED[0], seed=i).save(tmp_path / f"{i}.png")
    truncated(tmp_path / "1.jpg")
    images = ["0.png", "1.jpg", "2.png", "3.png", "missing.png"]
    table = make_table([[1]] * 5, images, root=tmp_path)
    requests = augmented_requests(table, np.arange(5), 0, 0)
    if not augmented:
        requests = list(table_requests(table))
    batches = [[requests[i] for i in rows] for rows in ([4, 3, 1, 0], [2], [1, 4], [2, 1])]
    given = list(RAMCache(table, CROP, augmented, workers=0).load(batches))
    for batch, other in zip(given, PictureLoader(CROP, 0).load(batches), strict=True):
        assert batch.requests == other.requests
        assert batch.decoded == other.decoded
        assert batch.problems == other.problems
        if batch.decoded:
            assert torch.equal(batch.pixels, other.pixels)
    assert given[0].decoded == [1, 3] and sorted(given[0].problems) == [0, 2]
    with pytest.raises(VAAError, match=r"1\.jpg: broken picture"):
        given[2].filled()


# Memory


@pytest.mark.parametrize(
    "way",
    [Augmentation("pad-crop"), Augmentation("none"), Augmentation("pad-crop", True, 0.3, 0.5)],
)
def test_other_augmentations_are_those_of_the_loader(table: LabelTable, way: Augmentation) -> None:
    """Pictures are kept at the size that they have in batches, so nothing differs."""
    batches = [augmented_requests(table, rows, 0, 0) for rows in epoch_batches(N, 8, 0, 0)]
    cache = RAMCache(table, CROP, augmented=True, workers=0, augmentation=way)
    assert_same(cache.load(batches), PictureLoader(CROP, 0, augmentation=way).load(batches))
    assert bytes_needed(table, CROP, way) == N * 3 * 112 * 56


def test_bytes_needed(table: LabelTable) -> None:
    assert bytes_needed(table, CROP, None) == N * 3 * 112 * 56
    assert bytes_needed(table, CROP, Augmentation()) == N * 3 * 128 * 64


def test_free_memory() -> None:
    free = free_memory()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("images", "free", "processes", "figures"),
    [
        (2_000_000, 50_000_000_000, 1, ["49.2 GB of memory, and 50.0 GB are free"]),
        (2_000_000, 350_000_000_000, 8, ["49.2 GB of memory in each of 8 processes", "350.0 GB"]),
        (100, 1_000_000, 1, ["2.5 MB of memory", "1.0 MB are free"]),
    ],
)
def test_what_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, images: int, free: int, processes: int, figures: list[str]
) -> None:
    monkeypatch.setattr(ram_cache, "free_memory", lambda: free)
    table = LabelTable(Path("nowhere"), ["a.png"] * images, ("hat",), np.ones((1, 1), np.int8))
    with pytest.raises(VAAError, match=re.escape(figures[0])) as caught:
        RAMCache(table, CROP, augmented=True, workers=0, processes_here=processes)
    assert all(figure in str(caught.value) for figure in figures)
    assert "\n" not in str(caught.value)


def test_what_fits_is_not_refused(table: LabelTable, monkeypatch: pytest.MonkeyPatch) -> None:
    for free in (2 * bytes_needed(table, CROP, Augmentation()), None):
        monkeypatch.setattr(ram_cache, "free_memory", lambda free=free: free)
        cache = RAMCache(table, CROP, augmented=True, workers=0)
        assert len(list(cache.load(epoch(table, 0)))) == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="page-locked memory is a GPU's")
def test_pinned(table: LabelTable) -> None:
    cache = RAMCache(table, CROP, augmented=True, workers=0, pin=True)
    assert all(batch.pixels.is_pinned() for batch in cache.load(epoch(table, 0)))
