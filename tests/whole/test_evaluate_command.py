"""vaa evaluate: regions and reports."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vaa_cli as vaa
from tests.helpers.command import (
    TORCH_FP32,
    assert_one_line_error,
    read_rows,
    run_vaa,
)
from tests.helpers.figures import ATTRIBUTES
from tests.helpers.pictures import write_rows
from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.reports.evaluation_report import write_report


def test_regions_are_scored_beside_the_labels(
    workspace: Path, arrays: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """Once as boxes and once as masks."""
    labels = pd.read_csv(workspace / "dataset/labels.csv")
    test = labels[(labels["hat"] == 1) & (labels["split"] == "test")]
    rows = [[image, "hat", 6, 4, 20, 10] for image in labels["image"]]
    boxes = write_rows(
        tmp_path / "boxes.csv", ["image", "attribute", "left", "top", "width", "height"], *rows
    )
    (tmp_path / "masks").mkdir()
    write_rows(tmp_path / "mask_values.csv", ["value", "name"], (0, "null"), (9, "hat"))
    mask = np.zeros((64, 32), dtype=np.uint8)
    mask[4:14, 6:26] = 9
    for i in range(60):
        Image.fromarray(mask).save(tmp_path / f"masks/{i:03d}.png")
    arguments = ("evaluate", *TORCH_FP32, "--boxes", boxes, "--format", "json")
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    records = {r["attribute"]: r for r in json.loads(outcome.out)["attributes"]}
    assert records["hat"]["regions"] == len(test)
    assert records["red"]["regions"] == 0 and records["red"]["hits stage 3"] is None
    assert records["hat"]["mass uniform"] == pytest.approx(20 * 10 / (32 * 64))
    # The same from the arrays that explain gives.
    names = [Path(str(image)).name for image in arrays["images"]]
    chosen = [names.index(Path(image).name) for image in test["image"]]
    weighted = (arrays["attention_3"] * arrays["confidence_3"])[chosen, 1]
    assert weighted.shape[1:] == (4, 2)  # cells of 16 x 16 pixels
    # Rows 4 to 14 and columns 6 to 26 of the picture: 10 and 10 of 16 in both upper cells.
    inside = weighted[:, 0].sum(axis=1) * (10 * 10) / 256
    expected = (inside / weighted.sum(axis=(1, 2))).mean()
    assert records["hat"]["mass stage 3"] == pytest.approx(expected, abs=1e-4)
    arguments = ("evaluate", *TORCH_FP32, "--masks", tmp_path / "masks", "--format", "csv")
    found = {row["attribute"]: row for row in read_rows(run_vaa(*arguments, cwd=workspace).out)}
    for kind in ("hits", "mass"):
        for where in ("stage 3", "stage 4", "stage 4, attention alone", "uniform", "centred"):
            value = float(found["hat"][f"{kind} {where}"])
            assert value == pytest.approx(records["hat"][f"{kind} {where}"], abs=1e-5)
    assert found["striped"]["regions"] == "0" and found["striped"]["mass uniform"] == ""


def test_boxes_of_unknown_pictures(workspace: Path, tmp_path: Path) -> None:
    boxes = write_rows(
        tmp_path / "boxes.csv", ["image", "attribute", "left", "top", "width", "height"],
        ["images/000.png", "hat", 1, 1, 2, 2], ["images/nowhere.png", "hat", 1, 1, 2, 2],
    )  # fmt: skip
    outcome = run_vaa("evaluate", "--boxes", boxes, *TORCH_FP32, cwd=workspace)
    assert_one_line_error(outcome, "row 3", "images/nowhere.png", "no picture of the dataset")
    outcome = run_vaa("evaluate", "--boxes", boxes, "--masks", "x", cwd=workspace)
    assert_one_line_error(outcome, "give one of them")


def test_a_report(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    arguments = ["evaluate", "--report", str(folder), *TORCH_FP32]
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    page = (folder / "index.html").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "mistakes.csv"]
    assert page.count("data:image/jpeg") >= 9 and all(name in page for name in ATTRIBUTES)
    assert "Loss by epoch" in page  # the run's log is beside the model
    (folder / "mine.txt").write_text("keep")
    before = (folder / "index.html").read_bytes()
    assert_one_line_error(run_vaa(*arguments, cwd=workspace), "holds other files (mine.txt)")
    assert (folder / "index.html").read_bytes() == before


def test_every_mistake_is_listed(workspace: Path, tmp_path: Path) -> None:
    options = EngineOptions(engine="torch", precision="fp32", workers=0)
    evaluation = vaa.evaluate(
        workspace / "runs/latest", workspace / "prepared", attention=True, options=options
    )
    # The model makes too few on these pictures, so the labels are others.
    labels = np.random.default_rng(0).integers(-1, 2, evaluation.probabilities.shape)
    table = replace(evaluation.split.table, labels=labels.astype(np.int8))
    evaluation = replace(evaluation, split=replace(evaluation.split, table=table))
    write_report(tmp_path / "report", evaluation)
    found = read_rows((tmp_path / "report/mistakes.csv").read_text())
    limits = evaluation.split.card.thresholds
    expected = set()
    for row, image in enumerate(table.row_images):
        for c, name in enumerate(table.attributes):
            decided, label = evaluation.probabilities[row, c] >= limits[c], table.labels[row, c]
            if label == 1 and not decided:
                expected.add((image, name, "missed"))
            if label == 0 and decided:
                expected.add((image, name, "wrongly seen"))
    assert {(row["image"], row["attribute"], row["mistake"]) for row in found} == expected
    assert len(found) == len(expected) > 3
    for name in table.attributes:
        rows = [row for row in found if row["attribute"] == name]
        sure = [abs(float(row["probability"]) - float(row["threshold"])) for row in rows]
        assert sure == sorted(sure, reverse=True)


def test_no_report_of_an_export(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    outcome = run_vaa(
        "evaluate", "--run", tmp_path / "m.onnx", "--report", tmp_path / "r", cwd=workspace
    )
    assert_one_line_error(outcome, "is an export, which gives no attention")


def test_scores_on_pictures_of_the_training_are_marked(workspace: Path) -> None:
    outcome = run_vaa("evaluate", "--split", "train", *TORCH_FP32, cwd=workspace)
    assert re.search(r"was trained on (\d+) of these \1 pictures; its figures", outcome.err)
    assert "was trained on" not in run_vaa("evaluate", *TORCH_FP32, cwd=workspace).err


def test_mistakes_are_listed(workspace: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    outcome = run_vaa("evaluate", *TORCH_FP32, "--mistakes", path, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert str(path) in outcome.err
    rows = read_rows(path.read_text())
    evaluation = vaa.evaluate(
        next((workspace / "runs").iterdir()), workspace / "prepared",
        options=EngineOptions("torch", "fp32"),
    )  # fmt: skip
    card, table = evaluation.split.card, evaluation.split.table
    decided = evaluation.probabilities >= np.array(card.thresholds)
    expected = {
        (table.row_images[row], card.attributes[c], str(table.labels[row, c]))
        for row, c in zip(*np.nonzero(decided != (table.labels == 1)), strict=True)
    }
    assert {(row["image"], row["attribute"], row["label"]) for row in rows} == expected
    assert {row["split"] for row in rows} <= {"test"}
    again = run_vaa("evaluate", *TORCH_FP32, "--mistakes", path, cwd=workspace)
    assert again.code == 0, again.err
    path.write_text("image,hat\n")
    refused = run_vaa("evaluate", *TORCH_FP32, "--mistakes", path, cwd=workspace)
    assert_one_line_error(refused, "is not a list of mistakes", "out.csv")
    alone = run_vaa("evaluate", "--folds", "3", cwd=workspace)
    assert_one_line_error(alone, "--folds", "--mistakes")


def test_mistakes_by_folds(workspace: Path, tmp_path: Path) -> None:
    """The trainings are kept, so that the same command again is quick."""
    run = tmp_path / "run"
    shutil.copytree(next((workspace / "runs").iterdir()), run)
    arguments = ("evaluate", *TORCH_FP32, "--run", run, "--mistakes", tmp_path / "out.csv")
    outcome = run_vaa(*arguments, "--folds", "2", "--workers", "0", cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert "2 trainings in" in outcome.err and "of which 0 are done" in outcome.err
    rows = read_rows((tmp_path / "out.csv").read_text())
    assert {row["split"] for row in rows} <= {"train", "val", "test"}
    again = run_vaa(*arguments, "--folds", "2", "--workers", "0", cwd=workspace)
    assert "of which 2 are done" in again.err, again.err
    assert read_rows((tmp_path / "out.csv").read_text()) == rows
