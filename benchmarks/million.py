"""A million pictures in one command: rows, time, memory, and the first part.

python -m benchmarks.million RUN FOLDER [--pictures 1000000]

Makes tiny pictures in FOLDER (a thousand files, the others hard links), predicts them to parts with
the model RUN, and prints the time, the resident memory of the process at a tenth and at most, and
when the first part was there. A tiny model shows what is around the model.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.ray_predict import make_pictures


def memory_of(process: int) -> float:
    """MB that a process has in memory now; 0 when it has ended."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("VmRSS")), "VmRSS 0 kB")
    return int(line.split()[1]) / 1000


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    asked = parser.parse_args()
    pictures, out = asked.folder / "pictures", asked.folder / "rows"
    if not pictures.is_dir():
        pictures.mkdir(parents=True)
        make_pictures(pictures, asked.pictures)
    command = [sys.executable, "-m", "vaa_cli", "predict", str(pictures), "--run", asked.run]
    start, first, early, largest = time.perf_counter(), 0.0, 0.0, 0.0
    process = subprocess.Popen([*command, "--out", f"{out}{os.sep}"])
    while process.poll() is None:
        time.sleep(0.5)
        now = memory_of(process.pid)
        largest = max(largest, now)
        parts = len(list(out.glob("part-*"))) if out.is_dir() else 0
        if parts and not first:
            first = time.perf_counter() - start
        if parts >= asked.pictures // 500_000 and not early:
            early = now
    seconds = time.perf_counter() - start
    manifest = json.loads((out / "manifest.json").read_text())
    print(
        f"{sum(manifest['rows']):,} rows in {len(manifest['rows'])} parts, {seconds:.0f} s "
        f"({asked.pictures / seconds:,.0f} a second); first part after {first:.0f} s; memory "
        f"{early:.0f} MB at a tenth, {largest:.0f} MB at most; exit code {process.returncode}"
    )


if __name__ == "__main__":
    main()
