"""Prepared folders and runs of earlier versions still work.

The fixture was written by the version of commit b45a6c6 (2026-11-26): a dataset of 16 drawn
figures, its prepared folder, a run of resnet18 stopped after two of three epochs, and its
predictions. All
weights but the biases of the primary classifier are 0, so that the archive is small.
"""

import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vaa_cli as vaa
from tests.helpers.command import read_rows, run_vaa

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "folders-of-b45a6c6.tar.xz"


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `people`, `prepared`, `run` and `predicted.csv` of the earlier version."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_a_prepared_folder_is_read(earlier: Path) -> None:
    prepared = vaa.read_prepared(earlier / "prepared")
    assert prepared.attributes == ("red", "hat", "striped")
    assert {name: len(table) for name, table in prepared.splits.items()} == {
        "train": 10, "val": 3, "test": 3
    }  # fmt: skip
    for split in prepared.splits.values():
        for row in range(len(split)):
            assert Path(split.path(row)).is_file()
            number = int(Path(split.path(row)).stem)
            assert split.labels[row].tolist() == [number % 2 == 0, number % 4 < 2, number % 5 < 2]


def test_predictions_are_the_same(earlier: Path) -> None:
    outcome = run_vaa(
        "predict", "people/images", "--run", "run", "--engine", "torch", "--precision", "fp32",
        "--workers", "0", cwd=earlier,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    before = pd.read_csv(earlier / "predicted.csv")
    now = pd.DataFrame(read_rows(outcome.out))
    assert now["image"].tolist() == before["image"].tolist()
    attributes = ["red", "hat", "striped"]
    assert before[attributes].nunique().tolist() == [1, 1, 1]
    np.testing.assert_allclose(now[attributes].astype(float), before[attributes], atol=2e-6)


def test_a_run_is_evaluated_and_goes_on(earlier: Path) -> None:
    evaluation = vaa.evaluate(
        earlier / "run", earlier / "prepared", options=vaa.EngineOptions("torch", "fp32", workers=0)
    )
    assert evaluation.probabilities.shape == (3, 3)
    outcome = run_vaa("train", "--resume", "run", "--data", "prepared", cwd=earlier)
    assert outcome.code == 0, outcome.err
    assert "going on with run after epoch 2" in outcome.err
    log = pd.read_csv(earlier / "run" / "log.csv")
    assert log["epoch"].tolist() == [1, 2, 3]
    assert log["loss"][:2].tolist() == [5.0372, 4.52025]
