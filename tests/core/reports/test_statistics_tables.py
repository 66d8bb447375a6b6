"""Tables of label statistics say what the labels say."""

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from tests.helpers.pictures import make_table
from vaa_cli.core.labels.statistics import LabelStatistics
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.reports.statistics_tables import percent, ratio_text, statistics_tables

NAMES = ("hat", "sunglasses", "longHair", "backpack", "upperBodyStriped", "skirt")
LITERAL = ["[red]", "[bold]hat[/bold]", "[/]", "a[0]", "hat\\", "[link=x]", ":smile:"]
BLOCKS = set("█▏▎▍▌▋▊▉")


def shown(table: LabelTable) -> list[str]:
    """The lines that a plain terminal of 80 columns shows, without the space around them."""
    console = Console(file=io.StringIO(), width=80, color_system=None, legacy_windows=False)
    console.print(statistics_tables(LabelStatistics.of(table)))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    return [line.strip() for line in lines]


def section(lines: Sequence[str], title: str) -> list[list[str]]:
    """The cells of the table below a title, without its header."""
    start = lines.index(title)
    rule = next(i for i in range(start, len(lines)) if lines[i].startswith("──"))
    end = next(i for i in range(rule, len(lines)) if not lines[i])
    return [line.split() for line in lines[rule + 1 : end]]


def random_table(attributes: Sequence[str], unspecified: float = 0.1) -> LabelTable:
    """A common cause makes some attributes come together and others avoid each other."""
    rng = np.random.default_rng(0)
    shape = (2000, len(attributes))
    cause = rng.normal(size=(shape[0], 1)) * np.resize([1, 1, -1], shape[1])
    labels = (cause + rng.normal(size=shape) > np.linspace(0, 3, shape[1])).astype(int)
    labels[rng.random(shape) < unspecified] = -1
    return make_table(labels.tolist(), attributes=attributes)


# Figures as text


@pytest.mark.parametrize(
    ("positives", "negatives", "text"),
    [
        (5, 66, "1 : 13.2"),
        (5, 2, "2.5 : 1"),
        (7, 7, "1 : 1.0"),
        (1, 99, "1 : 99.0"),
        (2, 247, "1 : 124"),
        (1, 12345, "1 : 12,345"),
        (0, 9, "all absent"),
        (9, 0, "all present"),
        (0, 0, "no labels"),
    ],
)
def test_ratio(positives: int, negatives: int, text: str) -> None:
    assert ratio_text(positives, negatives) == text


def test_percent() -> None:
    shares = (0, 0.001, 0.01, 0.254, 0.5, 0.99, 0.996, 1, math.nan)
    texts = ["0", "<1", "1", "25", "50", "99", ">99", "100", "-"]
    assert [percent(share) for share in shares] == texts


# Tables


@pytest.mark.parametrize("unspecified", [0, 0.2])
def test_attributes_stand_from_the_rarest_with_their_counts(unspecified: float) -> None:
    table = random_table(NAMES, unspecified)
    lines = shown(table)
    rows = []
    for name, column in zip(NAMES, table.labels.T.tolist(), strict=True):
        positives, negatives = column.count(1), column.count(0)
        prior = positives / (positives + negatives)
        cells = [name, f"{prior:.3f}", *ratio_text(positives, negatives).split(), f"{positives:,}"]
        rows.append((prior, cells + ([str(column.count(-1))] if unspecified else [])))
    start = next(i for i, line in enumerate(lines) if line.startswith("──")) + 1
    first_table = lines[start : start + len(NAMES)]
    without_bars = [[c for c in line.split() if not set(c) <= BLOCKS] for line in first_table]
    assert without_bars == [cells for _, cells in sorted(rows)]
    assert ("unspec." in lines[start - 2]) == bool(unspecified)
    assert len({line.index(" : ") for line in first_table}) == 1, "colons below each other"


def test_bars_are_as_long_as_priors_are_large() -> None:
    labels = np.zeros((1000, 4), dtype=np.int8)
    labels[:1, 1], labels[:500, 2], labels[:, 3] = 1, 1, 1
    lines = shown(make_table(labels.tolist(), attributes=["none", "one", "half", "all"]))
    bars = {line.split()[0]: line for line in lines if line}
    assert bars["half"].count("█") == bars["all"].count("█") / 2 > 0
    assert "▏" in bars["one"], "what is rare must be seen"
    assert not set(bars["none"]) & BLOCKS


def test_pairs_have_the_figures_of_the_statistics() -> None:
    table = random_table(NAMES)
    lines = shown(table)
    together, apart = LabelStatistics.of(table).strongest(8)
    assert together and apart
    for title, pairs in (("Come together most", together), ("Avoid each other most", apart)):
        assert section(lines, title) == [
            [
                pair.first,
                pair.second,
                f"{pair.together:,}",
                f"{percent(pair.conditional)}%",
                f"{percent(pair.overall)}%",
                f"{pair.phi:+.2f}",
            ]
            for pair in pairs
        ]


def test_the_matrix_has_the_share_of_the_row_that_has_the_column() -> None:
    # Of four with a hat one has a bag, of two with a bag one has a hat; nothing tells of a skirt.
    labels = [[1, 1, -1], [1, 0, -1], [1, 0, -1], [1, 0, -1], [0, 1, -1]] + [[0, 0, -1]] * 5
    lines = shown(make_table(labels, attributes=["hat", "bag", "skirt"]))
    assert section(lines, "Co-occurrence") == [
        ["1", "bag", "50", "-"],
        ["2", "hat", "25", "-"],
        ["3", "skirt", "-", "-"],
    ]


@pytest.mark.parametrize("count", [2, 16, 17, 60])
def test_the_matrix_is_there_where_80_columns_hold_it(count: int) -> None:
    names = [f"attribute{i:02d}" for i in range(count)]
    lines = shown(random_table(names))
    assert all(any(line.startswith(name) for line in lines) for name in names)
    assert "…" not in "".join(lines)
    assert ("Co-occurrence" in lines) == (count <= 16)
    assert any(f"matrix of {count} attributes" in line for line in lines) == (count > 16)


# Edges


def test_no_rows_and_nothing_specified() -> None:
    for table in (make_table([[1, 0]]).select([]), make_table([[-1, -1]])):
        lines = shown(table)
        assert ["attribute0", "-", "no", "labels", "0"] in [line.split()[:5] for line in lines]
        assert any(line.startswith("No two attributes have enough pictures") for line in lines)


def test_one_attribute_is_a_table_alone() -> None:
    lines = shown(make_table([[1], [0], [0]], attributes=["hat"]))
    assert any(line.split()[:2] == ["hat", "0.333"] for line in lines)
    assert "Co-occurrence" not in lines and not any("No two" in line for line in lines)


@pytest.mark.parametrize("name", LITERAL)
def test_names_are_shown_as_they_stand(name: str) -> None:
    lines = shown(random_table([name, "bag"]))
    assert any(line.startswith(f"{name} ") for line in lines)
    pairs = section(lines, "Come together most")
    assert name in pairs[0][:2]
    assert name in {row[1] for row in section(lines, "Co-occurrence")}


def test_very_long_names_are_folded() -> None:
    lines = shown(random_table(["x" * 100, "日本" * 40, "a\nb"]))
    assert sum(line.split(" ")[0].count("x") for line in lines) >= 100
