"""How fast `vaa predict` is: against the loop that the field writes, and against its bare engine.

All figures of a backbone are from one run, on real JPEG files, with random weights:

- `field`: a plain eager float32 loop over a DataLoader with torchvision's transforms, and
  probabilities to a CSV in the end;
- `bare`: the engine alone, on the same batches in memory;
- `decoding`: Pillow alone, in a pool of as many processes as there are cores;
- `vaa`: the real `vaa predict` from files to CSV, by the times at which its rows come out, so that
  its start is told apart.

`--agreement RUN` instead compares the decisions of a trained run between precisions, and
`--memory` the peak memory over many inputs and over few.

    python -m benchmarks.predict --backbone resnet50 --images DIR
    python -m benchmarks.predict --agreement RUN --images DIR
    python -m benchmarks.predict --memory --images DIR
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.export import export_model
from vaa_cli.core.engines.open import open_engine
from vaa_cli.core.images.decoding_pool import DecodingPool
from vaa_cli.core.images.inputs import find_inputs
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import load_model, new_model, save_model

ATTRIBUTES = 35


def make_model(path: Path, backbone: str, size: tuple[int, int]) -> Path:
    """A model file with random weights; batch normalisation has seen something."""
    card = ModelCard(
        backbone=backbone,
        attributes=tuple(f"attribute {i}" for i in range(ATTRIBUTES)),
        thresholds=(0.5,) * ATTRIBUTES,
        priors=(0.1,) * ATTRIBUTES,
        image_size=size,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        stages=(3, 4),
        classifier="spatial",
        hidden=512,
        data="none",
        epoch=1,
        validation={},
    )
    torch.manual_seed(0)
    model = new_model(card)
    with torch.no_grad():
        model.train()(torch.randn(4, 3, *size))
    save_model(path, model.eval(), card)
    return path


class FieldDataset(Dataset[torch.Tensor]):
    """As the field's repositories read pictures."""

    def __init__(self, files: list[str], size: tuple[int, int]) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [
                transforms.Resize(size),
                transforms.ToTensor(),
                transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.files[index]) as picture:
            tensor: torch.Tensor = self.transform(picture.convert("RGB"))
        return tensor


def field_rate(model_file: Path, files: list[str], batch: int) -> float:
    """Pictures a second of the field's loop, its first batch not counted."""
    model, card = load_model(model_file)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    dataset = FieldDataset(files, card.image_size)
    loader = DataLoader(dataset, batch, num_workers=os.cpu_count() or 1)
    rows, started = [], 0.0
    with torch.no_grad():
        for images in loader:
            rows.append(torch.sigmoid(model(images.to(device)).logits).cpu().numpy())
            started = started or time.perf_counter()
    seconds = time.perf_counter() - started
    with tempfile.TemporaryFile("w") as file:
        csv.writer(file).writerows(np.concatenate(rows).tolist())
    return (len(files) - batch) / seconds


def _decode(size: tuple[int, int], file: str) -> int:
    with Image.open(file) as picture:
        picture.draft("RGB", (size[1], size[0]))
        pixels = np.asarray(picture.convert("RGB").resize((size[1], size[0])))
    return len(pixels)


def decoding_rate(files: list[str], size: tuple[int, int]) -> float:
    """Pictures a second that all cores decode when nothing is done with them."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(partial(_decode, size), files[: 32 * workers], chunksize=32))
        started = time.perf_counter()
        list(pool.map(partial(_decode, size), files, chunksize=32))
    return len(files) / (time.perf_counter() - started)


def bare_rate(model_file: Path, engine: str, batches: list[np.ndarray]) -> float:
    """Pictures a second of the engine alone."""
    opened = open_engine(model_file, EngineOptions(engine))
    opened.probabilities(batches[0])
    started = time.perf_counter()
    for pixels in batches:
        opened.probabilities(pixels)
    return sum(map(len, batches)) / (time.perf_counter() - started)


def vaa_rate(model_file: Path, engine: str, files: list[str], batch: int) -> tuple[float, float]:
    """Pictures a second of the real command, from the first batch's rows to the last; its start."""
    command = [sys.executable, "-m", "vaa_cli", "predict", "-", "--run", str(model_file)]
    command += ["--engine", engine, "--batch-size", str(batch)]
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin and process.stdout
        process.stdin.write("".join(f"{file}\n" for file in files).encode())
        process.stdin.close()
        times = [time.perf_counter() for _ in process.stdout][1:]
    assert len(times) == len(files), "a row is missing"
    return (len(files) - batch) / (times[-1] - times[batch - 1]), times[0] - started


def compare_rates(args: argparse.Namespace, folder: Path, files: list[str]) -> None:
    """The ratios of one backbone, engine by engine."""
    size = (args.size, args.size)
    model_file = make_model(folder / "model.safetensors", args.backbone, size)
    files = list(islice(cycle(files), args.count))
    batch = args.batch
    pool = DecodingPool(size, batch, 2)
    loaded = pool.load(Request(file) for file in files)
    batches = [full.pixels.copy() for full in islice(loaded, min(args.count // batch, 64))]
    runs = {name: (model_file, name) for name in args.engines.split(",")}
    if "int8" in runs:
        calibration = find_inputs(files[::4], sys.stdin).sources
        export_model(model_file, "openvino", folder / "int8.xml", calibration)
        runs["int8"] = (folder / "int8.xml", "auto")
    for name in runs:  # converted, where it needs to be
        open_engine(runs[name][0], EngineOptions(runs[name][1]))
    field = max(field_rate(model_file, files, batch) for _ in range(args.rounds))
    decoding = max(decoding_rate(files, size) for _ in range(args.rounds))
    print(f"{args.backbone} at {args.size}, {len(files)} JPEG files, {os.cpu_count()} cores")
    print(f"decoding by all cores {decoding:.2f} img/s")
    print(f"{'':10}{'img/s':>8}{'bare':>8}{'vaa/bare':>10}{'vaa/field':>11}{'first row':>11}")
    print(f"{'field':10}{field:8.2f}")
    for name, (path, engine) in runs.items():
        # In turns, the best of each: whatever else the machine does only slows them down.
        bare, rate, first = 0.0, 0.0, float("inf")
        for _ in range(args.rounds):
            bare = max(bare, bare_rate(path, engine, batches))
            measured, started = vaa_rate(path, engine, files, batch)
            rate, first = max(rate, measured), min(first, started)
        print(
            f"{name:10}{rate:8.2f}{bare:8.2f}{rate / bare:10.3f}{rate / field:11.2f}{first:9.1f} s",
            flush=True,
        )


def compare_decisions(args: argparse.Namespace, folder: Path, files: list[str]) -> None:
    """How a trained run's decisions at 0.5 agree between precisions."""
    run = Path(args.agreement)
    model_file = run / "best.safetensors" if run.is_dir() else run
    export_model(
        model_file, "openvino", folder / "int8.xml", find_inputs(files[::5], sys.stdin).sources
    )
    card = open_engine(model_file, EngineOptions("torch", "fp32")).card
    computed = {}
    for name, path, choice in (
        ("torch fp32", model_file, EngineOptions("torch", "fp32")),
        ("torch bf16", model_file, EngineOptions("torch", "bf16")),
        ("auto", model_file, EngineOptions()),
        ("int8", folder / "int8.xml", EngineOptions()),
    ):
        engine = open_engine(path, choice)
        pool = DecodingPool(card.image_size, args.batch, 2)
        batches = pool.load(Request(file) for file in files)
        computed[name] = np.concatenate(
            [engine.probabilities(batch.pixels)[: len(batch.requests)] for batch in batches]
        )
    expected = computed.pop("torch fp32")
    print(f"{len(files)} pictures, {expected.shape[1]} attributes, against torch in float32")
    for name, found in computed.items():
        agree = ((found >= 0.5) == (expected >= 0.5)).mean()
        worst = np.abs(found - expected).max()
        print(f"{name:12} {100 * agree:.3f} % of the decisions agree, worst difference {worst:.2g}")


def memory_of(pid: int) -> float:
    """The most memory that a process and those below it have had, in MB, added up."""
    peaks, parents = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except OSError:  # it has ended meanwhile
            continue
        own = int(status.parent.name)
        parents[own] = int(lines["PPid"])
        peaks[own] = int(lines.get("VmHWM", "0 kB").split()[0]) / 1024
    family = {pid}
    while below := {child for child, parent in parents.items() if parent in family} - family:
        family |= below
    return sum(peaks.get(member, 0.0) for member in family)


def compare_memory(args: argparse.Namespace, folder: Path, files: list[str]) -> None:
    """Peak memory of the command over 2,000 and over many inputs, hard links to a few hundred."""
    model_file = make_model(folder / "model.safetensors", "resnet18", (32, 32))
    open_engine(model_file, EngineOptions())
    peaks = {}
    few = islice(files, 300)
    small = folder / "small"
    small.mkdir()
    for place, source in enumerate(few):
        with Image.open(source) as picture:
            picture.convert("RGB").resize((64, 64)).save(small / f"{place}.jpg")
    for count in (2000, args.inputs):
        links = folder / f"links{count}"
        links.mkdir()
        for place, file in enumerate(islice(cycle(sorted(small.iterdir())), count)):
            os.link(file, links / f"{place:07d}.jpg")
        command = [sys.executable, "-m", "vaa_cli", "predict", str(links), "--run", str(model_file)]
        started = time.perf_counter()
        rows, peaks[count], first = -1, 0.0, 0.0
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout
            for _ in process.stdout:
                rows += 1
                first = first or (rows and time.perf_counter() - started)
                if rows % 1000 == 999:
                    peaks[count] = max(peaks[count], memory_of(process.pid))
        assert rows == count, "a row is missing"
        seconds = time.perf_counter() - started
        print(f"{count:,} inputs: {peaks[count]:.0f} MB, {seconds:.0f} s, first row {first:.1f} s")
    print(f"ratio {peaks[args.inputs] / peaks[2000]:.3f}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="a folder of JPEG files")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--count", type=int, default=320, help="pictures of each measurement")
    parser.add_argument("--batch", type=int, default=32, help="pictures of a batch")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    parser.add_argument("--engines", default="torch,openvino,onnx,int8")
    parser.add_argument("--agreement", metavar="RUN")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--inputs", type=int, default=100_000)
    args = parser.parse_args()
    files = sorted(str(path) for path in args.images.glob("*.jpg"))
    if not files:
        parser.error(f"no .jpg files in {args.images}")
    with tempfile.TemporaryDirectory() as name:
        if args.agreement:
            compare_decisions(args, Path(name), files)
        elif args.memory:
            compare_memory(args, Path(name), files)
        else:
            compare_rates(args, Path(name), files)


if __name__ == "__main__":
    main()
