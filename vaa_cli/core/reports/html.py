"""One HTML page that needs nothing beside itself: no network, no server, no other file."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

# Nothing may be fetched, whatever a name in a dataset holds; inline code is ours.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


def asset(name: str) -> str:
    """The text of a style or script that pages are made with."""
    return files("vaa_cli.core.reports").joinpath("assets", name).read_text(encoding="utf-8")


def page(title: str, body: Iterable[str], style: str = "", script: str = "") -> str:
    """A page as the text of an HTML file.

    Args:
        title: as text.
        body: the parts of the page, as HTML.
        style: CSS beside that of all pages.
        script: JavaScript.
    """
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{text(title)}</title>",
            f"<style>{asset('page.css')}{style}</style>",
            "</head>",
            "<body>",
            f"<h1>{text(title)}</h1>",
            *body,
            *([f"<script>{script}</script>"] if script else []),
            "</body>",
            "</html>",
            "",
        ]
    )


def text(words: object) -> str:
    """Text as HTML; a name's bytes that are no UTF-8 are shown as question marks."""
    return escape(str(words).encode("utf-8", errors="replace").decode())


def figure(value: float) -> str:
    """A figure with three digits; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def table(
    caption: str, header: Sequence[str], rows: Iterable[Sequence[str]], is_heading: bool = False
) -> str:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        caption: caption as text.
        header: the names of the columns, as text.
        rows: cells as HTML; the first of a row is its header.
        is_heading: whether the caption is the heading of a section, too.
    """
    label = f'aria-label="{text(caption)}"'
    parts = [
        f"<h2>{text(caption)}</h2>" if is_heading else f'<p class="caption">{text(caption)}</p>',
        f'<div class="scroll" tabindex="0" role="region" {label}><table {label}><thead><tr>',
        *(f'<th scope="col">{text(name)}</th>' for name in header),
        "</tr></thead><tbody>",
    ]
    for first, *others in rows:
        cells = "".join(f"<td>{cell}</td>" for cell in others)
        parts.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    return "".join([*parts, "</tbody></table></div>"])
