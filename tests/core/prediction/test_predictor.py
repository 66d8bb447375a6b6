"""A predictor in one's own program."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaa_cli as vaa
from tests.helpers.command import read_rows, run_vaa
from vaa_cli.core.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(workspace: Path) -> Predictor:
    return vaa.open_predictor(
        workspace / "runs" / "latest", engine="torch", precision="fp32", workers=0
    )


@pytest.fixture(scope="module")
def pictures(workspace: Path) -> list[Path]:
    return sorted((workspace / "dataset" / "images").iterdir())[:5]


def test_paths_pictures_and_arrays_are_the_same(predictor: Predictor, pictures: list[Path]) -> None:
    by_path = predictor(pictures)
    assert by_path.shape == (5, 3) and by_path.dtype == np.float32
    opened = [Image.open(path).convert("RGB") for path in pictures]
    np.testing.assert_array_equal(predictor(opened), by_path)
    np.testing.assert_array_equal(predictor([np.asarray(image) for image in opened]), by_path)
    assert predictor([]).shape == (0, 3)


def test_it_predicts_what_the_command_does(
    predictor: Predictor, pictures: list[Path], workspace: Path
) -> None:
    outcome = run_vaa(
        "predict", *pictures, "--engine", "torch", "--precision", "fp32", "--workers", "0",
        cwd=workspace,
    )  # fmt: skip
    rows = read_rows(outcome.out)
    expected = [[float(row[name]) for name in predictor.attributes] for row in rows]
    np.testing.assert_allclose(predictor(pictures), expected, atol=2e-6)
    table = predictor.table([*pictures, "gone.png"])
    np.testing.assert_allclose(table[list(predictor.attributes)][:5], expected, atol=2e-6)
    assert table["image"].tolist() == [*map(str, pictures), "gone.png"]
    assert table["error"].tolist() == [""] * 5 + ["no such file"]
    assert table.iloc[5][list(predictor.attributes)].isna().all()


def test_a_copy_in_another_process_is_the_same(predictor: Predictor, pictures: list[Path]) -> None:
    before = predictor(pictures)
    content = pickle.dumps(predictor)
    assert len(content) < 10_000, "the model is in it"
    np.testing.assert_array_equal(pickle.loads(content)(pictures), before)


def test_a_broken_picture_is_named(predictor: Predictor, pictures: list[Path]) -> None:
    with pytest.raises(vaa.VAAError, match=r"^gone\.png: no such file$"):
        predictor([pictures[0], "gone.png"])


def test_mirror_images_are_averaged(
    predictor: Predictor, pictures: list[Path], workspace: Path
) -> None:
    mirrored = [
        Image.open(path).convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for path in pictures
    ]
    both = vaa.open_predictor(
        workspace / "runs" / "latest", engine="torch", precision="fp32", workers=0, mirror=True
    )
    mean = (predictor(pictures) + predictor(mirrored)) / 2
    np.testing.assert_allclose(both(pictures), mean, atol=1e-6)


def test_a_picture_that_the_model_gives_no_number_for(
    predictor: Predictor, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = predictor.engine.probabilities

    def overflow(pixels: np.ndarray) -> np.ndarray:
        found = compute(pixels)
        found[1:2, 1] = np.nan
        return found

    with monkeypatch.context() as patch:
        patch.setattr(predictor.engine, "probabilities", overflow)
        table = predictor.table(pictures)
        with pytest.raises(vaa.VAAError, match=f"{pictures[1].name}: the model gives no number"):
            predictor(pictures)
    assert [bool(error) for error in table["error"]] == [False, True, False, False, False]
    assert table.iloc[1][list(predictor.attributes)].isna().all()
