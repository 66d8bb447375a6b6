"""Fixtures of several whole commands: the shared model, copied, calibrated and explained."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command import TORCH_FP32, newest_model, run_vaa


@pytest.fixture
def model_copy(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the workspace's model file, for tests that change it."""
    return Path(shutil.copy(newest_model(workspace), tmp_path / "model.safetensors"))


@pytest.fixture(scope="session")
def arrays(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What explain says of all pictures of the dataset."""
    raw = tmp_path_factory.mktemp("raw") / "seen.npz"
    outcome = run_vaa("explain", "dataset/images", "--raw", raw, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{raw}\n"
    with np.load(raw, allow_pickle=False) as found:
        return dict(found)


@pytest.fixture(scope="session")
def calibrated(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace's model, calibrated in its place."""
    path = tmp_path_factory.mktemp("calibrated") / "model.safetensors"
    shutil.copy(newest_model(workspace), path)
    outcome = run_vaa("calibrate", "--run", path, *TORCH_FP32, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert "temperature" in outcome.out and "where it was fitted" in outcome.out
    return path
