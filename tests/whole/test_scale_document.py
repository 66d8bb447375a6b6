"""The programs of docs/scale.md run as they stand there, and give the rows of the plain command."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.command import ROOT, newest_model, run_vaa

DOCUMENT = ROOT / "docs" / "scale.md"


def program(engine: str) -> str:
    """The program of an engine, by the comment that it begins with."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (found,) = (block for block in blocks if block.startswith(f"# {engine}"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "package"), [("Spark", "pyspark"), ("Daft", "daft")])
def test_an_engine_gives_the_rows_of_the_command(
    engine: str, package: str, workspace: Path, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    if package == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    (tmp_path / "runs").mkdir()
    shutil.copytree(newest_model(workspace).parent, tmp_path / "runs" / "people")
    shutil.copytree(workspace / "dataset" / "images", tmp_path / "images")
    (tmp_path / "images" / "broken.png").write_bytes(b"none")
    show = "\nimport json\nprint(json.dumps([row for row in rows], default=str))\n"
    # As in a virtual environment that is activated.
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-c", program(engine) + show],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    found = sorted(json.loads(run.stdout.splitlines()[-1]), key=lambda row: str(row["image"]))
    options = ("--run", "runs/people", "--workers", "0", "--precision", "fp32")
    plain = run_vaa("predict", "images", *options, cwd=tmp_path)
    expected = list(csv.DictReader(plain.out.splitlines()))
    assert [row["image"] for row in found] == [row["image"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row["error"] == other["error"]
        for name in ("red", "hat", "striped"):
            value = row[name]
            if other[name]:
                assert value == pytest.approx(float(other[name]), abs=1e-4)
            else:
                assert value is None or value != value
