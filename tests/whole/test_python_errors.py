"""A Python caller gets a `VAAError` with the line that the command prints; nothing is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

import vaa_cli as vaa
from tests.helpers.command import contents, run_vaa, working_folder
from tests.helpers.figures import make_dataset
from vaa_cli.commands.console import with_switches

TINY = {"weights": "none", "image_size": (64, 32), "workers": 0}


def prepare(**options: object) -> None:
    vaa.prepare("people", "out", vaa.PrepareOptions(**options))  # type: ignore[arg-type]


def train(data: str = "prepared", run: str = "run", **options: object) -> None:
    vaa.train(data, vaa.TrainingOptions(**{**TINY, **options}), run)  # type: ignore[arg-type]


CASES: dict[str, tuple[Callable[[], object], str]] = {
    "no dataset": (lambda: vaa.prepare("gone", "out"), "prepare gone out"),
    "an unknown format": (lambda: prepare(format="voc"), "prepare people out --format voc"),
    "an attribute that is not there": (
        lambda: prepare(attributes="hut"), "prepare people out --attributes hut",
    ),
    "a partition of a CSV": (lambda: prepare(partition=2), "prepare people out --partition 2"),
    "short side without crops": (
        lambda: prepare(short_side=64), "prepare people out --short-side 64",
    ),
    "a val share without splits": (
        lambda: prepare(val_share=0.1), "prepare people out --val-share 0.1",
    ),
    "a file where the folder goes": (
        lambda: vaa.prepare("people", "file"), "prepare people file",
    ),
    "no prepared folder": (
        lambda: train("people"), "train --data people --run run --weights none",
    ),
    "an unknown backbone": (
        lambda: train(backbone="resnet19"), "train --run run --backbone resnet19",
    ),
    "a size that is none": (
        lambda: train(image_size="huge"), "train --run run --image-size huge",
    ),
    "a file where the run goes": (
        lambda: train(run="file/run"), "train --run file/run --weights none",
    ),
    "no run to evaluate": (lambda: vaa.evaluate(), "evaluate"),
    "another run to evaluate": (lambda: vaa.evaluate("gone"), "evaluate --run gone"),
    "a run that is none": (lambda: vaa.open_predictor("people"), "predict x.png --run people"),
    "an unknown engine": (
        lambda: vaa.open_predictor("gone", engine="abacus"),
        "predict x.png --run gone --engine abacus",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_same_line(tmp_path: Path, case: str) -> None:
    make_dataset(tmp_path / "people", count=12, split=False)
    (tmp_path / "file").write_text("mine")
    call, words = CASES[case]
    with working_folder(tmp_path):
        vaa.prepare("people", "prepared")
        (tmp_path / "x.png").write_bytes((tmp_path / "people/images/000.png").read_bytes())
        before = contents(tmp_path)
        with pytest.raises(vaa.VAAError) as caught:
            call()
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before
    outcome = run_vaa(*words.split(), cwd=tmp_path)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1] == f"error: {with_switches(str(caught.value))}"
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"epochs": 0}, "epochs = 0"),
        ({"lr": "fast"}, "lr = 'fast'"),
        ({"ema": 1.5}, "ema = 1.5"),
        ({"loss": "hinge"}, "loss = 'hinge'"),
        ({"save_every": "soon"}, "'soon' is not a length of time"),
        ({"stages": (1,)}, "name some of 2, 3 and 4"),
    ],
)
def test_options_are_checked(tmp_path: Path, options: dict[str, object], part: str) -> None:
    make_dataset(tmp_path / "people", count=12, split=False)
    vaa.prepare(tmp_path / "people", tmp_path / "prepared")
    with pytest.raises(vaa.VAAError, match=part):
        train(str(tmp_path / "prepared"), str(tmp_path / "run"), **options)
    assert not (tmp_path / "run").exists()
