"""The model that comes with vaa: there without any run, named on stderr, and never changed."""

from pathlib import Path

import pytest

from tests.helpers.command import TORCH_FP32, assert_one_line_error, read_rows, run_vaa
from vaa_cli.core.models.card import read_card
from vaa_cli.core.runs.lookup import STARTER, STARTER_NAME, model_file

FILE = STARTER / "best.safetensors"
PHOTOS = Path(__file__).parents[3] / "sample_data" / "photos"


def test_its_card_and_size() -> None:
    card = read_card(FILE)
    assert FILE.stat().st_size < 12_000_000
    assert len(card.attributes) >= 10 and "jeans" in card.attributes
    assert card.temperatures and len(set(card.thresholds)) > 1
    assert "Clothing Co-Parsing" in card.data


def test_without_a_run_it_predicts_and_says_what_it_is(tmp_path: Path) -> None:
    outcome = run_vaa("predict", PHOTOS, *TORCH_FP32, cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "no trained run in ./runs" in outcome.err
    assert "street photos" in outcome.err and "docs/starter.md" in outcome.err
    rows = read_rows(outcome.out)
    assert [Path(row["image"]).name for row in rows] == ["0385.jpg", "0557.jpg", "1969.jpg"]
    # The second one wears jeans: the others are less likely to, and it is decided so.
    card = read_card(FILE)
    jeans = [float(row["jeans"]) for row in rows]
    assert jeans[1] == max(jeans) >= card.thresholds[card.attributes.index("jeans")]


def test_it_explains_and_its_name_is_enough(tmp_path: Path) -> None:
    photo = PHOTOS / "0557.jpg"
    outcome = run_vaa("explain", photo, "--text", "--attributes", "jeans", cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    (line,) = [line for line in outcome.out.splitlines() if line.strip().startswith("jeans")]
    assert " present " in line and "too coarse" not in outcome.out
    outcome = run_vaa("predict", photo, "--run", "starter", *TORCH_FP32, cwd=tmp_path)
    assert outcome.code == 0 and "no trained run" not in outcome.err


def test_a_run_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_file(STARTER_NAME) == FILE
    (tmp_path / "starter").mkdir()
    (tmp_path / "starter/best.safetensors").write_bytes(b"mine")
    assert model_file(STARTER_NAME) == Path("starter/best.safetensors")


def test_it_stays_as_it_is(workspace: Path, tmp_path: Path) -> None:
    before = FILE.read_bytes()
    data = ("--data", workspace / "prepared")
    for command in (
        ("calibrate", "--run", "starter", *data),
        ("calibrate", "--run", FILE, "--undo"),
        ("rename", "starter", "jeans=denim"),
    ):
        assert_one_line_error(run_vaa(*command, cwd=tmp_path), "starter model comes with vaa")
    assert FILE.read_bytes() == before
