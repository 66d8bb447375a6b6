"""The four commands as people type them, run for real, one after the other."""

import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from sklearn.metrics import average_precision_score, recall_score
from torchvision.models import get_model, get_model_weights

from tests.helpers.command import QUICK, contents, read_rows, run_process, run_vaa
from tests.helpers.figures import ATTRIBUTES, make_dataset
from vaa_cli.core.training.state_file import read_state

CCP = Path(__file__).parents[3] / "shared" / "ccp"


def newest_run(workspace: Path) -> Path:
    return (workspace / "runs" / "latest").resolve()


def test_prepared_folder_keeps_its_contract(workspace: Path) -> None:
    prepared = workspace / "prepared"
    assert contents(prepared) == [
        "dataset.json", "priors.csv", "test.csv", "train.csv", "val.csv"
    ]  # fmt: skip
    train = pd.read_csv(prepared / "train.csv")
    assert list(train.columns) == ["image", *ATTRIBUTES]
    priors = pd.read_csv(prepared / "priors.csv").set_index("attribute")
    assert list(priors.columns) == ["positives", "negatives", "unspecified", "prior", "weight"]
    for name in ATTRIBUTES:
        assert priors.loc[name, "positives"] == train[name].sum()
        assert priors.loc[name, "prior"] == pytest.approx(train[name].mean())
        assert priors.loc[name, "weight"] == pytest.approx(math.exp(-train[name].mean()))
    description = json.loads((prepared / "dataset.json").read_text())
    assert description["attributes"] == list(ATTRIBUTES)
    assert description["counts"]["train"] == len(train)
    assert description["root"] == str((workspace / "dataset").resolve())
    assert description["dropped"] == []
    total = sum(len(pd.read_csv(prepared / f"{s}.csv")) for s in ("train", "val", "test"))
    assert total == 60


def test_run_folder_keeps_its_contract(workspace: Path) -> None:
    run = newest_run(workspace)
    *files, events = sorted(contents(run), key=lambda name: name.startswith("events.out."))
    expected = ["best.safetensors", "config.json", "last.ckpt", "log.csv", "train_rows.csv"]
    assert files == expected
    assert events.startswith("events.out.tfevents.")
    config = json.loads((run / "config.json").read_text())
    assert config["options"]["backbone"] == "resnet18"
    assert config["recipe"]["batch_size"] == 8
    assert config["versions"]["torch"] == torch.__version__

    log = pd.read_csv(run / "log.csv")
    assert list(log["epoch"]) == list(range(1, 9))
    parts = log["primary"] + log["attention_3"] + log["attention_4"]
    np.testing.assert_allclose(log["loss"], parts, rtol=1e-4)
    assert log["loss"].iloc[-1] < log["loss"].iloc[0] / 2

    with safe_open(run / "best.safetensors", framework="pt") as file:
        card = json.loads(file.metadata()["vaa"])
    assert card["attributes"] == list(ATTRIBUTES)
    assert card["image_size"] == [64, 32]
    assert card["thresholds"] == [0.5] * 3
    # The best mAP, and of several such epochs the one with the lowest loss.
    best = log.sort_values(["val_mAP", "val_loss"], ascending=[False, True]).iloc[0]
    assert card["epoch"] == best["epoch"]
    assert card["validation"]["mA"] == pytest.approx(best["val_mA"], rel=1e-5)


def test_training_state_is_read_without_unpickling(workspace: Path) -> None:
    state = read_state(newest_run(workspace) / "last.ckpt")
    assert state["progress"]["epoch"] == 8
    assert len(state["progress"]["log"]) == 8
    for part in ("model", "ema", "optimizer", "schedule", "scaler", "history", "options", "data"):
        assert part in state
    pictures = len(pd.read_csv(workspace / "prepared" / "train.csv"))
    assert state["history"]["values"].shape == (pictures, 5, 3)
    # 8 epochs less 2 of burn-in: the history is full for every picture.
    assert (state["history"]["cursor"] >= 5).all()


def test_the_model_has_learnt(workspace: Path) -> None:
    outcome = run_vaa("evaluate", "--format", "json", cwd=workspace)
    assert outcome.code == 0
    totals = json.loads(outcome.out)["totals"]
    assert totals["mAP"] > 0.9 and totals["mA"] > 0.8


def test_evaluation_is_what_the_predictions_say(workspace: Path) -> None:
    """evaluate's figures against scikit-learn's on what predict writes for the same pictures."""
    test = pd.read_csv(workspace / "prepared" / "test.csv")
    names = "\n".join(f"dataset/{image}" for image in test["image"])
    predicted = run_vaa("predict", "-", cwd=workspace, stdin=names)
    assert predicted.code == 0
    rows = pd.DataFrame(read_rows(predicted.out))
    assert list(rows["image"]) == names.split("\n")
    evaluated = json.loads(run_vaa("evaluate", "--format", "json", cwd=workspace).out)
    assert evaluated["split"] == "test"
    assert evaluated["images"] == len(test)
    for record in evaluated["attributes"]:
        truth = test[record["attribute"]].to_numpy()
        probabilities = rows[record["attribute"]].astype(float).to_numpy()
        decided = probabilities >= record["threshold"]
        recalls = recall_score(truth, decided), recall_score(1 - truth, ~decided)
        assert record["recall_positive"] == pytest.approx(recalls[0])
        assert record["recall_negative"] == pytest.approx(recalls[1])
        assert record["mA"] == pytest.approx(sum(recalls) / 2)
        assert record["AP"] == pytest.approx(average_precision_score(truth, probabilities))
    mean = np.mean([record["mA"] for record in evaluated["attributes"]])
    assert evaluated["totals"]["mA"] == pytest.approx(mean)


@pytest.mark.slow
def test_evaluation_formats_agree(workspace: Path) -> None:
    as_json = json.loads(run_vaa("evaluate", "--format", "json", cwd=workspace).out)
    as_csv = read_rows(run_vaa("evaluate", "--format", "csv", cwd=workspace).out)
    table = run_vaa("evaluate", cwd=workspace).out
    assert [row["attribute"] for row in as_csv] == list(ATTRIBUTES)
    for row, record in zip(as_csv, as_json["attributes"], strict=True):
        assert float(row["mA"]) == pytest.approx(record["mA"])
        assert row["attribute"] in table
        assert f"{record['mA']:.3f}" in table
    assert f"mA {as_json['totals']['mA']:.3f}" in table


def test_predictions_keep_their_contract(workspace: Path) -> None:
    """A folder with good and broken pictures: a row each, in order, and exit code 1."""
    folder = workspace / "mixed"
    folder.mkdir()
    dataset = workspace / "dataset" / "images"
    shutil.copy(dataset / "000.png", folder / "a, with comma.png")
    (folder / "b.jpg").write_bytes(b"not a picture")
    with Image.open(dataset / "000.png") as picture:
        picture.convert("L").save(folder / "c.png")
        picture.convert("CMYK").save(folder / "d.jpg")
    (folder / "deeper").mkdir()
    shutil.copy(dataset / "001.png", folder / "deeper" / "e.png")
    (folder / "notes.txt").write_text("skipped")
    outcome = run_vaa("predict", "mixed", cwd=workspace)
    assert outcome.code == 1
    assert "1 of 5 pictures" in outcome.err
    assert outcome.out.splitlines()[0] == "image,red,hat,striped,error"
    rows = read_rows(outcome.out)
    names = ["a, with comma.png", "b.jpg", "c.png", "d.jpg", "deeper/e.png"]
    assert [row["image"] for row in rows] == [f"mixed/{name}" for name in names]
    assert [bool(row["error"]) for row in rows] == [False, True, False, False, False]
    assert rows[1]["red"] == ""
    for row in rows:
        if not row["error"]:
            assert all(0 <= float(row[name]) <= 1 for name in ATTRIBUTES)


@pytest.mark.slow
def test_decisions_follow_the_thresholds(workspace: Path) -> None:
    images = "dataset/images"
    probabilities = read_rows(run_vaa("predict", images, cwd=workspace).out)
    decisions = read_rows(run_vaa("predict", images, "--decisions", cwd=workspace).out)
    assert len(decisions) == 60
    for probable, decided in zip(probabilities, decisions, strict=True):
        for name in ATTRIBUTES:
            assert decided[name] == str(int(float(probable[name]) >= 0.5))


def test_boxes_are_cut_out(workspace: Path) -> None:
    """Two figures in one picture are told apart by their boxes."""
    with (
        Image.open(workspace / "dataset" / "images" / "000.png") as first,
        Image.open(workspace / "dataset" / "images" / "001.png") as second,
    ):
        pair = Image.new("RGB", (64, 64))
        pair.paste(first, (0, 0))
        pair.paste(second, (32, 0))
        pair.save(workspace / "pair.png")
    (workspace / "boxes.csv").write_text(
        "image,left,top,width,height\npair.png,0,0,32,64\npair.png,32,0,32,64\npair.png,70,0,9,9\n"
    )
    outcome = run_vaa("predict", "boxes.csv", cwd=workspace)
    assert outcome.code == 1  # the third box is outside the picture
    rows = read_rows(outcome.out)
    assert list(rows[0]) == ["image", "left", "top", "width", "height", *ATTRIBUTES, "error"]
    assert [row["left"] for row in rows] == ["0", "32", "70"]
    alone = read_rows(
        run_vaa("predict", "dataset/images/000.png", "dataset/images/001.png", cwd=workspace).out
    )
    for row, reference in zip(rows, alone, strict=False):
        for name in ATTRIBUTES:
            assert float(row[name]) == pytest.approx(float(reference[name]), abs=0.02)
    assert "no area" in rows[2]["error"]


@pytest.mark.slow
def test_output_file_is_the_same_as_stdout(workspace: Path) -> None:
    image = "dataset/images/000.png"
    run_vaa("predict", image, "--out", "one.csv", cwd=workspace)
    assert (workspace / "one.csv").read_text() == run_vaa("predict", image, cwd=workspace).out


@pytest.mark.slow
def test_a_lone_model_file_is_a_run(workspace: Path, tmp_path: Path) -> None:
    shutil.copy(newest_run(workspace) / "best.safetensors", tmp_path / "model.safetensors")
    shutil.copy(workspace / "dataset" / "images" / "000.png", tmp_path)
    outcome = run_vaa("predict", "000.png", "--run", "model.safetensors", cwd=tmp_path)
    assert outcome.code == 0
    same = run_vaa("predict", "dataset/images/000.png", cwd=workspace)
    assert outcome.out.splitlines()[1].split(",")[1:] == same.out.splitlines()[1].split(",")[1:]


def test_a_closed_pipe_is_no_traceback(workspace: Path) -> None:
    import subprocess

    command = f"{sys.executable} -m vaa_cli predict dataset/images --batch-size 1 | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=workspace, capture_output=True, text=True, check=False
    )
    assert done.stdout == "image,red,hat,striped,error\n"
    (line,) = done.stderr.splitlines()  # which engine it is
    assert "best.safetensors: " in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        (
            "--recipe",
            "paper",
            "--loss",
            "bce",
            "--loss-weights",
            "label",
            "--best-by",
            "mAP",
            "--classifier",
            "pooled",
            "--stages",
            "2,3,4",
            "--attention-loss",
            "focal",
        ),
        ("--classifier", "spatial-full", "--stages", "4", "--precision", "bf16"),
    ],
)
def test_options_reach_the_model(workspace: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    data = workspace / "prepared"
    trained = run_vaa(
        "train", *QUICK, "--data", data, "--epochs", "1", "--run", "run", *options, cwd=tmp_path
    )
    assert trained.code == 0, trained.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    for option, value in zip(options[::2], options[1::2], strict=True):
        name = option.removeprefix("--").replace("-", "_")
        expected = [int(v) for v in value.split(",")] if name == "stages" else value
        assert config[name] == expected
    # evaluate finds the data that the run was trained on by itself.
    evaluated = run_vaa("evaluate", "--run", "run", "--format", "json", cwd=tmp_path)
    assert evaluated.code == 0, evaluated.err


@pytest.mark.slow
def test_options_in_a_file_and_by_name(workspace: Path, tmp_path: Path) -> None:
    """A file, then --set, then the option itself: the later one wins."""
    (tmp_path / "options.toml").write_text(
        'backbone = "resnet18"\nweights = "none"\nimage-size = "64x32"\nbatch_size = 8\n'
        "hidden = 16\nepochs = 7\nwarmup = 0.5\naccumulate = 2\n"
    )
    outcome = run_vaa(
        "train", "--config", "options.toml", "--set", "epochs=5", "--set", "hidden=24",
        "--epochs", "1", "--data", workspace / "prepared", "--run", "run", "--no-tensorboard",
        cwd=tmp_path,
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    options = json.loads((tmp_path / "run" / "config.json").read_text())["options"]
    expected = {"hidden": 24, "epochs": 1, "warmup": 0.5, "accumulate": 2, "image_size": [64, 32]}
    assert {name: options[name] for name in expected} == expected
    files = ["best.safetensors", "config.json", "last.ckpt", "log.csv", "train_rows.csv"]
    assert contents(tmp_path / "run") == files


@pytest.mark.slow
def test_a_dataset_with_gaps_goes_through(tmp_path: Path) -> None:
    """Unspecified labels, a constant attribute, broken and missing pictures, no split column."""
    make_dataset(tmp_path / "dataset", count=40, split=False)
    table = pd.read_csv(tmp_path / "dataset" / "labels.csv")
    table["always"] = 1
    table["never_said"] = ""
    table["hat"] = ["NA" if i % 7 == 0 else str(hat) for i, hat in enumerate(table["hat"])]
    text = table.to_csv(index=False) + "images/gone.png,1,1,1,1,\n"
    (tmp_path / "dataset" / "labels.csv").write_text(text)
    (tmp_path / "dataset" / "images" / "003.png").write_bytes(b"broken")

    prepared = run_vaa("prepare", "dataset", cwd=tmp_path)
    assert prepared.code == 0, prepared.err
    assert "images/gone.png: no such file" in prepared.err
    assert "images/003.png: not a picture" in prepared.err
    assert "2 of 41 rows dropped" in prepared.err
    assert "constant in train" in prepared.err
    assert "always, never_said" in prepared.err
    description = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    dropped = {drop["image"]: drop["reason"] for drop in description["dropped"]}
    assert dropped.keys() == {"images/gone.png", "images/003.png"}
    priors = pd.read_csv(tmp_path / "prepared" / "priors.csv").set_index("attribute")
    assert priors.loc["always", "weight"] == 1
    assert priors["prior"].isna().tolist() == [False, False, False, False, True]

    trained = run_vaa("train", *QUICK, "--epochs", "4", "--burn-in", "0", cwd=tmp_path)
    assert trained.code == 0, trained.err
    assert "constant in train" in trained.err
    log = pd.read_csv(next((tmp_path / "runs").glob("resnet18-*")) / "log.csv")
    assert np.isfinite(log["loss"]).all()
    evaluated = run_vaa("evaluate", "--format", "json", cwd=tmp_path)
    assert evaluated.code == 0, evaluated.err
    assert "always, never_said" in evaluated.err
    report = json.loads(evaluated.out)
    assert report["unscored"] == ["always", "never_said"]
    scored = [record["mA"] for record in report["attributes"] if record["mA"] is not None]
    assert report["totals"]["mA"] == pytest.approx(np.mean(scored))


@pytest.mark.slow
def test_the_three_lines_of_the_readme(tmp_path: Path) -> None:
    """vaa prepare DIR, vaa train --backbone densenet, vaa predict images/ > out.csv; no options."""
    make_dataset(tmp_path / "dataset", count=7, split=False)
    (tmp_path / "images").symlink_to(tmp_path / "dataset" / "images")
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    weights = Path(get_model_weights("densenet201").DEFAULT.url).name
    torch.manual_seed(0)
    torch.save(get_model("densenet201", weights=None).state_dict(), cache / weights)
    environment = {"TORCH_HOME": str(tmp_path / "torch")}
    assert run_vaa("prepare", "dataset", cwd=tmp_path).code == 0
    trained = run_process("train", "--backbone", "densenet", cwd=tmp_path, environment=environment)
    assert trained.code == 0, trained.err
    predicted = run_vaa("predict", "images/", cwd=tmp_path)
    assert predicted.code == 0, predicted.err
    rows = read_rows(predicted.out)
    assert [row["image"] for row in rows] == [f"images/{i:03d}.png" for i in range(7)]


def test_help_does_not_wait_for_torch() -> None:
    import subprocess

    code = "import sys, vaa_cli.app; sys.exit(bool({'torch', 'pandas', 'numpy'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_command_explains_itself(tmp_path: Path) -> None:
    for command in ((), ("prepare",), ("train",), ("evaluate",), ("predict",)):
        outcome = run_vaa(*command, "--help", cwd=tmp_path)
        assert outcome.code == 0
        assert "Usage: vaa" in outcome.out
    assert run_vaa("--version", cwd=tmp_path).out.startswith("vaa ")


@pytest.mark.slow
@pytest.mark.skipif(not CCP.is_dir(), reason="the real photos are not beside this checkout")
def test_real_photos_are_prepared_and_predicted(workspace: Path, tmp_path: Path) -> None:
    outcome = run_vaa("prepare", CCP, cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    description = json.loads((tmp_path / "prepared" / "dataset.json").read_text())
    assert description["counts"] == {"train": 1298, "val": 300, "test": 0}
    assert len(description["attributes"]) == 51
    names = "\n".join(str(path) for path in sorted((CCP / "images").iterdir())[:9])
    predicted = run_vaa("predict", "-", "--run", newest_run(workspace), cwd=tmp_path, stdin=names)
    assert predicted.code == 0
    assert len(read_rows(predicted.out)) == 9
