"""An exclusive group from a table of words to the rows, reports and exports of a model."""

import json
from pathlib import Path

import numpy as np
import pytest

import vaa_cli as vaa
from tests.helpers.command import QUICK, TORCH_FP32, assert_one_line_error, read_rows, run_vaa
from tests.helpers.figures import make_dataset
from tests.helpers.pictures import write_rows
from vaa_cli.core.datasets.prepared import read_prepared
from vaa_cli.core.prediction.predictor import open_predictor

WORDS = ("thick", "thin", "wide")
NAMES = tuple(f"stripe={word}" for word in WORDS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a column of words, prepared, and a model trained on it."""
    here = tmp_path_factory.mktemp("groups")
    labels = make_dataset(here / "dataset", 60) / "labels.csv"
    rows = read_rows(labels.read_text())
    cells = [
        (row["image"], row["split"], row["hat"], ("" if k % 9 == 0 else WORDS[k % 3]))
        for k, row in enumerate(rows)
    ]
    write_rows(labels, ("image", "split", "hat", "stripe"), *cells)
    for command in (
        ("prepare", "dataset"),
        ("train", *QUICK, "--precision", "fp32", "--epochs", "3"),
    ):
        outcome = run_vaa(*command, cwd=here)
        assert outcome.code == 0, outcome.err
    return here


@pytest.fixture(scope="module")
def probabilities(folder: Path) -> np.ndarray:
    """Of all pictures, in the order of their names."""
    (run,) = (path for path in (folder / "runs").iterdir() if path.name != "latest")
    predictor = open_predictor(run, engine="torch", precision="fp32", workers=0)
    assert predictor.attributes == ("hat", *NAMES)
    assert predictor.card.groups == {"stripe": NAMES}
    return predictor(sorted((folder / "dataset/images").iterdir()))


def decided(folder: Path, probabilities: np.ndarray) -> list[str]:
    """The word of each picture, by the rule: the furthest above its threshold, if any is."""
    (run,) = (path for path in (folder / "runs").iterdir() if path.name != "latest")
    card = open_predictor(run, engine="torch", workers=0).card
    words = []
    for row in probabilities:
        margins = [
            np.log(p / (1 - p)) - np.log(t / (1 - t))
            for p, t in zip(row[1:], card.thresholds[1:], strict=True)
        ]
        best = int(np.argmax(margins))
        words.append(WORDS[best] if margins[best] >= 0 else "(none)")
    return words


def test_it_is_recorded(folder: Path) -> None:
    assert read_prepared(folder / "prepared").groups == {"stripe": NAMES}


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_rows_have_one_word(folder: Path, probabilities: np.ndarray, format: str) -> None:
    path = folder / f"out.{format}"
    arguments = ("predict", "dataset/images", *TORCH_FP32, "--decisions", "--out", path)
    outcome = run_vaa(*arguments, "--groups", cwd=folder)
    assert outcome.code == 0, outcome.err
    if format == "csv":
        words = [row["stripe"] for row in read_rows(path.read_text())]
    elif format == "jsonl":
        lines = path.read_text().splitlines()
        words = [json.loads(line)["attributes"]["stripe"] for line in lines]
    else:
        words = pytest.importorskip("pyarrow.parquet").read_table(path)["stripe"].to_pylist()
    assert words == decided(folder, probabilities)


def test_decisions_have_one_of_the_group_at_most(folder: Path, probabilities: np.ndarray) -> None:
    outcome = run_vaa("predict", "dataset/images", *TORCH_FP32, "--decisions", cwd=folder)
    rows = read_rows(outcome.out)
    found = [[word for word in WORDS if row[f"stripe={word}"] == "1"] for row in rows]
    expected = [[] if word == "(none)" else [word] for word in decided(folder, probabilities)]
    assert found == expected


@pytest.mark.parametrize("name", ["model.onnx", "model.xml"])
def test_exports_decide_alike(folder: Path, probabilities: np.ndarray, name: str) -> None:
    outcome = run_vaa("export", "--out", name, cwd=folder)
    assert outcome.code == 0, outcome.err
    arguments = ("predict", "dataset/images", "--run", name, "--decisions", "--groups")
    outcome = run_vaa(*arguments, "--precision", "fp32", "--workers", "0", cwd=folder)
    assert outcome.code == 0, outcome.err
    words = [row["stripe"] for row in read_rows(outcome.out)]
    assert words == decided(folder, probabilities)


def test_figures_of_the_group(folder: Path, probabilities: np.ndarray) -> None:
    outcome = run_vaa("evaluate", *TORCH_FP32, "--format", "json", cwd=folder)
    assert outcome.code == 0, outcome.err
    (group,) = json.loads(outcome.out)["groups"]
    table = vaa.read_prepared(folder / "prepared").split("test")
    names = sorted(path.name for path in (folder / "dataset/images").iterdir())
    words = dict(zip(names, decided(folder, probabilities), strict=True))
    pairs = [
        (WORDS[int(np.argmax(labels[1:]))], words[Path(name).name])
        for name, labels in zip(table.row_images, table.labels, strict=True)
        if (labels[1:] >= 0).all()
    ]
    assert group["rows"] == len(pairs)
    assert group["accuracy"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
    assert group["words"] == [*WORDS, "(none)"]
    expected = [[pairs.count((a, b)) for b in group["words"]] for a in group["words"]]
    assert group["confusion"] == expected
    shown = run_vaa("evaluate", *TORCH_FP32, "--report", "report", cwd=folder)
    assert f"stripe: accuracy {group['accuracy']:.3f}" in shown.out
    page = (folder / "report/index.html").read_text()
    assert "stripe: accuracy" in page and 'id="groups"' in page
    listed = read_rows((folder / "report/mistakes.csv").read_text())
    wrong = {
        row["image"]
        for row in listed
        if row["attribute"].startswith("stripe=") and row["mistake"] == "wrongly seen"
    }
    assert wrong == {
        name
        for name, labels in zip(table.row_images, table.labels, strict=True)
        for word, label in zip(WORDS, labels[1:], strict=True)
        if label == 0 and words[Path(name).name] == word
    }


def test_a_model_without_groups_has_none_to_write(workspace: Path) -> None:
    outcome = run_vaa("predict", "dataset/images", "--groups", *TORCH_FP32, cwd=workspace)
    assert_one_line_error(outcome, "--groups", "no exclusive groups")
