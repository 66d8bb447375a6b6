"""Fonts and files of all figures that matplotlib draws; matplotlib is optional."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from vaa_cli.core.errors import VAAError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LONGEST_NAME = 40
# The first comes with matplotlib; the others have Chinese, Japanese and Korean characters too.
_FONTS = "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Arial Unicode MS", "SimHei"


def require_matplotlib() -> None:
    """Check that figures can be drawn.

    Raises:
        VAAError: matplotlib is not installed.
    """
    # Else it prints on stderr which fonts and folders it looks for when it is first used.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise VAAError(
            "figures are drawn with matplotlib, which is not installed; pip install matplotlib"
        ) from error


@contextmanager
def drawing() -> Iterator[None]:
    """A block in which figures are drawn, with the installed fonts and without a matplotlibrc."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    installed = fontManager.get_font_names()
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = [font for font in _FONTS if font in installed]
        matplotlib.rcParams["font.size"] = 9
        matplotlib.rcParams["text.parse_math"] = False  # a $ in a name is a dollar
        # What none of the fonts has is drawn as a box.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def png(figure: "Figure") -> bytes:
    """A figure as a PNG file, as large as all that is drawn."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = BytesIO()
    FigureCanvasAgg(figure).print_figure(file, format="png", bbox_inches="tight")
    return file.getvalue()


def short_label(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name without what cannot be drawn, cut where it is very long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
