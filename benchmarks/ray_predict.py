"""vaa predict on Ray against the plain command, and two nodes of which one is killed.

python -m benchmarks.ray_predict [--pictures 20000] [--run starter]

Prints the pictures a second of each, from the first row to the last, the memory of the driver at a
tenth and at the end, and whether all rows are the same. Needs the extra `ray`.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.prediction.predictor import Prediction, open_predictor


def make_pictures(folder: Path, count: int) -> list[str]:
    """Small pictures of noise, each another; files are linked beyond the first thousand."""
    rng, names = np.random.default_rng(0), []
    for number in range(count):
        path = folder / f"{number:07d}.jpg"
        names.append(str(path))
        if number < 1000:
            noise = rng.integers(0, 256, (12, 8, 3), dtype=np.uint8)
            Image.fromarray(noise).resize((64, 96)).save(path, quality=85)
        else:
            os.link(folder / f"{number % 1000:07d}.jpg", path)
    return names


def resident() -> float:
    """MB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def timed(name: str, predictions: Iterator[Prediction], count: int) -> list[Prediction]:
    """All predictions; prints their rate and the memory."""
    start, found, first, early = time.perf_counter(), [], 0.0, 0.0
    for prediction in predictions:
        first = first or time.perf_counter() - start
        found.append(prediction)
        if len(found) == count // 10:
            early = resident()
    seconds = time.perf_counter() - start
    print(
        f"{name}: {count / seconds:.0f} a second in all, {count / (seconds - first):.0f} from the "
        f"first row on, which came after {first:.1f} s; driver {early:.0f} MB at a tenth, "
        f"{resident():.0f} MB at the end",
        flush=True,
    )
    return found


def differences(found: list[Prediction], expected: list[list[str]]) -> str:
    """How rows differ from those of the plain command."""
    names = [one.request.path for one in found] == [row[0] for row in expected]
    rows = np.array([one.probabilities for one in found])
    wanted = np.array([row[1:-1] for row in expected], dtype=np.float32)
    return f"the same pictures in order: {names}; largest difference {abs(rows - wanted).max():.1e}"


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--run", default="starter")
    asked = parser.parse_args()
    from ray.cluster_utils import Cluster

    from vaa_cli.core.prediction.ray_cluster import ray_cluster
    from vaa_cli.core.prediction.ray_predictions import predict_on_ray

    count = asked.pictures
    with tempfile.TemporaryDirectory() as made:
        names = make_pictures(Path(made), count)
        start = time.perf_counter()
        plain = subprocess.run(
            [sys.executable, "-m", "vaa_cli", "predict", made, "--run", asked.run],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds = time.perf_counter() - start
        print(f"plain command: {count / seconds:.0f} a second in all", flush=True)
        expected = list(csv.reader(plain.stdout.splitlines()))[1:]
        expected.sort()  # a folder of so many files is listed as they come
        predictor = open_predictor(asked.run)

        with ray_cluster("ray") as ray:
            predictions = predict_on_ray(ray, predictor, map(ImageSource, names))
            print(differences(timed("one node", predictions, count), expected), flush=True)

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        node = cluster.add_node(num_cpus=1)

        def killed_half_way(predictions: Iterator[Prediction]) -> Iterator[Prediction]:
            for number, prediction in enumerate(predictions):
                if number == count // 2:
                    cluster.remove_node(node, allow_graceful=False)
                    print(f"killed a node at row {number:,}", flush=True)
                yield prediction

        with ray_cluster(cluster.address) as ray:
            predictions = killed_half_way(predict_on_ray(ray, predictor, map(ImageSource, names)))
            print(differences(timed("two nodes", predictions, count), expected), flush=True)
        cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
