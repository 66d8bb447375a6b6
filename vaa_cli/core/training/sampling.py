"""Which samples each batch of an epoch has, and how they are augmented."""

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.table import LabelTable


def epoch_order(
    samples: int, size: int, seed: int, epoch: int, least: int = 2
) -> list[NDArray[np.int64]]:
    """The rows of each batch of one epoch, in an order that the seed and the epoch give.

    A last batch of fewer than `least` samples is left out: batch normalisation cannot train on
    one sample. The order changes with every epoch, and so do the samples left out.

    Args:
        samples: how many rows there are.
        size: rows of a batch.
    """
    order = np.random.default_rng((seed, epoch)).permutation(samples).astype(np.int64, copy=False)
    batches = [order[start : start + size] for start in range(0, samples, size)]
    return [batch for batch in batches if len(batch) >= least]


def augmented_requests(
    table: LabelTable, rows: NDArray[np.int64], seed: int, epoch: int
) -> list[Request]:
    """Requests for some rows of a table, each augmented anew in every epoch."""
    return [
        Request(str(table.path(row)), table.box(row), row, draw=(seed, epoch, row))
        for row in rows.tolist()
    ]
