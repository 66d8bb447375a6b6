"""Label statistics as tables for a terminal, and their figures as text."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vaa_cli.core.evaluation.records import number
from vaa_cli.core.labels.priors import Priors
from vaa_cli.core.labels.statistics import LabelStatistics, Pair
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.reports.style import BAR_WIDTH, TABLE_STYLE, cell

# Each character of a bar has eight steps, which show rare and rarer.
_EIGHTHS = " ▏▎▍▌▋▊▉"
# With more attributes, 80 columns leave no room for names beside the matrix.
_MATRIX = 16
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


def _attributes_table(statistics: LabelStatistics) -> Table:
    priors = statistics.priors
    table = Table(**TABLE_STYLE)
    table.add_column("attribute", overflow="fold")
    table.add_column("prior", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    table.add_column("pos : neg", no_wrap=True)
    table.add_column("positives", justify="right", no_wrap=True)
    unspecified = bool(priors.unspecified.any())
    if unspecified:
        table.add_column("unspec.", justify="right", no_wrap=True)
    counts = zip(priors.positives.tolist(), priors.negatives.tolist(), strict=True)
    ratios = [ratio_text(*pair) for pair in counts]
    # The colons stand below each other.
    colon = max(ratio.find(" : ") for ratio in ratios)
    for i in statistics.order:
        prior, ratio = float(priors.prior[i]), ratios[i]
        if " : " in ratio:
            ratio = " " * (colon - ratio.index(" : ")) + ratio
        cells = ["-" if math.isnan(prior) else f"{prior:.3f}", _bar(prior), ratio]
        cells.append(f"{priors.positives[i]:,}")
        if unspecified:
            cells.append(f"{priors.unspecified[i]:,}")
        table.add_row(Text(priors.attributes[i]), *cells)
    return table


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


def _pairs_table(pairs: list[Pair]) -> Table:
    table = Table(**TABLE_STYLE)
    table.add_column("first", overflow="fold")
    table.add_column("second", overflow="fold")
    for name in ("pictures", "share", "overall", "phi"):
        table.add_column(name, justify="right", no_wrap=True)
    for pair in pairs:
        figures = (f"{percent(pair.conditional)}%", f"{percent(pair.overall)}%")
        names = Text(pair.first), Text(pair.second)
        table.add_row(*names, f"{pair.together:,}", *figures, f"{pair.phi:+.2f}")
    return table


def _matrix(statistics: LabelStatistics) -> list[RenderableType]:
    count = len(statistics.attributes)
    if count > _MATRIX:
        return [
            Text(
                f"The co-occurrence matrix of {count} attributes is too wide for a terminal; the "
                "picture has it."
            )
        ]
    table = Table(**TABLE_STYLE, padding=0)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("attribute", overflow="fold")
    for position in range(1, count + 1):
        table.add_column(str(position), justify="right", no_wrap=True, min_width=3)
    conditional, order = statistics.conditional, statistics.order
    for position, row in enumerate(order, start=1):
        # An attribute always comes with itself: left blank, which also guides the eye.
        cells = ["" if row == column else percent(conditional[row, column]) for column in order]
        table.add_row(str(position), Text(statistics.attributes[row]), *cells)
    return [
        Text("Co-occurrence", style="bold"),
        table,
        Text(
            "In percent: of the pictures with the row's attribute, those that have the column's, "
            "whose number is in front of its row."
        ),
    ]


def _bar(prior: float) -> str:
    if math.isnan(prior):
        return ""
    eighths = max(round(prior * BAR_WIDTH * 8), int(prior > 0))  # what is rare must be seen
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _figure(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 99.95 else f"{ratio:,.0f}"


def priors_table(priors: Priors, splits: dict[str, LabelTable]) -> Table:
    """Each attribute's fraction of positives in training, and its positives in each split."""
    table = Table(**TABLE_STYLE)
    table.add_column("attribute", overflow="fold")
    table.add_column("prior", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    for split in splits:
        table.add_column(f"{split}+", justify="right", no_wrap=True)
    unspecified = bool(priors.unspecified.any())
    if unspecified:
        table.add_column("unspec.", justify="right")
    counts = {split: Priors.of(part).positives for split, part in splits.items()}
    for i, name in enumerate(priors.attributes):
        prior = float(priors.prior[i])
        bar = "" if math.isnan(prior) else "█" * max(round(prior * BAR_WIDTH), int(prior > 0))
        cells = [cell(number(prior)), bar, *(str(counts[split][i]) for split in splits)]
        if unspecified:
            cells.append(str(priors.unspecified[i]))
        table.add_row(Text(name), *cells)
    return table
