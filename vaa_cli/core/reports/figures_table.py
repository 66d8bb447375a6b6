"""Tables of figures for a terminal of any width."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from vaa_cli.core.errors import printable

# A bar of this many characters is a prior of 1.
BAR_WIDTH = 14
TABLE_STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}
# Letters and part of the width that names have at least, while there is a column to leave out.
_NAME, _NAME_PART, _SHORTEST_NAME = 28, 0.42, 10
# Between two columns, and before the first and behind the last one.
_GAP, _EDGES = 2, 2


def cell(value: object) -> str:
    """A figure for people."""
    return f"{value:.3f}" if isinstance(value, float) else "-"


def name_text(name: str, style: str = "") -> Text:
    """A name from a file or a folder; what could control the terminal is spelt out."""
    return Text(printable(name), style=style)


@dataclass(frozen=True)
class FigureColumn:
    """A column of figures.

    Attributes:
        title: its heading.
        cells: its texts, one a row.
        rank: columns with the highest rank are left out first where the terminal is narrow.
        justify: side that the texts are on.
        width: number of characters; None for that of the longest text.
    """

    title: str
    cells: Sequence[str]
    rank: int
    justify: Literal["left", "right"] = "right"
    width: int | None = None

    @property
    def measure(self) -> int:
        """Number of characters that it takes."""
        return self.width or max(map(cell_len, [self.title, *self.cells]), default=0)


class FiguresTable:
    """Rows with names in front, and as many columns of figures as the terminal holds.

    Args:
        titles: headings of the columns of names, of which there is at least one.
        names: `n` rows, each with a name for each of these columns.
        columns: the columns of figures, of `n` cells each.
        foot: number of rows at the end that are set apart, as means are.
        most: number of rows that are printed; None for all.
    """

    def __init__(
        self,
        titles: Sequence[str],
        names: Sequence[Sequence[str]],
        columns: Sequence[FigureColumn],
        foot: int = 0,
        most: int | None = None,
    ) -> None:
        self._titles, self._columns, self._foot = titles, columns, foot
        self._names = names if most is None else names[:most]
        self._more = len(names) - len(self._names)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = self._fitting(options.max_width)
        table = Table(**TABLE_STYLE)
        for title in self._titles:
            table.add_column(title, overflow="fold", min_width=min(_SHORTEST_NAME, len(title)))
        for column in columns:
            table.add_column(
                column.title, justify=column.justify, no_wrap=True, min_width=column.measure
            )
        for row, names in enumerate(self._names):
            if self._foot and row == len(self._names) - self._foot:
                table.add_section()
            is_foot = row >= len(self._names) - self._foot
            style = "bold" if is_foot else ""
            cells = [column.cells[row] for column in columns]
            table.add_row(*map(name_text, names), *map(Text, cells), style=style)
        yield table
        if self._more:
            yield Text(f"… and {self._more:,} more", style="dim")
        left_out = dict.fromkeys(c.title for c in self._columns if c not in columns and c.title)
        if left_out:
            yield Text(f"a wider terminal shows {', '.join(left_out)}", style="dim")

    def _fitting(self, width: int) -> list[FigureColumn]:
        columns = list(self._columns)
        while len(columns) > 1 and self._needed(columns, width) > width:
            columns.remove(max(columns, key=lambda column: column.rank))
        return columns

    def _needed(self, columns: Sequence[FigureColumn], width: int) -> int:
        enough = min(_NAME, int(_NAME_PART * width)) // len(self._titles)
        names = 0
        for position, title in enumerate(self._titles):
            texts = [title, *(printable(row[position]) for row in self._names)]
            names += min(max(map(cell_len, texts)), max(enough, _SHORTEST_NAME))
        count = len(columns) + len(self._titles)
        return names + sum(column.measure for column in columns) + _GAP * (count - 1) + _EDGES
