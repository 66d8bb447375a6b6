"""Figures and what they are called."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.model_cards import make_card
from tests.helpers.pictures import noise
from vaa_cli.core.images.requests import Request
from vaa_cli.core.prediction.attention import Explanation, StageAttention
from vaa_cli.core.prediction.predictor import Prediction
from vaa_cli.core.reports.explanation_files import Figures
from vaa_cli.core.reports.explanation_tables import peak

CARD = make_card(("hat", "$bag$ 日", "very " * 20 + "long"))


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
    figures = Figures(tmp_path / "out", CARD)
    for name in ("a.png", "b/a.png", "a-2.png", "c/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise(20, 40).save(tmp_path / name)
    written = []
    for name in ("a.png", "b/a.png", "a-2.png", "c/a.jpg"):
        request = Request(str(tmp_path / name))
        written.append(figures.add(request, explanation(request), [0]))
    assert [path.name for path in written if path] == [
        "a.attention.png", "a-2.attention.png", "a-2-2.attention.png", "a-3.attention.png",
    ]  # fmt: skip
    assert {path for path in written if path} == set((tmp_path / "out").iterdir())
    assert figures.finish() is None


def test_wide_and_narrow_pictures_and_names_of_any_kind(tmp_path: Path) -> None:
    figures = Figures(tmp_path, CARD)
    for i, size in enumerate([(300, 20), (20, 300)]):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", size, "teal").save(path)
        request = Request(str(path))
        written = figures.add(request, explanation(request), [1, 2, 0])
        assert written is not None
        with Image.open(written) as figure:
            assert min(figure.size) > 300 and max(figure.size) < 8000


def test_sheets_hold_several_pictures_one_below_the_other(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    noise(20, 40).save(path)
    request = Request(str(path))
    heights = {}
    for per_sheet in (1, 2):
        figures = Figures(tmp_path / str(per_sheet), CARD, per_sheet)
        written = [figures.add(request, explanation(request), [0, 1]) for _ in range(3)]
        written.append(figures.finish())
        heights[per_sheet] = [Image.open(one).height for one in written if one is not None]
    assert sorted(one.name for one in (tmp_path / "2").iterdir()) == [
        "sheet-1.attention.png", "sheet-2.attention.png",
    ]  # fmt: skip
    (alone, *_), (sheet, rest) = heights[1], heights[2]
    assert 1.8 * alone < sheet < 2 * alone and rest == alone


def test_each_stage_has_a_row_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    noise(20, 40).save(path)
    request = Request(str(path))
    heights = []
    for has_all_stages in (False, True):
        figures = Figures(tmp_path / str(has_all_stages), CARD, has_all_stages=has_all_stages)
        written = figures.add(request, explanation(request), [0, 1])
        assert written is not None
        heights.append(Image.open(written).height)
    assert heights[1] > 1.6 * heights[0]


def stage(*shape: int, value: float = 1.0) -> StageAttention:
    maps = np.full((1, *shape), value, dtype=np.float32)
    return StageAttention(maps, np.ones_like(maps))


def test_coarse_stages_are_left_out_of_the_combined_map() -> None:
    prediction = Prediction(Request("a.png"), np.array([0.5], dtype=np.float32))
    # Multiples of an even map: 96 cells of 0.02, 24 of 0.05, 6 of 1.
    stages = {2: stage(12, 8, value=0.02), 3: stage(6, 4, value=0.05), 4: stage(3, 2)}
    found = Explanation(prediction, stages)
    assert found.fine_stages == (2, 3) and found.finest_stage == 2
    assert found.combined(0).shape == (12, 8)
    assert found.combined(0) == pytest.approx(np.full((12, 8), (96 * 0.02 + 24 * 0.05) / 2))
    coarse = Explanation(prediction, {4: stage(3, 2, value=0.5), 5: stage(2, 1)})
    assert coarse.fine_stages == () and coarse.finest_stage == 4
    assert coarse.combined(0) == pytest.approx(np.full((3, 2), 3.0))


def test_a_map_peaks_in_a_third_of_the_picture() -> None:
    for row, down in ((0, "top"), (1, "top"), (2, "middle"), (3, "middle"), (5, "bottom")):
        for column, across in ((0, "left"), (1, "centre"), (2, "right")):
            heat = np.zeros((6, 3), dtype=np.float32)
            heat[row, column] = 2
            assert peak(heat) == f"{down} {across}"
