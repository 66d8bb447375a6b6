"""Environment of all tests, and one trained run that they share."""

import atexit
import os
import runpy
import shutil
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from tests.helpers.command import QUICK, run_vaa
from tests.helpers.figures import make_dataset

if "PYTEST_XDIST_WORKER" not in os.environ:
    # What engines keep of converted models goes with the tests; workers share it.
    os.environ["VAA_CACHE"] = tempfile.mkdtemp(prefix="vaa-cache-")
    atexit.register(shutil.rmtree, os.environ["VAA_CACHE"], ignore_errors=True)
else:
    # Each worker has a core: torch's threads of one would wait for those of the other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


if "VAA_TEST_AUTO" in os.environ:
    # The suite as on a processor whose `auto` is another precision, in this process and in others.
    folder = Path(__file__).parent / "helpers" / "auto_precision"
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    runpy.run_path(str(folder / "sitecustomize.py"))


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
            arguments = (*QUICK, "--precision", "fp32", "--epochs", "8", "--no-calibrate")
            trained = run_vaa("train", *arguments, cwd=folder)
            assert trained.code == 0, trained.err
            made.touch()
    return folder
