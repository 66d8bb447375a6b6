"""The samples of each batch of an epoch, and the seeds of their augmentation."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.images.requests import Request, table_requests
from vaa_cli.core.labels.table import LabelTable

# Shards that are read at once, each from its start to its end.
LANES = 32


def epoch_batches(
    samples: int, batch_size: int, seed: int, epoch: int, smallest: int = 2
) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, in a random order given by the seed and the epoch.

    The samples are spread evenly: a last batch of what is left over would weigh each of its samples
    many times as much, and normalise by the statistics of a few.

    Args:
        samples: number of samples.
        batch_size: samples in a batch, or a few less where batches of that size do not come out
            even.
        seed: seed of the training.
        epoch: epoch, from 0.
        smallest: fewest samples of a batch, for which batches may be larger.

    Returns:
        Arrays of rows, one a batch; none where there are fewer than `smallest` samples.
    """
    batches = batch_count(samples, batch_size, smallest)
    if not batches:
        return []
    order = np.random.default_rng((seed, epoch)).permutation(samples).astype(np.int64, copy=False)
    return np.array_split(order, batches)


def batch_count(samples: int, batch_size: int, smallest: int) -> int:
    """The number of batches that samples are spread over."""
    return min(-(-samples // batch_size), samples // smallest)


def shard_batches(
    shard_rows: Sequence[NDArray[np.int64]],
    batch_size: int,
    seed: int,
    epoch: int,
    smallest: int = 2,
    *,
    shuffle_buffer: int,
    world_size: int = 1,
) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, for pictures in shards, which are read in their order.

    The shards come in a random order and are cut into lanes, stretches of as many samples each. A
    lane is read from its start to its end, and a sample comes up to `shuffle_buffer / lanes` later
    than it stands there, as if drawn from a buffer. A batch has as many samples of each lane, give
    or take one. Which samples that are does not depend on the number of processes; each of them
    gets those of a few lanes, so that it reads its part of the shards alone.

    Args:
        shard_rows: rows of each shard, in the order of the samples in it.
        batch_size: see `epoch_batches`, as the next three.
        seed: seed of the training.
        epoch: epoch, from 0.
        smallest: fewest samples of a batch.
        shuffle_buffer: samples of all buffers together.
        world_size: number of processes.

    Returns:
        Arrays of rows, one a batch, of which a process takes those of its rank.
    """
    samples = sum(map(len, shard_rows))
    batches = batch_count(samples, batch_size, smallest)
    if not batches:
        return []
    rng = np.random.default_rng((seed, epoch))
    sequence = np.concatenate([shard_rows[shard] for shard in rng.permutation(len(shard_rows))])
    lanes = min(LANES, batch_size, samples)
    longest = -(-samples // lanes)
    table = np.full((longest, lanes), -1, dtype=np.int64)
    for lane, rows in enumerate(np.array_split(sequence, lanes)):
        later = rng.uniform(0, max(1, shuffle_buffer / lanes), len(rows))
        table[: len(rows), lane] = rows[np.argsort(np.arange(len(rows)) + later, kind="stable")]
    is_there = table >= 0
    order, lane_of = table[is_there], np.nonzero(is_there)[1]
    return [
        _by_rank(rows[np.argsort(of_rows, kind="stable")], world_size)
        for rows, of_rows in zip(
            np.array_split(order, batches), np.array_split(lane_of, batches), strict=True
        )
    ]


def _by_rank(rows: NDArray[np.int64], world_size: int) -> NDArray[np.int64]:
    """Rows in an order in which each process, whose shard is every n-th one, gets a stretch."""
    spread = np.empty_like(rows)
    for rank, stretch in enumerate(np.array_split(rows, world_size)):
        spread[rank::world_size] = stretch
    return spread


def augmented_requests(
    table: LabelTable, rows: NDArray[np.int64], seed: int, epoch: int
) -> list[Request]:
    """Requests for rows of a table, each with an augmentation of its own in every epoch."""
    requests = table_requests(table, rows.tolist())
    return [request._replace(draw=(seed, epoch, request.row)) for request in requests]
