"""How long 100,000,000 pictures would take on Ray, and what breaks first: a simulation.

python -m benchmarks.projection --rate 250 [--pictures 100000000] [--page 0.1]

Times here what one process does for all machines - the blocks of names that it sends, the rows that
it takes and writes -, and simulates the pipeline with these times: names in order, blocks under way
as vaa bounds them, actors of a given rate with a spread, and rows that come back in order. The rate
of an actor is what `vaa predict --plan` measured; the seconds of a page of a listing are assumed.
"""

import argparse
import heapq
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.columns import Columns
from vaa_cli.core.prediction.parts import PartsJob, parts_folder
from vaa_cli.core.prediction.predictor import open_predictor
from vaa_cli.core.prediction.ray_blocks import block_of, one_row, predictions_of, unread

_BLOCK = 256  # pictures: eight batches of 32
_PAGE = 1000  # names of a page of a listing of S3
_SPREAD = 0.2  # standard deviation of the logarithm of an actor's times
_LOST, _RESTART = 1e-4, 60.0  # probability that a block's actor is lost, and seconds to replace it


def driver_seconds(card: ModelCard) -> tuple[float, float]:
    """Seconds that a block takes in the first process: to send it, and to write its rows."""
    names = [f"s3://archive/2026/camera-07/{number:09d}.jpg" for number in range(40 * _BLOCK)]
    sources = [ImageSource(name, is_remote=True) for name in names]
    block_of([unread(source) for source in sources[:_BLOCK]])  # which loads pyarrow
    start = time.perf_counter()
    for position in range(0, len(names), _BLOCK):
        block_of([unread(source) for source in sources[position : position + _BLOCK]])
    sent = (time.perf_counter() - start) / 40
    rng = np.random.default_rng(0)
    rows = [rng.random(len(card.attributes)).astype(np.float32).tobytes() for _ in range(_BLOCK)]
    block = one_row(
        probabilities=(rows, pa.binary()),
        problem=([None] * _BLOCK, pa.string()),
        more_frames=([False] * _BLOCK, pa.bool_()),
    )
    pictures = [(name, None) for name in names[:_BLOCK]]
    with tempfile.TemporaryDirectory() as made:
        job = PartsJob(Path(made) / "rows", {}, 32)
        with parts_folder(job, Columns.of(card, False, False, 0.0), False) as parts:
            start = time.perf_counter()
            for _ in range(400):
                for prediction in predictions_of(block, pictures):
                    parts.rows.write(prediction)
            written = (time.perf_counter() - start) / 400
    return sent, written


def simulate(
    blocks: int, actors: int, rate: float, found: float, written: float
) -> tuple[float, float]:
    """Seconds for so many blocks, and the fraction of them that actors compute."""
    rng = random.Random(0)
    free = [0.0] * actors
    under_way = 8 + 3 * actors
    returned = [0.0] * under_way
    fed = last = busy = 0.0
    for number in range(blocks):
        fed = max(fed + found, returned[number % under_way])
        start = max(fed, heapq.heappop(free))
        work = _BLOCK / rate * rng.lognormvariate(0, _SPREAD)
        busy += work
        if rng.random() < _LOST:
            work += _RESTART
        heapq.heappush(free, start + work)
        last = max(last, start + work) + written
        returned[number % under_way] = last
    return last, busy / (actors * last)


def main() -> None:
    """Measure and simulate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, nargs="+", required=True)
    parser.add_argument("--pictures", type=int, default=100_000_000)
    parser.add_argument("--page", type=float, default=0.1, help="seconds of a page of a listing")
    asked = parser.parse_args()
    sent, written = driver_seconds(open_predictor("starter").card)
    listed = asked.page / _PAGE * _BLOCK
    print(
        f"a block of {_BLOCK}: listed in {1e3 * listed:.1f} ms (assumed), sent in "
        f"{1e3 * sent:.1f} ms, its rows written in {1e3 * written:.1f} ms: at most "
        f"{_BLOCK / (listed + sent):,.0f} names and {_BLOCK / written:,.0f} rows a second"
    )
    blocks = -(-asked.pictures // _BLOCK)
    for rate in asked.rate:
        for actors in (1, 4, 16, 64, 256):
            seconds, busy = simulate(blocks, actors, rate, listed + sent, written)
            print(
                f"{actors:4d} actors of {rate:,.0f} a second: {asked.pictures / seconds:9,.0f} a "
                f"second, {seconds / 3600:8.1f} h, actors busy {100 * busy:.0f} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
