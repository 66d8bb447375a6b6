"""An epoch of training pictures from files and from shards, on this disk and from an S3 server.

python -m benchmarks.shard_epochs [--pictures 3000] [--workers 2]

Decodes each picture once, in the order of an epoch, as training does but without a model. What is
on disk is read once with the system's cache emptied of it, and once with it there; what is in the
store, into an empty cache of vaa's, and then from that. Prints pictures a second. Needs the extra
s3, moto and flask.
"""

import argparse
import os
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.s3_server import ENVIRONMENT, s3_server
from vaa_cli.core.datasets.options import PrepareOptions
from vaa_cli.core.datasets.pipeline import prepare
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.system.file_cache import FileCache
from vaa_cli.core.system.location import URLFolder
from vaa_cli.core.system.storage import put_url
from vaa_cli.core.training.sampling import augmented_requests, epoch_batches, shard_batches

_SIZE = 256, 128
_BATCH = 64


def make_pictures(folder: Path, count: int) -> None:
    """Pictures of 256 x 128 with some detail, about 12 kB each, and labels."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["image,split,hat"]
    for number in range(count):
        coarse = rng.integers(0, 256, (64, 32, 3), dtype=np.uint8)
        name = f"images/{number:06d}.jpg"
        Image.fromarray(coarse).resize((128, 256)).save(folder / name, quality=90)
        lines.append(f"{name},{'val' if number < 2 else 'train'},{number % 2}")
    (folder / "labels.csv").write_text("\n".join(lines))


def forget(folder: Path) -> None:
    """Empty the system's cache of the files below a folder."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def pictures_per_second(table: LabelTable, workers: int, epoch: int) -> float:
    """Decode an epoch."""
    if table.extents is None:
        rows = epoch_batches(len(table), _BATCH, 0, epoch)
    else:
        rows = shard_batches(table.shard_rows, _BATCH, 0, epoch, shuffle_buffer=10_000)
    loader = PictureLoader(_SIZE, workers)
    list(loader.load([augmented_requests(table, rows[0], 0, epoch)]))  # starts the workers
    start = time.perf_counter()
    for batch in loader.load(augmented_requests(table, one, 0, epoch) for one in rows):
        assert not batch.problems
    return len(table) / (time.perf_counter() - start)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, s3_server() as address:
        os.environ.update(ENVIRONMENT, AWS_ENDPOINT_URL=address)
        import fsspec

        here = Path(made)
        make_pictures(here / "people", asked.pictures)
        prepare(here / "people", here / "files", PrepareOptions(check="none"))
        prepare(
            here / "people", here / "shards",
            PrepareOptions(check="none", shards=True, shard_size="4MB"),
        )  # fmt: skip
        fsspec.filesystem("s3").mkdir("bucket")
        for folder in (here / "people" / "images", here / "shards" / "shards"):
            for path in folder.iterdir():
                put_url(path, f"s3://bucket/{path.relative_to(here).as_posix()}")
        for kind in ("files", "shards"):
            table = read_prepared(here / kind).split("train")
            forget(here)
            cold = pictures_per_second(table, asked.workers, 0)
            warm = pictures_per_second(table, asked.workers, 1)
            print(f"{kind} on this disk: {cold:.0f} a second at first, {warm:.0f} again")
            root = "s3://bucket/people" if kind == "files" else "s3://bucket/shards/shards"
            there = replace(table, root=URLFolder(root, FileCache(here / "cache", 10**10)))
            cold = pictures_per_second(there, asked.workers, 0)
            warm = pictures_per_second(there, asked.workers, 1)
            print(f"{kind} from the store: {cold:.0f} a second at first, {warm:.0f} again")
            shutil.rmtree(here / "cache")


if __name__ == "__main__":
    main()
