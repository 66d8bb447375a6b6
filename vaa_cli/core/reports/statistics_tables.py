"""Label statistics as tables for a terminal, and their figures as text."""

import math

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from vaa_cli.core.evaluation.records import number
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.statistics import LabelStatistics, Pair
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.reports.figures_table import (
    BAR_WIDTH,
    TABLE_STYLE,
    FigureColumn,
    FiguresTable,
    cell,
    name_text,
)

# Each character of a bar has eight steps, which show rare and rarer.
_EIGHTHS = " ▏▎▍▌▋▊▉"
# With more attributes, 80 columns leave no room for names beside the matrix.
_MATRIX = 16
# Columns of its names, and of each of its cells.
_MATRIX_NAME, _MATRIX_CELL = 16, 4
# Nobody reads more rows than these; priors.csv has all.
_ROWS = 300
# So many pairs are shown at either end.
_PAIRS = 8


def statistics_tables(statistics: LabelStatistics) -> Group:
    """Priors and imbalance, the pairs that stand out, and the co-occurrence matrix if it fits.

    Args:
        statistics: statistics of the training split.

    Returns:
        What a rich console prints; made for 80 columns or more.
    """
    parts: list[RenderableType] = [_attributes_table(statistics)]
    if len(statistics.attributes) > 1:
        parts += [*_pairs(statistics), *_matrix(statistics)]
    return Group(*parts)


def ratio_text(positives: int, negatives: int) -> str:
    """Positives to negatives as `1 : 13.2` or `2.5 : 1`; words where one of them is zero."""
    if positives == 0 or negatives == 0:
        return "all absent" if negatives else "all present" if positives else "no labels"
    if positives > negatives:
        return f"{_figure(positives / negatives)} : 1"
    return f"1 : {_figure(negatives / positives)}"


def percent(fraction: float) -> str:
    """A fraction as whole percent in three characters at most; `<1` and `>99` are not 0 and 100."""
    if math.isnan(fraction):
        return "-"
    if 0 < fraction < 0.01:
        return "<1"
    return ">99" if 0.99 < fraction < 1 else f"{100 * fraction:.0f}"


def _attributes_table(statistics: LabelStatistics) -> FiguresTable:
    priors, order = statistics.priors, statistics.order
    counts = zip(priors.positives.tolist(), priors.negatives.tolist(), strict=True)
    ratios = [ratio_text(*pair) for pair in counts]
    # The colons stand below each other.
    colon = max(ratio.find(" : ") for ratio in ratios)
    ratios = [
        " " * (colon - ratio.index(" : ")) + ratio if " : " in ratio else ratio for ratio in ratios
    ]
    values = [float(priors.prior[i]) for i in order]
    columns = [
        FigureColumn("prior", ["-" if math.isnan(v) else f"{v:.3f}" for v in values], 0),
        FigureColumn("", [_bar(value) for value in values], 4, "left", BAR_WIDTH),
        FigureColumn("pos : neg", [ratios[i] for i in order], 2, "left"),
        FigureColumn("positives", [f"{priors.positives[i]:,}" for i in order], 1),
    ]
    if priors.unspecified.any():
        columns.append(FigureColumn("unspec.", [f"{priors.unspecified[i]:,}" for i in order], 3))
    names = [[priors.attributes[i]] for i in order]
    return FiguresTable(["attribute"], names, columns, most=_ROWS)


def _pairs(statistics: LabelStatistics) -> list[RenderableType]:
    together, apart = statistics.strongest(_PAIRS)
    if not together and not apart:
        return [Text("No two attributes have enough pictures to see whether they come together.\n")]
    parts: list[RenderableType] = []
    for pairs, title in ((together, "Come together most"), (apart, "Avoid each other most")):
        if pairs:
            parts += [Text(title, style="bold"), _pairs_table(pairs)]
    parts.append(
        Text(
            "share: of the pictures with the first attribute, those that have the second; "
            "overall: of all pictures; phi: from -1 (exclude each other) to 1 (always together).\n"
        )
    )
    return parts


def _pairs_table(pairs: list[Pair]) -> FiguresTable:
    columns = [
        FigureColumn("pictures", [f"{pair.together:,}" for pair in pairs], 1),
        FigureColumn("share", [f"{percent(pair.conditional)}%" for pair in pairs], 2),
        FigureColumn("overall", [f"{percent(pair.overall)}%" for pair in pairs], 3),
        FigureColumn("phi", [f"{pair.phi:+.2f}" for pair in pairs], 0),
    ]
    names = [(pair.first, pair.second) for pair in pairs]
    return FiguresTable(["first", "second"], names, columns)


def _matrix(statistics: LabelStatistics) -> list[RenderableType]:
    count = len(statistics.attributes)
    return [_Matrix(statistics) if count <= _MATRIX else _too_wide(count)]


def _too_wide(count: int) -> Text:
    return Text(
        f"The co-occurrence matrix of {count} attributes is too wide for this terminal; the "
        "picture has it."
    )


class _Matrix:
    """The co-occurrence matrix, or a line where the terminal is too narrow for it."""

    def __init__(self, statistics: LabelStatistics) -> None:
        self._statistics = statistics

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        statistics = self._statistics
        count = len(statistics.attributes)
        if options.max_width < _MATRIX_NAME + _MATRIX_CELL * count:
            yield _too_wide(count)
            return
        table = Table(**TABLE_STYLE, padding=0)
        table.add_column("", justify="right", no_wrap=True)
        table.add_column("attribute", overflow="fold")
        for position in range(1, count + 1):
            table.add_column(str(position), justify="right", no_wrap=True, min_width=3)
        conditional, order = statistics.conditional, statistics.order
        for position, row in enumerate(order, start=1):
            # An attribute always comes with itself: left blank, which also guides the eye.
            cells = ["" if row == column else percent(conditional[row, column]) for column in order]
            table.add_row(str(position), name_text(statistics.attributes[row]), *cells)
        yield Text("Co-occurrence", style="bold")
        yield table
        yield Text(
            "In percent: of the pictures with the row's attribute, those that have the column's, "
            "whose number is in front of its row."
        )


def _bar(prior: float) -> str:
    if math.isnan(prior):
        return ""
    eighths = max(round(prior * BAR_WIDTH * 8), int(prior > 0))  # what is rare must be seen
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _figure(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:,.0f}"


def priors_table(priors: Priors, splits: dict[str, LabelTable]) -> FiguresTable:
    """Each attribute's fraction of positives in training, and its positives in each split."""
    values = priors.prior.tolist()
    bars = ["" if math.isnan(v) else "█" * max(round(v * BAR_WIDTH), int(v > 0)) for v in values]
    columns = [
        FigureColumn("prior", [cell(number(value)) for value in values], 0),
        FigureColumn("", bars, len(splits) + 2, "left", BAR_WIDTH),
    ]
    for rank, (split, part) in enumerate(splits.items(), start=1):
        counts = Priors.of(part).positives.tolist()
        columns.append(FigureColumn(f"{split}+", [str(count) for count in counts], rank))
    if priors.unspecified.any():
        unspecified = [str(count) for count in priors.unspecified.tolist()]
        columns.append(FigureColumn("unspec.", unspecified, len(splits) + 1))
    return FiguresTable(["attribute"], [[name] for name in priors.attributes], columns, most=_ROWS)
