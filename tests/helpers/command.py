"""The real `vaa` in a process of its own, and what it left behind."""

import csv
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# A backbone and a size that train in seconds.
QUICK = (
    "--backbone", "resnet18", "--weights", "none", "--image-size", "64x32", "--batch-size", "8",
    "--lr", "1e-3", "--workers", "0",
)  # fmt: skip


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
