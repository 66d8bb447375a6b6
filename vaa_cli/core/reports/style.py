"""The style of all tables on a terminal."""

from typing import Any

from rich import box

# A bar of this many characters is a prior of 1.
BAR_WIDTH = 14


TABLE_STYLE: dict[str, Any] = {"box": box.SIMPLE_HEAD, "pad_edge": False, "collapse_padding": True}


def cell(value: object) -> str:
    """A figure for people."""
    return f"{value:.3f}" if isinstance(value, float) else "-"
