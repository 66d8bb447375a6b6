"""The samples of each batch of an epoch, and the seeds of their augmentation."""

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.images.requests import Request, table_requests
from vaa_cli.core.labels.table import LabelTable


def epoch_batches(
    samples: int, batch_size: int, seed: int, epoch: int, smallest: int = 2
) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, in a random order given by the seed and the epoch.

    A last batch of fewer than `smallest` samples is left out: batch normalisation cannot train on
    one sample. The order changes with every epoch, and so do the samples that are left out.

    Args:
        samples: number of samples.
        batch_size: samples in a batch.
        seed: seed of the training.
        epoch: epoch, from 0.
        smallest: fewest samples of a batch.

    Returns:
        Arrays of rows, one a batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(samples).astype(np.int64, copy=False)
    batches = [order[start : start + batch_size] for start in range(0, samples, batch_size)]
    return [batch for batch in batches if len(batch) >= smallest]


def augmented_requests(
    table: LabelTable, rows: NDArray[np.int64], seed: int, epoch: int
) -> list[Request]:
    """Requests for rows of a table, each with an augmentation of its own in every epoch."""
    requests = table_requests(table, rows.tolist())
    return [request._replace(draw=(seed, epoch, request.row)) for request in requests]
