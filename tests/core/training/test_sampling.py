"""The order of samples in shards: all of them, spread evenly, and read from near where one is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.sampling import LANES, epoch_batches, shard_batches

PROPERTY = settings(max_examples=150, deadline=None)


def shards_of(sizes: list[int]) -> list[NDArray[np.int64]]:
    """Rows in shards of some sizes; numbered as they stand in them, one after the other."""
    return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


@PROPERTY
@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=12),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 2**32),
    epoch=st.integers(0, 500),
    least=st.integers(1, 12),
    buffer=st.integers(1, 10_000),
    world_size=st.integers(1, 5),
)
def test_every_sample_once_and_evenly(
    sizes: list[int], batch_size: int, seed: int, epoch: int, least: int, buffer: int,
    world_size: int,
) -> None:  # fmt: skip
    n = sum(sizes)
    batches = shard_batches(
        shards_of(sizes), batch_size, seed, epoch, least, shuffle_buffer=buffer,
        world_size=world_size,
    )  # fmt: skip
    # As many batches, of the same sizes, as files have.
    assert list(map(len, batches)) == list(map(len, epoch_batches(n, batch_size, 0, 0, least)))
    if batches:
        assert sorted(np.concatenate(batches).tolist()) == list(range(n))
        assert all(rows.dtype == np.int64 for rows in batches)


@PROPERTY
@given(seed=st.integers(0, 2**32), world_size=st.integers(2, 6))
def test_batches_do_not_depend_on_the_number_of_processes(seed: int, world_size: int) -> None:
    shards = shards_of([30, 7, 25, 40, 11])

    def batches(world_size: int) -> list[NDArray[np.int64]]:
        return shard_batches(shards, 16, seed, 3, shuffle_buffer=20, world_size=world_size)

    for one, several in zip(batches(1), batches(world_size), strict=True):
        assert sorted(one.tolist()) == sorted(several.tolist())


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        shards = shards_of([50] * 20)
        batches = shard_batches(shards, 10, seed, epoch, shuffle_buffer=100)
        return [row for rows in batches for row in rows.tolist()]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(*each)) for each in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4


def lane_positions(
    batch_size: int, buffer: int, shards: int = 200, size: int = 50
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """The batches of one lane each, and the rows in the order in which they stand in the lane."""
    layout = shards_of([size] * shards)
    batches = shard_batches(layout, batch_size, 5, 2, shuffle_buffer=buffer)
    order = np.random.default_rng((5, 2)).permutation(shards)
    sequence = np.concatenate([layout[shard] for shard in order])
    return batches, np.array_split(sequence, min(LANES, batch_size))


def test_a_batch_has_as_many_samples_of_each_lane() -> None:
    batches, lanes = lane_positions(batch_size=96, buffer=1000)
    lane_of = np.empty(10_000, dtype=np.int64)
    for number, rows in enumerate(lanes):
        lane_of[rows] = number
    for rows in batches[:-1]:
        counts = np.bincount(lane_of[rows], minlength=LANES)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("buffer", [1, 320, 3200])
def test_samples_come_from_near_where_reading_is(buffer: int) -> None:
    batches, lanes = lane_positions(batch_size=LANES, buffer=buffer)
    moved = []
    for lane in lanes:
        position = {row: p for p, row in enumerate(lane.tolist())}
        comes = [position[row] for rows in batches for row in rows.tolist() if row in position]
        moved += [abs(p - k) for k, p in enumerate(comes)]
    per_lane = max(1, buffer / LANES)
    # Drawn from a buffer: none moves further than it holds, and they move as far as that, too.
    assert max(moved) <= per_lane
    assert (max(moved) > 0.4 * per_lane) == (buffer > 1)


def test_a_process_reads_its_part_of_the_shards() -> None:
    shards = shards_of([25] * 400)
    shard_of = np.repeat(np.arange(400), 25)
    batches = shard_batches(shards, 64, 0, 0, shuffle_buffer=1000, world_size=4)
    read = []
    for rank in range(4):
        group = ProcessGroup(rank=rank, world_size=4)
        rows = np.concatenate([rows[group.shard(len(rows))] for rows in batches])
        assert abs(len(rows) - 2500) <= len(batches)
        read.append(len(set(shard_of[rows].tolist())))
    # A quarter each, but for the shards that lie across lanes, and the uneven last sample.
    assert max(read) <= 100 + 400 // LANES + 4


def test_a_picture_of_several_rows_stays_in_its_shard() -> None:
    shards = [np.array([3, 1, 0]), np.array([2, 4])]
    batches = shard_batches(shards, 2, 0, 0, shuffle_buffer=1)
    assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2, 3, 4]
