"""What preparing a large dataset costs: time to list it, speed of the check, memory.

    python benchmarks/prepare.py [--rows 57000] [--pictures 14000] [--memory-rows 1000000]

Three measurements, each in one run on this machine:

1. the real `vaa prepare --no-check` on a dataset of WIDER-Attribute's size, in its own format and
   as a CSV: seconds from start to end, and the most memory that the process had;
2. the check of pictures against bare Pillow header reads of the same files in a process pool of
   the same size, in turn, several rounds: the ratio of their speeds, start of the pool included;
3. the memory of `vaa prepare --no-check` on a CSV of a million rows with boxes.
"""

import argparse
import csv
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from vaa_cli.core.images.check import check_pictures
from vaa_cli.core.system.processes import start_early

PARTS = ("train", "val", "test")
ATTRIBUTES = 14  # WIDER-Attribute's
FILES = ("wider_attribute_trainval.json", "wider_attribute_test.json")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=57_000)
    parser.add_argument("--pictures", type=int, default=14_000)
    parser.add_argument("--memory-rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vaa-benchmark-") as name:
        folder = Path(name)
        for form, write in (("wider", write_wider), ("csv", write_csv)):
            data = folder / form
            elsewhere(write, data, options.rows, options.pictures)
            seconds, megabytes = prepare(data, form)
            print(
                f"{form}: {options.rows:,} rows with boxes over {options.pictures:,} pictures "
                f"listed, split and written in {seconds:.1f} s, {megabytes:.0f} MB"
            )
        compare_checks(folder / "pictures", options.pictures, options.rounds)
        data = folder / "large"
        elsewhere(write_csv, data, options.memory_rows, options.memory_rows // 4)
        seconds, megabytes = prepare(data, "csv")
        print(f"csv: {options.memory_rows:,} rows in {seconds:.1f} s, {megabytes:.0f} MB")


# The datasets


def elsewhere(write: Callable[..., None], *arguments: object) -> None:
    """Do something in a process of its own: a process starts with its parent's peak of memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(write, *arguments).result()


def people(rows: int, pictures: int) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The picture, the labels and the box of each row; a split's first picture is 1 of 12."""
    rng = np.random.default_rng(0)
    of_row = np.sort(rng.integers(0, pictures, rows))
    split = np.array(PARTS)[np.minimum(np.arange(pictures) * 12 // pictures // 5, 2)]
    names = [f"{split[i]}/{i % 61}--Scene/{i}_Scene.jpg" for i in range(pictures)]
    labels = rng.choice([1, -1, 0], (rows, ATTRIBUTES), p=[0.2, 0.6, 0.2])
    boxes = rng.uniform((0, 0, 20, 40), (800, 600, 200, 400), (rows, 4)).round(2)
    return [names[i] for i in of_row], labels, boxes


def write_wider(folder: Path, rows: int, pictures: int) -> None:
    """WIDER-Attribute's two files, without the pictures."""
    images, labels, boxes = people(rows, pictures)
    content: dict[str, dict[str, dict[str, object]]] = {name: {} for name in FILES}
    for image, label, box in zip(images, labels.tolist(), boxes.tolist(), strict=True):
        part = content[FILES[image.startswith("test")]]
        picture = part.setdefault(image, {"file_name": image, "scene_id": 0, "targets": []})
        targets = picture["targets"]
        assert isinstance(targets, list)
        targets.append({"attribute": label, "bbox": box})
    annotations = folder / "wider_attribute_annotation"
    annotations.mkdir(parents=True)
    for name, part in content.items():
        (annotations / name).write_text(json.dumps({"images": list(part.values())}))


def write_csv(folder: Path, rows: int, pictures: int) -> None:
    """A label CSV, with the first of its pictures, by which the others' folder is told."""
    images, labels, boxes = people(rows, pictures)
    folder.mkdir()
    (folder / images[0]).parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / images[0])
    cells = np.array(["", "1", "0"])[labels]  # -1 is the last
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "image",
                "split",
                "left",
                "top",
                "width",
                "height",
                *map("attribute {}".format, range(ATTRIBUTES)),
            ]
        )
        for image, label, box in zip(images, cells, boxes.tolist(), strict=True):
            writer.writerow([image, image.split("/")[0], *box, *label])


def prepare(data: Path, form: str) -> tuple[float, float]:
    """Seconds that the real command takes, and the most megabytes that it has."""
    command = [sys.executable, "-m", "vaa_cli", "prepare", str(data), "--format", form]
    out = data.with_name(f"{data.name}-prepared")
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(out), "--no-check"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        raise SystemExit(said.decode())
    shutil.rmtree(out)
    return seconds, usage.ru_maxrss / 1024


# The check


def header(path: str) -> tuple[int, int]:
    """What Pillow alone reads of a picture's header."""
    with Image.open(path) as picture:
        return picture.size


def compare_checks(folder: Path, count: int, rounds: int) -> None:
    """Print the speed of the check beside that of bare header reads."""
    paths = write_pictures(folder, count)
    workers = os.cpu_count() or 1

    start_early(["vaa_cli.core.images.check"])  # as the command does, while it reads labels
    time.sleep(2)

    def bare(method: str) -> list[object]:
        with ProcessPoolExecutor(workers, multiprocessing.get_context(method)) as pool:
            return list(pool.map(header, paths, chunksize=64))

    ways: dict[str, Callable[[], Sequence[object]]] = {
        "bare header reads": lambda: bare("forkserver"),
        "bare header reads, workers forked without a server": lambda: bare("fork"),
        "quick check": lambda: list(check_pictures(paths)),
        "full check": lambda: list(check_pictures(paths, decode=True)),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, read in ways.items():
            start = time.perf_counter()
            found = read()
            times[way].append(time.perf_counter() - start)
            assert all(isinstance(size, tuple) for size in found)
    medians = {way: statistics.median(seconds) for way, seconds in times.items()}
    print(f"{count:,} pictures of 1024 x 768, {workers} processes, medians of {rounds} rounds:")
    for way, seconds in medians.items():
        ratio = medians["bare header reads"] / seconds
        print(f"  {way}: {count / seconds:,.0f} pictures a second, {ratio:.2f} of the bare speed")


def write_pictures(folder: Path, count: int) -> list[str]:
    """Pictures in a folder; a few are drawn, the others are copies of them."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    drawn = []
    for i in range(20):
        small = Image.fromarray(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
        small.resize((1024, 768), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=85)
        drawn.append((folder / f"{i}.jpg").read_bytes())
    paths = []
    for i in range(count):
        path = folder / f"{i}.jpg"
        path.write_bytes(drawn[i % len(drawn)])
        paths.append(str(path))
    return paths


if __name__ == "__main__":
    main()
