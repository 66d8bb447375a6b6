"""vaa explain: figures, arrays, and wrong requests."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.command import (
    TORCH_FP32,
    assert_one_line_error,
    newest_model,
    read_rows,
    run_vaa,
)
from tests.helpers.figures import ATTRIBUTES
from tests.helpers.pictures import write_rows
from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.models.inference import Normalisation
from vaa_cli.core.models.model_file import load_model


def test_a_figure_a_row_and_broken_ones_cost_nothing(workspace: Path, tmp_path: Path) -> None:
    shutil.copy(workspace / "dataset/images/000.png", tmp_path / "a.png")
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    table = write_rows(
        tmp_path / "boxes.csv", ["image", "left", "top", "width", "height"],
        ["a.png", 0, 0, 16, 32], ["a.png", 16, 0, 16, 64], ["a.png", 99, 0, 5, 5],
    )  # fmt: skip
    run = newest_model(workspace)
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


def test_tables_need_no_matplotlib(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision on each attribute, as `vaa predict --decisions` has it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    picture = "dataset/images/000.png"
    outcome = run_vaa("explain", picture, cwd=workspace)
    assert_one_line_error(outcome, "matplotlib", "or print tables with --text")
    outcome = run_vaa("explain", picture, "--text", cwd=workspace)
    assert outcome.code == 0, outcome.err
    arguments = ("predict", picture, "--decisions", *TORCH_FP32)
    rows = read_rows(run_vaa(*arguments, cwd=workspace).out)
    lines = {line.split()[0]: line.split() for line in outcome.out.splitlines() if line.strip()}
    for name in ATTRIBUTES:
        assert lines[name][3] == {"1": "present", "0": "absent"}[rows[0][name]]
    assert "too coarse to rely on" in " ".join(outcome.out.split())  # 4 x 2 cells
    outcome = run_vaa("explain", picture, "--text", "--raw", "out.npz", cwd=workspace)
    assert_one_line_error(outcome, "--raw writes a file and --text prints tables")


def test_arrays_are_what_the_model_computes(workspace: Path, arrays: dict[str, np.ndarray]) -> None:
    model, card = load_model(newest_model(workspace))
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
    ("arguments", "message"),
    [
        (["--attributes", "hut"], "the model has no attribute 'hut'; did you mean 'hat'?"),
        (["--attributes", "hat,hat"], "names 'hat' twice"),
        (["--raw", "out.txt"], "call it out.npz"),
        (["--out", "labels.csv"], "labels.csv"),
    ],
)
def test_wrong_requests_to_explain(workspace: Path, arguments: list[str], message: str) -> None:
    run = newest_model(workspace)
    outcome = run_vaa(
        "explain", "images/000.png", "--run", run, *arguments, cwd=workspace / "dataset"
    )
    assert_one_line_error(outcome, message)
