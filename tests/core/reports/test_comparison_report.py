"""Compared runs as people see them, in a terminal and as a page."""

import io

import numpy as np
import pytest
from rich.console import Console

from tests.core.reports.test_evaluation_page import Page
from vaa_cli.core.evaluation.comparison import Compared, compare_predictions
from vaa_cli.core.evaluation.pointing_game import Region, score_pointing
from vaa_cli.core.reports.comparison_report import comparison_page, comparison_tables
from vaa_cli.core.reports.pointing_tables import pointing_tables

NAMES = ["hat", "[red]<b>bag"]


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (300, 2)).astype(np.int8)
    guessed = rng.random((300, 2))
    better = np.clip(0.5 * targets + 0.5 * rng.random((300, 2)), 0, 1)
    runs = [(guessed, 0.5), (better, 0.5), (1 - guessed, 0.5), (guessed, 0.5)]
    return compare_predictions([[run] for run in runs], targets, NAMES, samples=100)


def test_a_page_says_what_is_better_and_what_is_noise(compared: list[Compared]) -> None:
    html = comparison_page(compared, ["a", "b & c", "d", "e"], "300 test pictures")
    page = Page(html)
    words = [word.strip() for word in page.words]
    assert page.open == [] and page.fetched == []
    assert html.count("<table") == 3
    assert words.count("better") >= 3 and words.count("≈") >= 7
    assert f"{compared[0].values[1].value:.3f}" in words
    assert "b & c" in words and "[red]<b>bag" in words


def shown(*parts: object, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(*parts)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_tables_say_the_same_and_fit_a_terminal(compared: list[Compared]) -> None:
    text = shown(comparison_tables(compared, ["a", "b", "d", "e"]), width=80)
    assert "[red]<b>bag" in text and "better" in text
    for name, difference in zip("bde", compared[0].differences, strict=True):
        assert f"{name} against a" in text
        assert f"{difference.value:+.3f}" in text
        assert f"{difference.low:+.3f} … {difference.high:+.3f}" in text


def test_places_fit_a_terminal() -> None:
    inside = np.zeros((20, 10), dtype=bool)
    inside[:10] = True
    heat = np.array([[3.0], [1.0]])
    pointing = score_pointing([(Region(0, 1, inside), {"stage 3": heat, "stage 4": heat})], 2)
    text = shown(pointing_tables(["never", "[red]<b>bag"], pointing), width=80)
    lines = [line.split() for line in text.splitlines() if "<b>bag" in line]
    near = f"{11 / 20:.3f}"  # half a pixel of tolerance reaches no further row
    assert lines[0][:4] == ["[red]<b>bag", "1", "1.000", "1.000"]
    assert lines[0][4] in (near, "0.500")
    assert lines[1] == ["[red]<b>bag", "1", "0.750", "0.750", "0.500", "0.500"]
    assert "never" not in text and "mean of attributes" in text
