"""Does a training survive `kill -9` at any moment? The real `vaa train`, killed and resumed.

    python benchmarks/kill_resume.py [--kills 20] [--epochs 6] [--pictures 240] [--seed 0]

Trains once without interruption. Trains again in another folder, kills the process with SIGKILL
at random moments spread over its life - while it starts, learns, validates, saves -, each time
going on with `vaa train --resume` and another number of loader workers. In the end
`best.safetensors` must be the same byte for byte, and `log.csv` but for the columns of times.
Exit code 1 if it is not so.
"""

import argparse
import io
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from vaa_cli.core.runs.folder import BEST, LAST, LOG

SAMPLE_DATA = Path(__file__).parents[1] / "sample_data"
TIMES = ("images_per_second", "seconds")
TRAIN = (
    "--backbone", "resnet18", "--weights", "none", "--image-size", "64x32", "--batch-size", "16",
    "--set", "hidden=64", "--lr", "1e-3", "--ema", "0.99", "--patience", "0", "--no-tensorboard",
)  # fmt: skip


@dataclass
class Kills:
    """What was killed when.

    Attributes:
        moments: seconds after the start of each process that was killed.
        while_saving: how many left a half-written file behind.
        before_first: how many died before there was a checkpoint.
    """

    moments: list[float] = field(default_factory=list)
    while_saving: int = 0
    before_first: int = 0


def train(folder: Path, run: str, arguments: Sequence[str], workers: int) -> subprocess.Popen[str]:
    """Start the real `vaa train`, for a run that begins or goes on."""
    command = [sys.executable, "-m", "vaa_cli", "train", "--run", run, "--resume", *arguments]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_to_end(folder: Path, run: str, arguments: Sequence[str], workers: int) -> float:
    """Train without interruption; returns the seconds that it took."""
    start = time.perf_counter()
    process = train(folder, run, arguments, workers)
    _, messages = process.communicate()
    if process.returncode:
        raise RuntimeError(f"vaa train ended with exit code {process.returncode}:\n{messages}")
    return time.perf_counter() - start


def train_with_kills(
    folder: Path, run: str, arguments: Sequence[str], kills: int, latest: float, rng: random.Random
) -> Kills:
    """Train, with so many kills on the way, and then to the end.

    Args:
        folder: with the prepared folder.
        run: the run folder in it.
        arguments: of `vaa train`.
        kills: how many; fewer if it ends before.
        latest: seconds after its start by which a process is killed.
        rng: tells the moments.
    """
    done = Kills()
    for _ in range(kills):
        moment = rng.uniform(0.2, latest)
        process = train(folder, run, arguments, workers=rng.randrange(3))
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if process.returncode != -signal.SIGKILL:
            break
        done.moments.append(moment)
        place = folder / run
        done.while_saving += any(place.glob(".*.tmp")) if place.is_dir() else False
        done.before_first += not (place / LAST).exists()
    train_to_end(folder, run, arguments, workers=2)
    return done


def differences(one: Path, other: Path) -> list[str]:
    """What two run folders have not in common, of what should not depend on interruptions."""
    found = []
    for name in (BEST,):
        contents = [(run / name).read_bytes() for run in (one, other) if (run / name).exists()]
        if len(contents) == 1 or len(set(contents)) > 1:
            found.append(name)
    if log_without_times(one) != log_without_times(other):
        found.append(LOG)
    return found


def log_without_times(run: Path) -> str:
    """A run's log.csv without the columns that tell of times."""
    text = (run / LOG).read_text()
    return pd.read_csv(io.StringIO(text), dtype=str).drop(columns=list(TIMES)).to_csv()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate = [sys.executable, str(SAMPLE_DATA / "generate.py"), "--out", "people"]
        subprocess.run(
            [*generate, "--count", str(options.pictures)], cwd=folder, check=True, stdout=2
        )
        prepare = [sys.executable, "-m", "vaa_cli", "prepare", "people", "prepared"]
        subprocess.run(prepare, cwd=folder, check=True)
        arguments = [*TRAIN, "--epochs", str(options.epochs), "--save-every", "1s"]
        life = train_to_end(folder, "whole", arguments, workers=1)
        start = train_to_end(folder, "whole", arguments, workers=1)  # nothing is left to do
        print(f"without interruption: {life:.1f} s, of which {start:.1f} s to start", flush=True)
        rng = random.Random(options.seed)
        # Much of what a process does is lost when it is killed before it saves.
        latest = start + 1.6 * (life - start) / options.kills
        kills = train_with_kills(folder, "killed", arguments, options.kills, latest, rng)
        moments = ", ".join(f"{moment:.1f}" for moment in kills.moments)
        print(f"{len(kills.moments)} kills, s after the start: {moments}")
        print(
            f"of these {kills.while_saving} while a file was written, "
            f"{kills.before_first} before the first checkpoint"
        )
        found = differences(folder / "whole", folder / "killed")
        if len(kills.moments) < options.kills:
            print("the training ended before all kills; give it more --epochs")
        print(f"differ: {', '.join(found)}" if found else "the same: both models and the log")
    raise SystemExit(1 if found or len(kills.moments) < options.kills else 0)


if __name__ == "__main__":
    main()
