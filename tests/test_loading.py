"""Batches keep their order, their pixels and their augmentation whatever decodes them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import BLUE, GREEN, RED, make_table, noise, plain, truncated
from vaa_cli.core.boxes import Box
from vaa_cli.core.errors import VAAError
from vaa_cli.core.loading import (
    Batch,
    PictureLoader,
    Request,
    augment,
    batched,
    normalise,
    table_requests,
    training_batches,
)

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
    with pytest.raises(VAAError, match=r"missing\.jpg: no such file"):
        batch.require_whole()
    fine.require_whole()


def test_a_batch_of_broken_pictures_alone(tmp_path: Path) -> None:
    requests = [Request(str(tmp_path / name)) for name in ("a.jpg", "b.jpg")]
    (batch,) = load([requests])
    assert batch.requests == requests
    assert len(batch.pixels) == 0 and batch.decoded == []
    assert sorted(batch.problems) == [0, 1]


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
    n=st.integers(1, 60),
    size=st.integers(2, 12),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 500),
)
def test_training_batches_have_every_row_once(n: int, size: int, seed: int, epoch: int) -> None:
    table = make_table([[1]] * n)
    batches = training_batches(table, size, seed, epoch)
    rows = [request.row for batch in batches for request in batch]
    alone = n % size == 1
    assert len(rows) == n - alone
    assert len({*rows}) == len(rows) and {*rows} <= {*range(n)}
    lengths = [len(batch) for batch in batches]
    assert all(length == size for length in lengths[:-1])
    assert all(2 <= length <= size for length in lengths)
    for request in (request for batch in batches for request in batch):
        assert request.path == str(table.path(request.row))
        assert request.draw is not None
    assert batches == training_batches(table, size, seed, epoch)


def test_training_batches_change_with_epoch_and_seed() -> None:
    table = make_table([[1]] * 41)
    epochs = [training_batches(table, 8, seed, epoch) for seed in (0, 1) for epoch in range(10)]
    orders = [[request.row for batch in batches for request in batch] for batches in epochs]
    assert len({*map(tuple, orders)}) == len(epochs)
    draws = [request.draw for batches in epochs for batch in batches for request in batch]
    assert len({*draws}) == len(draws), "each sample is augmented anew each time"
    # Of 41 samples one is left out each time, not always the same.
    assert len({sum(range(41)) - sum(order) for order in orders}) > 1


def test_training_batches_keep_boxes() -> None:
    boxes = [[row, 0, 1, 1] for row in range(6)]
    table = make_table([[1]] * 6, boxes=boxes)
    for batch in training_batches(table, 3, 0, 0):
        assert all(request.box == Box(request.row, 0, 1, 1) for request in batch)
    bare = training_batches(replace(table, boxes=None), 3, 0, 0)
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
    result = normalise(torch.from_numpy(pixels), mean.tolist(), std.tolist())
    assert result.dtype == torch.float32
    expected = (pixels / 255 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-5, atol=1e-5)
