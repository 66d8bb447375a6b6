"""explain, calibrate, compare and evaluate's regions, as people type them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.special import expit

from tests.helpers.command import assert_one_line_error, read_rows, run_vaa
from tests.helpers.figures import ATTRIBUTES
from tests.helpers.pictures import write_rows
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.models.card import read_card
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.models.model_file import load_model

# An engine that begins at once also with a model that was not there before.
QUICKLY = ("--engine", "torch", "--precision", "fp32", "--workers", "0")


def model_of(workspace: Path) -> Path:
    return workspace / "runs" / "latest" / "best.safetensors"


@pytest.fixture
def own(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the workspace's model file, for tests that change it."""
    return Path(shutil.copy(model_of(workspace), tmp_path / "model.safetensors"))


# explain


@pytest.fixture(scope="module")
def arrays(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """What explain says of all pictures of the dataset."""
    raw = tmp_path_factory.mktemp("raw") / "seen.npz"
    outcome = run_vaa("explain", "dataset/images", "--raw", raw, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{raw}\n"
    with np.load(raw, allow_pickle=False) as found:
        return dict(found)


def test_a_figure_a_row_and_broken_ones_cost_nothing(workspace: Path, tmp_path: Path) -> None:
    shutil.copy(workspace / "dataset/images/000.png", tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    table = write_rows(
        tmp_path / "boxes.csv", ["image", "left", "top", "width", "height"],
        ["a.png", 0, 0, 16, 32], ["a.png", 16, 0, 16, 64], ["a.png", 99, 0, 5, 5],
    )  # fmt: skip
    run = model_of(workspace)
    outcome = run_vaa(
        "explain", table, "broken.jpg", "a.png", "--attributes", "hat,red", "--run", run,
        cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 1
    names = ["a.attention.png", "a-2.attention.png", "a-3.attention.png"]
    assert outcome.out.splitlines() == [f"explained/{name}" for name in names]
    assert (
        "a.png: the box (99, 0, 5, 5) has no area" in outcome.err
        and "broken.jpg: not a picture" in outcome.err
    )
    assert "Traceback" not in outcome.err
    figures = []
    for name in names:
        with Image.open(tmp_path / "explained" / name) as figure:
            assert figure.format == "PNG"
            figures.append(figure.size)


def test_arrays_are_what_the_model_computes(workspace: Path, arrays: dict[str, np.ndarray]) -> None:
    model, card = load_model(model_of(workspace))
    assert arrays["attributes"].tolist() == list(ATTRIBUTES)
    assert len(arrays["images"]) == 60
    path = workspace / str(arrays["images"][7])
    height, width = card.image_size
    picture = open_picture(path).resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        output = model(Normalisation(card.mean, card.std)(pixels))
    expected = output.logits.sigmoid()[0].numpy()
    assert arrays["probabilities"][7] == pytest.approx(expected, abs=1e-5)
    for stage, maps in zip(card.stages, output.maps, strict=True):
        attention, confidence = arrays[f"attention_{stage}"], arrays[f"confidence_{stage}"]
        assert attention.shape == confidence.shape == (60, *maps.attention.shape[1:])
        assert attention.sum(axis=(2, 3)) == pytest.approx(np.ones((60, 3)), abs=1e-4)
        assert attention[7] == pytest.approx(maps.attention[0].numpy(), abs=1e-5)
        assert confidence[7] == pytest.approx(maps.confidence[0].sigmoid().numpy(), abs=1e-5)
    assert np.isnan(arrays["boxes"]).all()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--attributes", "hut"], "the model has no attribute 'hut'; did you mean 'hat'?"),
        (["--attributes", "hat,hat"], "names 'hat' twice"),
        (["--raw", "out.txt"], "call it out.npz"),
        (["--out", "labels.csv"], "labels.csv"),
    ],
)
def test_wrong_requests_to_explain(workspace: Path, arguments: list[str], told: str) -> None:
    run = model_of(workspace)
    outcome = run_vaa(
        "explain", "images/000.png", "--run", run, *arguments, cwd=workspace / "dataset"
    )
    assert_one_line_error(outcome, told)


# evaluate --boxes and --masks


def test_places_are_scored_beside_the_labels(
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
    arguments = ("evaluate", *QUICKLY, "--boxes", boxes, "--format", "json")
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    records = {r["attribute"]: r for r in json.loads(outcome.out)["attributes"]}
    assert records["hat"]["places"] == len(test)
    assert records["red"]["places"] == 0 and records["red"]["hits stage 3"] is None
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
    arguments = ("evaluate", *QUICKLY, "--masks", tmp_path / "masks", "--format", "csv")
    found = {row["attribute"]: row for row in read_rows(run_vaa(*arguments, cwd=workspace).out)}
    for kind in ("hits", "mass"):
        for where in ("stage 3", "stage 4", "stage 4, attention alone", "uniform", "centred"):
            value = float(found["hat"][f"{kind} {where}"])
            assert value == pytest.approx(records["hat"][f"{kind} {where}"], abs=1e-5)
    assert found["striped"]["places"] == "0" and found["striped"]["mass uniform"] == ""


def test_boxes_of_unknown_pictures(workspace: Path, tmp_path: Path) -> None:
    boxes = write_rows(
        tmp_path / "boxes.csv", ["image", "attribute", "left", "top", "width", "height"],
        ["images/000.png", "hat", 1, 1, 2, 2], ["images/nowhere.png", "hat", 1, 1, 2, 2],
    )  # fmt: skip
    outcome = run_vaa("evaluate", "--boxes", boxes, *QUICKLY, cwd=workspace)
    assert_one_line_error(outcome, "row 3", "images/nowhere.png", "no picture of the dataset")
    outcome = run_vaa("evaluate", "--boxes", boxes, "--masks", "x", cwd=workspace)
    assert_one_line_error(outcome, "give one of them")


# calibrate


@pytest.fixture(scope="module")
def calibrated(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace's model, calibrated in its place."""
    path = tmp_path_factory.mktemp("calibrated") / "model.safetensors"
    shutil.copy(model_of(workspace), path)
    outcome = run_vaa("calibrate", "--run", path, *QUICKLY, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert "temperature" in outcome.out and "where it was fitted" in outcome.out
    return path


def test_calibration_is_kept_in_the_model(
    workspace: Path, calibrated: Path, arrays: dict[str, np.ndarray]
) -> None:
    before, after = load_file(model_of(workspace)), load_file(calibrated)
    assert all(torch.equal(before[name], after[name]) for name in before)
    card = read_card(calibrated)
    assert card.temperatures and card.thresholds != (0.5,) * 3
    # What is predicted is the same logits, divided.
    names = [Path(str(image)).name for image in arrays["images"]]
    found = read_rows(
        run_vaa("predict", "dataset/images", *QUICKLY, "--run", calibrated, cwd=workspace).out
    )
    for row in found:
        old = arrays["probabilities"][names.index(Path(row["image"]).name)].astype(float)
        new = expit((np.log(old) - np.log1p(-old)) / card.temperatures)
        assert [float(row[name]) for name in ATTRIBUTES] == pytest.approx(new, abs=2e-4)


@pytest.mark.slow
def test_engines_and_exports_are_calibrated_too(workspace: Path, own: Path, tmp_path: Path) -> None:
    assert run_vaa("calibrate", "--run", own, *QUICKLY, cwd=workspace).code == 0
    card = read_card(own)
    export = tmp_path / "model.onnx"
    assert run_vaa("export", "--run", own, "--out", export, cwd=workspace).code == 0
    rows = [
        read_rows(run_vaa("predict", "dataset/images", *options, cwd=workspace).out)
        for options in (
            ("--run", own, "--engine", "torch", "--precision", "fp32"),
            ("--run", own, "--engine", "openvino", "--precision", "fp32"),
            ("--run", export),
        )
    ]
    for expected, *others in zip(*rows, strict=True):
        for other in others:
            for name in ATTRIBUTES:
                assert float(other[name]) == pytest.approx(float(expected[name]), abs=1e-4)
    # Done again, it gives the same: it begins from the weights.
    assert run_vaa("calibrate", "--run", own, *QUICKLY, cwd=workspace).code == 0
    assert read_card(own).thresholds == pytest.approx(card.thresholds, abs=1e-4)
    assert read_card(own).temperatures == pytest.approx(card.temperatures, rel=1e-3)


def test_only_val_is_looked_at(
    workspace: Path, own: Path, calibrated: Path, tmp_path: Path
) -> None:
    """With other labels in train and test, and pictures that are not there, all is the same."""
    shutil.copytree(workspace / "prepared", tmp_path / "other")
    for split in ("train", "test"):
        table = pd.read_csv(tmp_path / "other" / f"{split}.csv")
        table[list(ATTRIBUTES)] = 1 - table[list(ATTRIBUTES)]
        table["image"] = [f"images/gone{i}.png" for i in range(len(table))]
        table.to_csv(tmp_path / "other" / f"{split}.csv", index=False)
    description = json.loads((tmp_path / "other/dataset.json").read_text())
    description["root"] = str(workspace / "dataset")
    (tmp_path / "other/dataset.json").write_text(json.dumps(description))
    out = tmp_path / "new.safetensors"
    arguments = ("calibrate", "--run", own, "--data", tmp_path / "other", "--out", out, *QUICKLY)
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert read_card(out) == read_card(calibrated)
    assert read_card(own).temperatures == ()  # the original is as it was
    val = pd.read_csv(tmp_path / "other/val.csv")
    val[list(ATTRIBUTES)] = 1 - val[list(ATTRIBUTES)]
    val.to_csv(tmp_path / "other/val.csv", index=False)
    assert run_vaa(*arguments, cwd=workspace).code == 0
    assert read_card(out).thresholds != read_card(calibrated).thresholds


@pytest.mark.slow
def test_evaluate_tells_both(workspace: Path, calibrated: Path) -> None:
    arguments = ("evaluate", *QUICKLY, "--format", "json")
    found = json.loads(run_vaa(*arguments, "--run", calibrated, cwd=workspace).out)
    plain = json.loads(run_vaa(*arguments, cwd=workspace).out)
    before, after = found["calibration"]
    assert before["mA"] == pytest.approx(plain["totals"]["mA"])
    assert before["calibration_error"] == pytest.approx(plain["calibration_error"], abs=1e-4)
    assert after["mA"] == found["totals"]["mA"]
    assert after["calibration_error"] == found["calibration_error"]
    assert plain["calibration"] == []
    table = run_vaa("evaluate", *QUICKLY, "--split", "val", "--run", calibrated, cwd=workspace)
    assert "uncalibrated, at 0.5" in table.out and "calibrated, at its thresholds" in table.out
    assert "fitted on val" in table.err


def test_what_cannot_be_calibrated(workspace: Path, tmp_path: Path) -> None:
    exported = tmp_path / "m.onnx"
    exported.write_bytes(b"")
    outcome = run_vaa("calibrate", "--run", exported, cwd=workspace)
    assert_one_line_error(outcome, "is an export", "export it again")
    shutil.copytree(workspace / "prepared", tmp_path / "other")
    val = pd.read_csv(tmp_path / "other/val.csv")
    val[list(ATTRIBUTES)] = ""
    val.to_csv(tmp_path / "other/val.csv", index=False)
    outcome = run_vaa("calibrate", "--data", tmp_path / "other", cwd=workspace)
    assert_one_line_error(outcome, "no labelled val pictures")


# compare


@pytest.mark.slow
def test_runs_side_by_side(workspace: Path, calibrated: Path) -> None:
    runs = [str(model_of(workspace)), str(calibrated)]
    arguments = ("compare", *runs, "--samples", "100", *QUICKLY)
    rows = read_rows(run_vaa(*arguments, "--format", "csv", cwd=workspace).out)
    assert [row["run"] for row in rows] == runs * (len(rows) // 2)
    plain = json.loads(run_vaa("evaluate", "--format", "json", *QUICKLY, cwd=workspace).out)
    assert float(rows[0]["value"]) == pytest.approx(plain["totals"]["mA"])
    # Temperatures change no order, so AP stays; its difference is no noise but nothing.
    ap = [row for row in rows if row["figure"] == "AP" and row["difference"]]
    assert len(ap) == 3
    assert all(float(row["difference"]) == pytest.approx(0, abs=1e-6) for row in ap)


def test_what_cannot_be_compared(workspace: Path, own: Path, tmp_path: Path) -> None:
    assert_one_line_error(run_vaa("compare", own, cwd=workspace), "two runs or more")
    outcome = run_vaa("compare", own, tmp_path / "none", cwd=workspace)
    assert_one_line_error(outcome, "no such run folder")
    outcome = run_vaa("compare", own, own, "--split", "nope", cwd=workspace)
    assert_one_line_error(outcome, "nope")


# evaluate --report


def test_a_report(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    arguments = ["evaluate", "--report", str(folder), *QUICKLY]
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    page = (folder / "index.html").read_text()
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert page.count("data:image/jpeg") >= 9 and all(name in page for name in ATTRIBUTES)
    assert "Loss by epoch" in page  # the run's log is beside the model
    (folder / "mine.txt").write_text("keep")
    before = (folder / "index.html").read_bytes()
    assert_one_line_error(run_vaa(*arguments, cwd=workspace), "holds other files (mine.txt)")
    assert (folder / "index.html").read_bytes() == before


def test_no_report_of_an_export(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    outcome = run_vaa(
        "evaluate", "--run", tmp_path / "m.onnx", "--report", tmp_path / "r", cwd=workspace
    )
    assert_one_line_error(outcome, "is an export, which gives no attention")
