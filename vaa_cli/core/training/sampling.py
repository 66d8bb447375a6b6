"""The samples of each batch of an epoch, and the seeds of their augmentation."""

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.images.requests import Request, table_requests
from vaa_cli.core.labels.table import LabelTable


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
    batches = min(-(-samples // batch_size), samples // smallest)
    if not batches:
        return []
    order = np.random.default_rng((seed, epoch)).permutation(samples).astype(np.int64, copy=False)
    return np.array_split(order, batches)


def augmented_requests(
    table: LabelTable, rows: NDArray[np.int64], seed: int, epoch: int
) -> list[Request]:
    """Requests for rows of a table, each with an augmentation of its own in every epoch."""
    requests = table_requests(table, rows.tolist())
    return [request._replace(draw=(seed, epoch, request.row)) for request in requests]
