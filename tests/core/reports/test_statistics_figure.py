"""The picture of label statistics: it is drawn whatever the labels and names are."""

import io
import logging
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageColor

from tests.helpers.pictures import make_table
from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.reports.matplotlib_setup import require_matplotlib
from vaa_cli.core.reports.statistics_figure import statistics_figure

matplotlib = pytest.importorskip("matplotlib")

# Whatever matplotlib warns of would be on the user's terminal.
pytestmark = pytest.mark.filterwarnings("error::UserWarning")


def random_table(count: int, names: Sequence[str] | None = None) -> LabelTable:
    rng = np.random.default_rng(0)
    return make_table(rng.integers(-1, 2, (50, count)).tolist(), attributes=names)


def drawn(table: LabelTable, name: str = "people") -> Image.Image:
    picture = Image.open(io.BytesIO(statistics_figure(LabelStatistics.of(table), name)))
    assert picture.format == "PNG"
    picture.load()
    return picture.convert("RGB")


def count_of(colour: str, picture: Image.Image) -> int:
    """How many pixels have a colour, given as #rrggbb."""
    return int((np.asarray(picture) == ImageColor.getrgb(colour)).all(axis=2).sum())


def test_more_attributes_make_a_larger_picture() -> None:
    sizes = [drawn(random_table(count)).size for count in (1, 12, 60)]
    for smaller, larger in pairwise(sizes):
        assert smaller[0] < larger[0] and smaller[1] < larger[1]


def test_the_same_labels_make_the_same_picture() -> None:
    first, second = (drawn(random_table(5)) for _ in range(2))
    assert first.size == second.size and first.tobytes() == second.tobytes()


def test_a_picture_of_very_many_attributes_stays_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vaa_cli.core.reports.statistics_figure._LONGEST_SIDE", 200)
    assert max(drawn(random_table(12)).size) < 300


def test_bars_are_as_long_as_priors_are_large() -> None:
    none, quarter, half = (
        count_of("#225ea8", drawn(make_table([[i < positives] for i in range(100)])))
        for positives in (0, 25, 50)
    )
    # The scale of the heat map may have a little of the colour too.
    assert half - none == pytest.approx(2 * (quarter - none), rel=0.05)
    assert quarter - none > 1000


CELL = (0.3 * 150) ** 2  # pixels


def test_cells_that_nothing_is_known_of_are_grey() -> None:
    known, unknown = make_table([[1, 0], [0, 1]]), make_table([[1, -1], [0, -1]])
    # Both cells beside the diagonal; the edges of letters have a little of the colour too.
    grey = count_of("#dddddd", drawn(unknown)) - count_of("#dddddd", drawn(known))
    assert grey == pytest.approx(2 * CELL, rel=0.1)


def test_cells_are_coloured_by_phi() -> None:
    """Blue for attributes that exclude each other, red for those that come together, and paler
    where there are too few pictures."""

    def colour(*rows: list[int]) -> np.ndarray:
        pixels = np.asarray(drawn(make_table(list(rows)))).reshape(-1, 3).astype(int)
        colours, counts = np.unique(pixels, axis=0, return_counts=True)
        # Neither grey nor the blue of the bars, and as large as both cells but for their figures.
        chosen = (np.ptp(colours, axis=1) > 10) & (colours != ImageColor.getrgb("#225ea8")).any(1)
        largest = np.argmax(np.where(chosen, counts, 0))
        assert counts[largest] == pytest.approx(2 * CELL, rel=0.25)
        found: np.ndarray = colours[largest]
        return found

    apart, together = colour(*[[1, 0], [0, 1]] * 20), colour(*[[1, 1], [0, 0]] * 20)
    assert apart[2] > apart[0] + 50 and together[0] > together[2] + 50
    few = colour([1, 1], [0, 0])
    assert (few > together).all() and few[0] > few[2]


@pytest.mark.parametrize(
    "table",
    [make_table([[1, 0]]).select([]), make_table([[-1, -1]] * 3), make_table([[0, 1]] * 3)],
    ids=["no rows", "unspecified", "constant"],
)
def test_without_labels_there_is_a_picture(table: LabelTable) -> None:
    assert drawn(table).size == drawn(make_table([[1, 0], [0, 1]])).size


NAMES = [
    "$x$", "a$b$_{x}", "$\\frac{$", "new\nline", "x" * 300, "帽子をかぶる", "قبعة", "😀", "\ud800",
    "nul\0", "\x1b[31m", " ", "_hidden",
]  # fmt: skip


def test_names_of_any_kind(capfd: pytest.CaptureFixture[str]) -> None:
    usual = drawn(random_table(len(NAMES)))
    picture = drawn(random_table(len(NAMES), NAMES), name="na$me\n\udcff$ " + "日本" * 50)
    # The longest name is cut: the picture does not grow by 300 characters.
    assert usual.width < picture.width < 2.5 * usual.width
    assert capfd.readouterr() == ("", "")


def test_settings_of_the_user_and_of_the_program_are_left_alone() -> None:
    expected = drawn(random_table(2)).tobytes()
    changes = {"text.usetex": True, "font.size": 30.0, "savefig.transparent": True}
    with matplotlib.rc_context(changes):
        assert drawn(random_table(2)).tobytes() == expected
        assert {key: matplotlib.rcParams[key] for key in changes} == changes


def test_matplotlib_is_loaded_only_to_draw() -> None:
    code = (
        "import sys, vaa_cli.core.reports.statistics_figure; sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_what_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = LabelStatistics.of(random_table(2))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(VAAError, match=r"pip install matplotlib"):
        require_matplotlib()
    with pytest.raises(VAAError, match=r"pip install matplotlib"):
        statistics_figure(statistics, "people")


def test_with_matplotlib_nothing_is_missing() -> None:
    require_matplotlib()
    assert not logging.getLogger("matplotlib.font_manager").isEnabledFor(logging.WARNING)
