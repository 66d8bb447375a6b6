"""Plans: rates of the stages put together, and a sample that is found within its time."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.command import TORCH_FP32, newest_model, run_vaa
from tests.helpers.pictures import plain
from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.inputs import find_inputs
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.prediction.planning import SAMPLE, StageRates, find_sample, measure_stages
from vaa_cli.core.prediction.predictor import open_predictor


def rates(reading: float, decoding: float, inference: float, shares_cores: bool) -> StageRates:
    return StageRates(reading, decoding, inference, 4, 4, shares_cores, 1000.0, 0)


@pytest.mark.parametrize(
    ("stages", "rate", "bound"),
    [
        # On a GPU, the slowest stage alone: four processes decode 4 x 100 a second.
        (rates(1000, 100, 900, False), 400, "decoding"),
        (rates(1000, 100, 300, False), 300, "inference"),
        (rates(200, 100, 300, False), 200, "reading"),
        # A CPU's cores do both: 1/400 s and 1/100 s of all of them for each picture.
        (rates(1000, 100, 100, True), 80, "inference"),
        (rates(1000, 100, 1200, True), 300, "decoding"),
        (rates(50, 100, 100, True), 50, "reading"),
    ],
)
def test_stages_together(stages: StageRates, rate: float, bound: str) -> None:
    assert stages.rate == pytest.approx(rate)
    assert stages.bound == bound


def test_fewer_processes_than_cores_decode_less() -> None:
    assert StageRates(1e6, 100, 1e6, 16, 8, False, 1.0, 0).rate == 800


def test_pictures_are_looked_for_within_a_time() -> None:
    def endless() -> Iterator[ImageSource]:
        while True:
            yield ImageSource("a.jpg")

    found = find_sample(endless(), seconds=0.05)
    assert not found.is_all and found.count > SAMPLE == len(found.sample)
    assert found.rate > 0
    few = find_sample(iter([ImageSource("a.jpg")] * 3))
    assert (few.count, few.is_all, len(few.sample)) == (3, True, 3)
    with pytest.raises(VAAError, match="no pictures; nothing to plan"):
        find_sample([])


def test_a_sample_of_an_archive_can_be_timed(workspace: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "people.tar", "w") as archive:
        for number in range(5):
            path = tmp_path / f"{number}.png"
            plain((50 * number, 0, 0), (20, 40)).save(path)
            archive.add(path, path.name)
        (tmp_path / "broken.png").write_bytes(b"none")
        archive.add(tmp_path / "broken.png", "broken.png")
    inputs = find_inputs([str(tmp_path / "people.tar")], iter(()))  # type: ignore[arg-type]
    found = find_sample(inputs.sources)
    predictor = open_predictor(newest_model(workspace), engine="torch", precision="fp32", workers=1)
    measured = measure_stages(predictor, found.sample)
    sizes = [(tmp_path / f"{number}.png").stat().st_size for number in range(5)]
    assert measured.bytes_each == pytest.approx((sum(sizes) + 4) / 6)
    assert measured.problems == 1 and measured.workers == 1 and measured.shares_cores
    assert 0 < measured.rate < min(measured.inference, measured.decoding * measured.cores)


def test_the_command_plans_and_writes_nothing(workspace: Path, tmp_path: Path) -> None:
    images = workspace / "dataset" / "images"
    options = ("--run", newest_model(workspace), *TORCH_FP32)
    planned = run_vaa("predict", images, "--plan", "--out", "rows/", *options, cwd=tmp_path)
    assert planned.code == 0, planned.err
    lines = planned.out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == [
        "finding", "reading", "decoding", "inference", "together",
    ]  # fmt: skip
    assert "60 rows, 1 part of up to 50,000" in planned.out
    assert "bound by" in lines[5] and not list(tmp_path.iterdir())
