"""Figures and what they are called."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.pictures import noise
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.backbones import IMAGENET_MEAN, IMAGENET_STD
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.attention import Explanation, StageAttention
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.reports.explanation_files import Figures

CARD = ModelCard(
    backbone="resnet18",
    attributes=("hat", "$bag$ 日", "very " * 20 + "long"),
    thresholds=(0.5,) * 3,
    priors=(0.1,) * 3,
    image_size=(64, 32),
    mean=IMAGENET_MEAN,
    std=IMAGENET_STD,
    stages=(3, 4),
    classifier="pooled",
    hidden=8,
    data="none",
    epoch=1,
    validation={},
)


def explanation(request: Request) -> Explanation:
    rng = np.random.default_rng(0)
    maps = {
        stage: StageAttention(
            rng.random((3, *shape)).astype(np.float32), rng.random((3, *shape)).astype(np.float32)
        )
        for stage, shape in ((3, (4, 2)), (4, (2, 1)))
    }
    return Explanation(Prediction(request, np.array([0.9, 0.2, 0.5], dtype=np.float32)), maps)


def test_no_two_figures_have_a_name(tmp_path: Path) -> None:
    figures = Figures(tmp_path / "out", CARD, None, top=2)
    for name in ("a.png", "b/a.png", "a-2.png", "c/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise(20, 40).save(tmp_path / name)
    written = []
    for name in ("a.png", "b/a.png", "a-2.png", "c/a.jpg"):
        request = Request(str(tmp_path / name))
        written.append(figures.write(request, explanation(request)))
    assert [path.name for path in written] == [
        "a.attention.png", "a-2.attention.png", "a-2-2.attention.png", "a-3.attention.png",
    ]  # fmt: skip
    assert sorted(written) == sorted((tmp_path / "out").iterdir())


def test_wide_and_narrow_pictures_and_names_of_any_kind(tmp_path: Path) -> None:
    figures = Figures(tmp_path, CARD, [1, 2, 0], top=1)
    for i, size in enumerate([(300, 20), (20, 300)]):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", size, "teal").save(path)
        request = Request(str(path))
        with Image.open(figures.write(request, explanation(request))) as figure:
            assert min(figure.size) > 300 and max(figure.size) < 8000
