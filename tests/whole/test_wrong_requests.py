"""Wrong requests and broken surroundings: one line, exit code 2, nothing half-written."""

import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.helpers.command import (
    QUICK,
    assert_one_line_error,
    contents,
    limit_file_size,
    limited_file_size,
    run_process,
    run_vaa,
    run_without_torch,
)
from tests.helpers.figures import make_dataset
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.model_file import load_model


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return make_dataset(tmp_path / "dataset", count=12)


def rewrite(dataset: Path, old: str, new: str) -> None:
    """Replace a piece of the label table, which must be there."""
    path = dataset / "labels.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def prepare_must_refuse(dataset: Path, *parts: str, options: tuple[str, ...] = ()) -> None:
    outcome = run_vaa("prepare", "dataset", *options, cwd=dataset.parent)
    assert_one_line_error(outcome, *parts)
    assert contents(dataset.parent) == ["dataset"]


def test_no_such_folder(tmp_path: Path) -> None:
    assert_one_line_error(run_vaa("prepare", "nowhere", cwd=tmp_path), "nowhere", "no such folder")
    assert contents(tmp_path) == []


def test_a_folder_without_labels(dataset: Path) -> None:
    (dataset / "labels.csv").unlink()
    prepare_must_refuse(dataset, "no known format", "csv: a CSV or .xlsx with a column image, file")


def test_several_label_tables(dataset: Path) -> None:
    shutil.copy(dataset / "labels.csv", dataset / "a.csv")
    (dataset / "labels.csv").rename(dataset / "b.csv")
    prepare_must_refuse(dataset, "a.csv, b.csv")


def test_a_cell_that_is_neither_yes_nor_no(dataset: Path) -> None:
    rewrite(dataset, "images/004.png,test,1,1", "images/004.png,test,1,perhaps")
    prepare_must_refuse(dataset, "labels.csv", "row 6", "'hat'", "'perhaps'")


def test_duplicate_picture_rows(dataset: Path) -> None:
    rewrite(dataset, "images/004.png", "images/001.png")
    prepare_must_refuse(dataset, "rows 3 and 6", "images/001.png")


def test_a_split_that_does_not_exist(dataset: Path) -> None:
    rewrite(dataset, "images/004.png,test", "images/004.png,exam")
    prepare_must_refuse(dataset, "row 6", "'split'", "'exam'")


def test_a_picture_outside_the_dataset(dataset: Path) -> None:
    rewrite(dataset, "images/004.png", "../images/004.png")
    prepare_must_refuse(dataset, "row 6", "leaves the dataset folder")


def test_pictures_that_are_not_there(dataset: Path) -> None:
    shutil.rmtree(dataset / "images")
    prepare_must_refuse(dataset, "none of its pictures is there", "images/000.png")


def test_strict_makes_a_broken_picture_an_error(dataset: Path) -> None:
    (dataset / "images" / "003.png").write_bytes(b"broken")
    prepare_must_refuse(dataset, "images/003.png", "not a picture", options=("--strict",))


def test_nothing_to_train_on(dataset: Path) -> None:
    path = dataset / "labels.csv"
    path.write_text(path.read_text().replace(",train,", ",test,"))
    prepare_must_refuse(dataset, "'train' has no pictures")


def test_empty_splits_are_warned_of_and_then_refused(dataset: Path) -> None:
    path = dataset / "labels.csv"
    path.write_text(path.read_text().replace(",val,", ",train,").replace(",test,", ",train,"))
    prepared = run_vaa("prepare", "dataset", "--val-share", "0", cwd=dataset.parent)
    assert prepared.code == 0
    assert "there are no val pictures" in prepared.err
    assert "there are no test pictures" in prepared.err
    trained = run_without_torch("train", *QUICK, cwd=dataset.parent)
    assert_one_line_error(trained, "'val'", "no pictures", "train (12)")
    assert not (dataset.parent / "runs").exists()
    again = run_vaa("prepare", "dataset", cwd=dataset.parent)
    assert again.code == 0
    assert "there are no val" not in again.err
    assert "cut from train" in again.err


def test_evaluating_a_split_without_pictures(workspace: Path, dataset: Path) -> None:
    path = dataset / "labels.csv"
    path.write_text(path.read_text().replace(",test,", ",train,"))
    assert run_vaa("prepare", "dataset", cwd=dataset.parent).code == 0
    run = (workspace / "runs" / "latest").resolve()
    outcome = run_without_torch(
        "evaluate", "--run", run, "--data", "prepared",
        cwd=dataset.parent,
    )  # fmt: skip
    assert_one_line_error(outcome, "'test'", "no pictures", "val (")


def test_unknown_backbone(workspace: Path) -> None:
    outcome = run_vaa("train", "--backbone", "resnet102", cwd=workspace)
    assert_one_line_error(outcome, "'resnet102'", "did you mean", "resnet101")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--image-size", "big"), ("'big'", "HEIGHTxWIDTH")),
        (("--image-size", "16x16"), ("'16x16'", "32")),
        (("--stages", "1,4"), ("'1,4'", "3,4")),
        (("--epochs", "0"), ("--epochs",)),
        (("--recipe", "magic"), ("magic", "paper")),
        (("--precision", "fp8"), ("'fp8'", "bf16")),
        (("--weights", "gone.pth"), ("gone.pth",)),
        (("--data", "elsewhere"), ("elsewhere", "vaa prepare")),
        (("--bakbone", "resnet18"), ("--bakbone",)),
        (("--run", "runs"), ("runs", "exists already")),
    ],
)
def test_wrong_options_of_train(
    workspace: Path, tmp_path: Path, options: tuple[str, str], parts: tuple[str, ...]
) -> None:
    before = contents(workspace / "runs")
    quick = [] if options[0] in ("--image-size", "--weights") else list(QUICK)
    outcome = run_without_torch("train", *quick, *options, cwd=workspace)
    assert_one_line_error(outcome, *parts)
    assert contents(workspace / "runs") == before


def test_a_device_that_is_not_here(workspace: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    outcome = run_vaa("train", *QUICK, "--device", "tpu9", "--run", run, cwd=workspace)
    assert_one_line_error(outcome, "'tpu9'", "use auto or")
    assert not run.exists()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("predict x.png --run liar.safetensors", "liar.safetensors is not a model of vaa"),
        ("predict x.png --run empty", "empty has no best.safetensors"),
        ("predict x.png --run gone", "gone: no such run"),
        ("explain x.png --run liar.safetensors", "liar.safetensors is not a model of vaa"),
        ("evaluate --run liar.safetensors", "liar.safetensors is not a model of vaa"),
        ("export --run liar.safetensors", "liar.safetensors is not a model of vaa"),
        ("calibrate --run gone", "gone: no such run"),
        ("compare gone", "two runs or more"),
        ("predict x.png --run liar.safetensors --engine nope", "unknown engine 'nope'"),
    ],
)
def test_refused_before_torch_is_loaded(tmp_path: Path, words: str, part: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    save_file({"a": torch.zeros(1)}, tmp_path / "liar.safetensors", {"vaa": '{"schema": 1}'})
    (tmp_path / "empty").mkdir()
    outcome = run_without_torch(*words.split(), cwd=tmp_path)
    assert_one_line_error(outcome, part)


def test_no_network_and_no_cached_weights(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A proxy that nobody listens to stands for a missing network, here and where there is one.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it knows the proxies of before
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    outcome = run_vaa("train", "--backbone", "resnet18", "--run", tmp_path / "run", cwd=workspace)
    assert_one_line_error(
        outcome, "cannot download", "resnet18", "--weights FILE", "--weights none",
        str(tmp_path / "hub" / "checkpoints" / "resnet18-"),
    )  # fmt: skip


@pytest.mark.parametrize("command", [("evaluate",), ("export", "--out", "m.onnx")])
def test_no_trained_run(tmp_path: Path, command: tuple[str, ...]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    outcome = run_vaa(*command, cwd=tmp_path)
    assert_one_line_error(outcome, "no trained run", "vaa train")


def test_a_process_whose_number_is_none(tmp_path: Path) -> None:
    ranks = {"RANK": "first", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    outcome = run_process("evaluate", cwd=tmp_path, environment=ranks)
    assert_one_line_error(outcome, "RANK", "are no numbers", "'first'")


def test_model_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "liar.safetensors", {"vaa": '{"schema": 1}'})
    for name in ("text.safetensors", "other.safetensors", "liar.safetensors"):
        with pytest.raises(VAAError, match=f"{name} is not a model of vaa"):
            load_model(tmp_path / name)


def test_a_model_cut_short(workspace: Path, tmp_path: Path) -> None:
    whole = (workspace / "runs" / "latest" / "best.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    outcome = run_vaa(
        "predict", "dataset/images", "--run", tmp_path / "cut.safetensors", cwd=workspace
    )
    assert_one_line_error(outcome, "cut.safetensors", "is not a model of vaa")
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [(("nowhere",), ("nowhere", "no such file")), (("*.tga",), ("*.tga", "pattern"))],
)
def test_inputs_that_do_not_exist(
    workspace: Path, inputs: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    outcome = run_vaa("predict", *inputs, cwd=workspace)
    assert_one_line_error(outcome, *parts)
    assert outcome.out == ""


def test_a_folder_without_pictures(workspace: Path, tmp_path: Path) -> None:
    outcome = run_vaa("predict", tmp_path, "--out", tmp_path / "out.csv", cwd=workspace)
    assert_one_line_error(outcome, "no pictures")
    assert contents(tmp_path) == []


def test_a_picture_that_vanished_after_prepare(workspace: Path, dataset: Path) -> None:
    assert run_vaa("prepare", "dataset", cwd=dataset.parent).code == 0
    (dataset / "images" / "004.png").unlink()
    run = (workspace / "runs" / "latest").resolve()
    outcome = run_vaa("evaluate", "--run", run, "--data", "prepared", cwd=dataset.parent)
    assert_one_line_error(outcome, "images/004.png", "no such file", "vaa prepare")


def test_data_of_other_attributes(workspace: Path, dataset: Path) -> None:
    rewrite(dataset, "red,hat,striped", "x,y,z")
    assert run_vaa("prepare", "dataset", cwd=dataset.parent).code == 0
    run = (workspace / "runs" / "latest").resolve()
    outcome = run_without_torch(
        "evaluate", "--run", run, "--data", "prepared",
        cwd=dataset.parent,
    )  # fmt: skip
    assert_one_line_error(outcome, "none of the model's attributes")


def test_a_prepared_folder_in_pieces(dataset: Path) -> None:
    folder = dataset.parent
    assert run_vaa("prepare", "dataset", cwd=folder).code == 0
    (folder / "prepared" / "dataset.json").write_text('{"schema": 1, "na')
    outcome = run_without_torch("train", *QUICK, cwd=folder)
    assert_one_line_error(outcome, "dataset.json", "broken")


def test_output_folders_that_cannot_be_written(dataset: Path) -> None:
    folder = dataset.parent
    (folder / "file").write_text("mine")
    outcome = run_vaa("prepare", "dataset", "file", cwd=folder)
    assert_one_line_error(outcome, "file", "name a folder")
    outcome = run_vaa("prepare", "dataset", "file/below", cwd=folder)
    assert_one_line_error(outcome, "cannot write file/below: file is a file")
    outcome = run_vaa("prepare", "dataset", "/proc/prepared", cwd=folder)
    assert_one_line_error(outcome, "cannot write /proc/prepared")
    assert (folder / "file").read_text() == "mine"
    assert run_vaa("prepare", "dataset", cwd=folder).code == 0
    outcome = run_without_torch("train", *QUICK, "--run", "file/run", cwd=folder)
    assert_one_line_error(outcome, "cannot write file/run")
    assert contents(folder) == ["dataset", "file", "prepared"]


def test_other_peoples_files_are_not_overwritten(dataset: Path) -> None:
    folder = dataset.parent
    (folder / "prepared").mkdir()
    (folder / "prepared" / "thesis.tex").write_text("mine")
    outcome = run_vaa("prepare", "dataset", cwd=folder)
    assert_one_line_error(outcome, "prepared", "thesis.tex")
    assert contents(folder / "prepared") == ["thesis.tex"]


def test_full_disk_while_preparing(dataset: Path) -> None:
    folder = dataset.parent
    assert run_vaa("prepare", "dataset", cwd=folder).code == 0
    before = {path.name: path.read_bytes() for path in (folder / "prepared").iterdir()}
    outcome = run_process("prepare", "dataset", cwd=folder, before=lambda: limit_file_size(64))
    assert_one_line_error(outcome, "cannot write", "File too large")
    assert {path.name: path.read_bytes() for path in (folder / "prepared").iterdir()} == before
    assert contents(folder) == ["dataset", "prepared"]


def test_full_disk_while_training(dataset: Path) -> None:
    folder = dataset.parent
    assert run_vaa("prepare", "dataset", cwd=folder).code == 0
    with limited_file_size(1_000_000):
        outcome = run_vaa("train", *QUICK, "--epochs", "1", "--run", "run", cwd=folder)
    assert_one_line_error(outcome, "cannot write run/last.ckpt", "File too large")
    assert contents(folder) == ["dataset", "prepared"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_while_predicting(workspace: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vaa_cli", "predict", "dataset/images"],
            cwd=workspace, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.endswith("\nerror: cannot write stdout: No space left on device\n")
    assert "Traceback" not in done.stderr

    options = ("--workers", "0", "--out", "small.csv")
    with limited_file_size(1000):
        outcome = run_vaa("predict", "dataset/images", *options, cwd=workspace)
    assert_one_line_error(outcome, "cannot write small.csv")
    assert not (workspace / "small.csv").exists()


@pytest.mark.slow
def test_full_disk_under_the_cache(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("VAA_CACHE", str(tmp_path / "cache"))
    options = ("--workers", "0", "--engine", "openvino")
    with limited_file_size(100_000):
        outcome = run_vaa("predict", "dataset/images", *options, cwd=workspace)
    assert_one_line_error(outcome, "the converted model cannot be written", "VAA_CACHE=DIR")
    assert "the converted model cannot be kept" in outcome.err
    assert "src/" not in outcome.err and "Check '" not in outcome.err  # as C++ has it
    assert [name for name in contents(tmp_path / "cache") if not name.startswith(".")] == []


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    outcome = run_process("prepare", "nowhere", "--debug", cwd=tmp_path)
    assert outcome.code != 0
    assert "Traceback" in outcome.err
