"""explain, calibrate, compare and evaluate's places, as people type them."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.special import expit

from tests.conftest import ATTRIBUTES, assert_one_line_error, read_rows, run_vaa
from tests.pictures import write_rows
from vaa_cli.core.checkpoint import load_model
from vaa_cli.core.images import open_picture
from vaa_cli.core.loading import normalise
from vaa_cli.core.model_card import read_card


def model_of(workspace: Path) -> Path:
    return workspace / "runs" / "latest" / "best.safetensors"


@pytest.fixture
def own(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the workspace's model file, for tests that change it."""
    return Path(shutil.copy(model_of(workspace), tmp_path / "model.safetensors"))


# explain


def test_a_figure_a_picture(workspace: Path, tmp_path: Path) -> None:
    pictures = ["dataset/images/000.png", "dataset/images/001.png", "dataset/labels.csv"]
    outcome = run_vaa("explain", *pictures[:2], "-o", tmp_path / "seen", cwd=workspace)
    assert outcome.code == 0, outcome.err
    paths = [Path(line) for line in outcome.out.splitlines()]
    assert [path.name for path in paths] == ["000.attention.png", "001.attention.png"]
    for path in paths:
        with Image.open(path) as figure:
            assert figure.format == "PNG" and min(figure.size) > 200
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_attributes_that_are_asked_for(workspace: Path, tmp_path: Path) -> None:
    sizes = []
    for names in ("hat", "hat,red"):
        arguments = ["dataset/images/000.png", "--attributes", names, "-o", tmp_path]
        outcome = run_vaa("explain", *arguments, cwd=workspace)
        assert outcome.code == 0, outcome.err
        with Image.open(outcome.out.strip()) as figure:
            sizes.append(figure.width)
    assert sizes[0] < sizes[1]


def test_arrays_are_what_the_model_computes(workspace: Path, tmp_path: Path) -> None:
    raw = tmp_path / "seen.npz"
    outcome = run_vaa("explain", "dataset/images", "--raw", raw, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert outcome.out == f"{raw}\n"
    with np.load(raw, allow_pickle=False) as arrays:
        found = dict(arrays)
    model, card = load_model(model_of(workspace))
    assert found["attributes"].tolist() == list(ATTRIBUTES)
    assert len(found["images"]) == 60
    path = workspace / str(found["images"][7])
    height, width = card.image_size
    picture = open_picture(path).resize((width, height), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(picture).transpose(2, 0, 1)[None].copy())
    with torch.no_grad():
        output = model(normalise(pixels, card.mean, card.std))
    expected = output.logits.sigmoid()[0].numpy()
    assert found["probabilities"][7] == pytest.approx(expected, abs=1e-5)
    for stage, maps in zip(card.stages, output.maps, strict=True):
        attention, confidence = found[f"attention_{stage}"], found[f"confidence_{stage}"]
        assert attention.shape == confidence.shape == (60, *maps.attention.shape[1:])
        assert attention.sum(axis=(2, 3)) == pytest.approx(np.ones((60, 3)), abs=1e-4)
        assert attention[7] == pytest.approx(maps.attention[0].numpy(), abs=1e-5)
        assert confidence[7] == pytest.approx(maps.confidence[0].sigmoid().numpy(), abs=1e-5)
    assert np.isnan(found["boxes"]).all()


def test_boxes_and_names_that_repeat_have_figures_of_their_own(
    workspace: Path, tmp_path: Path
) -> None:
    image = workspace / "dataset/images/000.png"
    shutil.copy(image, tmp_path / "a.png")
    table = write_rows(
        tmp_path / "boxes.csv", ["image", "left", "top", "width", "height"],
        ["a.png", 0, 0, 16, 32], ["a.png", 16, 0, 16, 64], ["a.png", 99, 0, 5, 5],
    )  # fmt: skip
    run = model_of(workspace)
    outcome = run_vaa("explain", table, "a.png", "--run", run, cwd=tmp_path)
    assert outcome.code == 1
    names = ["a.attention.png", "a-2.attention.png", "a-3.attention.png"]
    assert outcome.out.splitlines() == [f"explained/{name}" for name in names]
    assert "a.png: " in outcome.err and "Traceback" not in outcome.err


def test_broken_pictures_cost_the_others_nothing(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    picture = workspace / "dataset/images/000.png"
    outcome = run_vaa("explain", "broken.jpg", picture, "--run", model_of(workspace), cwd=tmp_path)
    assert outcome.code == 1
    assert outcome.out == "explained/000.attention.png\n"
    assert "broken.jpg: not a picture" in outcome.err


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


def test_places_are_scored_beside_the_labels(workspace: Path, tmp_path: Path) -> None:
    labels = pd.read_csv(workspace / "dataset/labels.csv")
    hats = labels[labels["hat"] == 1]
    rows = [[image, "hat", 6, 4, 20, 10] for image in hats["image"]]
    boxes = write_rows(
        tmp_path / "boxes.csv", ["image", "attribute", "left", "top", "width", "height"], *rows
    )
    arguments = ["evaluate", "--boxes", str(boxes), "--workers", "0"]
    table = run_vaa(*arguments, cwd=workspace)
    assert table.code == 0, table.err
    assert "share of maxima on the place" in table.out and "centred" in table.out
    outcome = run_vaa(*arguments, "--format", "json", cwd=workspace)
    records = {r["attribute"]: r for r in json.loads(outcome.out)["attributes"]}
    assert records["hat"]["places"] == (hats["split"] == "test").sum()
    assert records["red"]["places"] == 0 and records["red"]["hits stage 3"] is None
    assert records["hat"]["mass uniform"] == pytest.approx(20 * 10 / (32 * 64))
    # The same from the arrays that explain gives.
    test = [
        image for image, split in zip(hats["image"], hats["split"], strict=True) if split == "test"
    ]
    raw = tmp_path / "seen.npz"
    run_vaa("explain", *[f"dataset/{i}" for i in test], "--raw", raw, cwd=workspace)
    with np.load(raw) as arrays:
        weighted = arrays["attention_3"][:, 1] * arrays["confidence_3"][:, 1]
    cells = weighted.shape[1] // 4, weighted.shape[2] // 2
    assert weighted.shape[1:] == (4, 2), cells  # of 16 x 16 pixels each
    # Rows 4 to 14 and columns 6 to 26 of the picture: 10 and 10 of 16 in both upper cells.
    inside = weighted[:, 0].sum(axis=1) * (10 * 10) / 256
    expected = (inside / weighted.sum(axis=(1, 2))).mean()
    assert records["hat"]["mass stage 3"] == pytest.approx(expected, abs=1e-4)


def test_masks_are_scored(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    write_rows(tmp_path / "mask_values.csv", ["value", "name"], (0, "null"), (9, "hat"))
    mask = np.zeros((64, 32), dtype=np.uint8)
    mask[4:14, 6:26] = 9
    for i in range(60):
        Image.fromarray(mask).save(tmp_path / f"masks/{i:03d}.png")
    outcome = run_vaa(
        "evaluate", "--masks", tmp_path / "masks", "--format", "csv", "--workers", "0",
        cwd=workspace,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    rows = {row["attribute"]: row for row in read_rows(outcome.out)}
    assert float(rows["hat"]["mass uniform"]) == pytest.approx(20 * 10 / (32 * 64))
    assert rows["striped"]["places"] == "0" and rows["striped"]["mass uniform"] == ""


def test_boxes_of_unknown_pictures(workspace: Path, tmp_path: Path) -> None:
    boxes = write_rows(
        tmp_path / "boxes.csv", ["image", "attribute", "left", "top", "width", "height"],
        ["images/000.png", "hat", 1, 1, 2, 2], ["images/nowhere.png", "hat", 1, 1, 2, 2],
    )  # fmt: skip
    outcome = run_vaa("evaluate", "--boxes", boxes, "--workers", "0", cwd=workspace)
    assert_one_line_error(outcome, "row 3", "images/nowhere.png", "no picture of the dataset")
    outcome = run_vaa("evaluate", "--boxes", boxes, "--masks", "x", cwd=workspace)
    assert_one_line_error(outcome, "give one of them")


# calibrate


def test_calibration_is_kept_in_the_model(workspace: Path, own: Path) -> None:
    before = load_file(own)
    outcome = run_vaa("calibrate", "--run", own, "--workers", "0", cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert "temperature" in outcome.out and "where it was fitted" in outcome.out
    after, card = load_file(own), read_card(own)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert card.temperatures and card.thresholds != (0.5,) * 3
    # What is predicted is the same logits, divided.
    plain = read_rows(run_vaa("predict", "dataset/images", cwd=workspace).out)
    outcome = run_vaa("predict", "dataset/images", "--run", own, cwd=workspace)
    for old, new in zip(plain, read_rows(outcome.out), strict=True):
        for name, temperature in zip(ATTRIBUTES, card.temperatures, strict=True):
            logit = np.log(float(old[name])) - np.log1p(-float(old[name]))
            assert float(new[name]) == pytest.approx(expit(logit / temperature), abs=2e-4)
    # Engines agree, and so does what is exported.
    torch_rows = read_rows(
        run_vaa("predict", "dataset/images", "--run", own, "--engine", "torch", cwd=workspace).out
    )
    for one, other in zip(torch_rows, read_rows(outcome.out), strict=True):
        assert [float(one[n]) for n in ATTRIBUTES] == pytest.approx(
            [float(other[n]) for n in ATTRIBUTES], abs=1e-4
        )
    # Done again, it gives the same: it begins from the weights.
    again = run_vaa("calibrate", "--run", own, "--workers", "0", cwd=workspace)
    assert again.code == 0
    assert read_card(own).thresholds == pytest.approx(card.thresholds, abs=1e-4)
    assert read_card(own).temperatures == pytest.approx(card.temperatures, rel=1e-3)


def test_only_val_is_looked_at(workspace: Path, own: Path, tmp_path: Path) -> None:
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
    cards = []
    for name, data in (("a", workspace / "prepared"), ("b", tmp_path / "other")):
        out = tmp_path / f"{name}.safetensors"
        arguments = ["--run", str(own), "--data", str(data), "--out", str(out), "--workers", "0"]
        outcome = run_vaa("calibrate", *arguments, cwd=workspace)
        assert outcome.code == 0, outcome.err
        cards.append(read_card(out))
    assert cards[0] == cards[1]
    assert read_card(own).temperatures == ()  # the original is as it was
    val = pd.read_csv(tmp_path / "other/val.csv")
    val[list(ATTRIBUTES)] = 1 - val[list(ATTRIBUTES)]
    val.to_csv(tmp_path / "other/val.csv", index=False)
    outcome = run_vaa("calibrate", *arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    assert read_card(out).thresholds != cards[0].thresholds


def test_evaluate_tells_both(workspace: Path, own: Path) -> None:
    run_vaa("calibrate", "--run", own, "--workers", "0", cwd=workspace)
    arguments = ["evaluate", "--run", str(own), "--workers", "0"]
    table = run_vaa(*arguments, cwd=workspace)
    assert "uncalibrated, at 0.5" in table.out and "calibrated, at its thresholds" in table.out
    found = json.loads(run_vaa(*arguments, "--format", "json", cwd=workspace).out)
    plain = json.loads(run_vaa("evaluate", "--format", "json", cwd=workspace).out)
    before, after = found["calibration"]
    assert before["mA"] == pytest.approx(plain["totals"]["mA"])
    assert before["calibration_error"] == pytest.approx(plain["calibration_error"], abs=1e-4)
    assert after["mA"] == found["totals"]["mA"]
    assert after["calibration_error"] == found["calibration_error"]
    assert plain["calibration"] == []
    on_val = run_vaa(*arguments, "--split", "val", cwd=workspace)
    assert "fitted on val" in on_val.err


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


def test_runs_side_by_side(workspace: Path, own: Path, tmp_path: Path) -> None:
    run_vaa("calibrate", "--run", own, "--workers", "0", cwd=workspace)
    runs = [str(model_of(workspace)), str(own)]
    arguments = ["compare", *runs, "--samples", "100", "--workers", "0"]
    table = run_vaa(*arguments, cwd=workspace)
    assert table.code == 0, table.err
    assert "mAP" in table.out and "≈" in table.out
    rows = read_rows(run_vaa(*arguments, "--format", "csv", cwd=workspace).out)
    assert [row["run"] for row in rows] == runs * (len(rows) // 2)
    plain = json.loads(run_vaa("evaluate", "--format", "json", cwd=workspace).out)
    assert float(rows[0]["value"]) == pytest.approx(plain["totals"]["mA"])
    page = run_vaa(*arguments, "--format", "html", cwd=workspace).out
    seen = _Page()
    seen.feed(page)
    assert seen.tables == 3 and not seen.fetched
    assert "http" not in re.sub(r"http-equiv", "", page)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables = 0
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        for name, value in attrs:
            if name in ("src", "href") and not (value or "").startswith("data:"):
                self.fetched.append(str(value))


def test_what_cannot_be_compared(workspace: Path, own: Path, tmp_path: Path) -> None:
    assert_one_line_error(run_vaa("compare", own, cwd=workspace), "two runs or more")
    outcome = run_vaa("compare", own, tmp_path / "none", cwd=workspace)
    assert_one_line_error(outcome, "no such run folder")
    outcome = run_vaa("compare", own, own, "--split", "nope", cwd=workspace)
    assert_one_line_error(outcome, "nope")


# evaluate --report


def test_a_report(workspace: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    arguments = ["evaluate", "--report", str(folder), "--workers", "0"]
    outcome = run_vaa(*arguments, cwd=workspace)
    assert outcome.code == 0, outcome.err
    page = (folder / "index.html").read_text()
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert page.count("data:image/jpeg") >= 9 and all(name in page for name in ATTRIBUTES)
    assert "Loss by epoch" in page  # the run's log is beside the model
    assert run_vaa(*arguments, cwd=workspace).code == 0  # a report is replaced
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
