"""What several test files share: a tiny dataset, the real `vaa`, and one trained run."""

import csv
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from vaa_cli.core.datasets import csv as csv_format
from vaa_cli.core.labels import SPLITS
from vaa_cli.core.prepared import Origin, Prepared, read_prepared, write_prepared

if "PYTEST_XDIST_WORKER" not in os.environ:
    # What engines keep of converted models goes with the tests; workers share it.
    os.environ["VAA_CACHE"] = tempfile.mkdtemp(prefix="vaa-cache-")
else:
    # Each worker has a core: torch's threads of one would wait for those of the other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ATTRIBUTES = ("red", "hat", "striped")
# A backbone and a size that train in seconds.
QUICK = (
    "--backbone", "resnet18", "--weights", "none", "--image-size", "64x32", "--batch-size", "8",
    "--lr", "1e-3", "--workers", "0",
)  # fmt: skip


def draw_figure(seed: int, red: bool, hat: bool, striped: bool) -> Image.Image:
    """A picture of 32 x 64: a coloured body, perhaps a white bar on top, perhaps black stripes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (64, 32, 3), dtype=np.uint8)
    pixels[16:, 8:24] = (200, 30, 30) if red else (30, 30, 200)
    if striped:
        pixels[16::8, 8:24] = 0
        pixels[17::8, 8:24] = 0
    if hat:
        pixels[4:14, 6:26] = 250
    return Image.fromarray(pixels)


def make_dataset(folder: Path, count: int = 40, split: bool = True) -> Path:
    """A dataset of drawn figures in `folder/images` with labels.csv."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(count):
        labels = {"red": i % 2 == 0, "hat": i % 4 < 2, "striped": i % 5 < 2}
        draw_figure(i, **labels).save(folder / "images" / f"{i:03d}.png")
        part = ("train", "train", "train", "val", "test")[i % 11 % 5]
        row = [f"images/{i:03d}.png", *([part] if split else []), *map(int, labels.values())]
        rows.append(row)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", *(["split"] if split else []), *ATTRIBUTES])
        writer.writerows(rows)
    return folder


def make_prepared(folder: Path, train: int, val: int) -> Prepared:
    """A prepared folder of so many drawn figures in each split, and none in test."""
    table = csv_format.read(make_dataset(folder / "dataset", train + val, split=False))
    splits = np.repeat([SPLITS.index("train"), SPLITS.index("val")], [train, val]).astype(np.int8)
    write_prepared(folder / "prepared", replace(table, splits=splits), Origin("figures", "csv"))
    return read_prepared(folder / "prepared")


@dataclass(frozen=True)
class Outcome:
    """What a command left on its streams, and its exit code."""

    code: int
    out: str
    err: str


def run_vaa(
    *arguments: str | Path,
    cwd: Path,
    stdin: str | None = None,
    environment: dict[str, str] | None = None,
    before: Callable[[], None] | None = None,
) -> Outcome:
    """Run the real `vaa` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "vaa_cli", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=600,
        check=False,
        env={**os.environ, **(environment or {})},
        preexec_fn=before,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def without_torch(folder: Path) -> dict[str, str]:
    """An environment where loading torch is an error: what comes before it is quick."""
    (folder / "no-torch").mkdir(exist_ok=True)
    (folder / "no-torch" / "torch.py").write_text("raise AssertionError('torch was loaded')\n")
    return {"PYTHONPATH": str(folder / "no-torch")}


def assert_one_line_error(outcome: Outcome, *parts: str) -> None:
    """The outcome is a wrong request: exit code 2, one line on stderr that has all the parts."""
    assert outcome.code == 2, outcome
    lines = outcome.err.strip().splitlines()
    errors = [line for line in lines if line.startswith("error:")]
    assert len(errors) == 1, outcome.err
    assert lines[-1] == errors[0], outcome.err
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in errors[0], (part, errors[0])


def read_rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV by column name."""
    return list(csv.DictReader(text.splitlines()))


def contents(folder: Path) -> Sequence[str]:
    """The names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def limit_file_size(size: int) -> None:
    """Files cannot grow beyond a size: what a full disk looks like to a process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the tiny dataset was prepared and a model was trained on it.

    Workers share it, so the first one makes it, and no test may take from it or change what is
    there.
    """
    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    folder, made = shared / "workspace", shared / "workspace-made"
    with FileLock(shared / "workspace.lock"):
        if not made.exists():
            make_dataset(folder / "dataset", count=60)
            prepared = run_vaa("prepare", "dataset", cwd=folder)
            assert prepared.code == 0, prepared.err
            trained = run_vaa("train", *QUICK, "--epochs", "8", cwd=folder)
            assert trained.code == 0, trained.err
            made.touch()
    return folder
