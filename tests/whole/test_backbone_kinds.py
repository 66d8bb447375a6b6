"""Every kind of backbone trains, resumes bit for bit, evaluates, explains and is exported."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vaa_cli as vaa
from benchmarks.kill_resume import differences
from tests.helpers.command import run_vaa
from tests.helpers.figures import make_prepared
from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.engines.export import export_model
from vaa_cli.core.training.events import Finished, StepReport, Stopped
from vaa_cli.core.training.loop import training_events
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.stop_request import StopRequest

OPTIONS = TrainingOptions(
    weights="none", image_size=(64, 64), hidden=8, batch_size=8, epochs=2, lr=1e-3, workers=0,
    precision="fp32", device="cpu", tensorboard=False,
)  # fmt: skip
KINDS = [
    "convnext_atto",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in (
            "resnet18", "densenet121", "swin_tiny_patch4_window7_224", "tf_efficientnet_lite0",
        )
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("kinds"), train=24, val=12)


@pytest.mark.parametrize("backbone", KINDS)
def test_a_kind_of_backbone(data: Prepared, tmp_path: Path, backbone: str) -> None:
    options = replace(OPTIONS, backbone=backbone)
    whole, run = tmp_path / "whole", tmp_path / "run"
    *_, end = training_events(data, options, whole)
    assert isinstance(end, Finished)

    stop = StopRequest()
    for event in training_events(data, options, run, stop=stop):
        if isinstance(event, StepReport) and (event.epoch, event.step) == (2, 1):
            stop.signal = signal.SIGTERM
    assert isinstance(event, Stopped)
    *_, resumed = training_events(data, options, run, checkpoint=run / "last.ckpt")
    assert resumed == end and differences(whole, run) == []

    torch_fp32 = EngineOptions(engine="torch", precision="fp32", workers=0)
    found = vaa.evaluate(whole, data.folder, "val", options=torch_fp32)
    image = data.split("val").path(0)
    outcome = run_vaa(
        "explain", image, "--run", whole, "--text", "--precision", "fp32", cwd=tmp_path
    )
    assert outcome.code == 0, outcome.err
    hat = next(line.split() for line in outcome.out.splitlines() if line.startswith(" hat"))
    # The first picture of val, whose probability the evaluation has too.
    column = found.split.card.attributes.index("hat")
    assert float(hat[1]) == pytest.approx(float(found.probabilities[0, column]), abs=2e-3)

    for kind, suffix in (("onnx", ".onnx"), ("openvino", ".xml")):
        out = tmp_path / f"model{suffix}"
        assert export_model(whole / "best.safetensors", kind, out).worst < 1e-3
        predictor = vaa.open_predictor(out, precision="fp32", workers=0)
        (prediction,) = predictor.table([image])["hat"]
        assert np.isclose(prediction, found.probabilities[0, column], atol=1e-3)
