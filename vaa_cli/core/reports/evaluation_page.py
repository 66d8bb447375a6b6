"""An evaluation as one web page: mistakes first, then attributes, charts and totals."""

from collections.abc import Iterator

from vaa_cli.core.evaluation.bootstrap import interval, total_figures
from vaa_cli.core.evaluation.calibration import calibration_error
from vaa_cli.core.reports import html
from vaa_cli.core.reports.attribute_sections import (
    attributes_table,
    other_attributes,
    worst_attributes,
)
from vaa_cli.core.reports.evaluation_sections import (
    confused_attributes,
    imbalance,
    pointing_game,
    totals,
    training,
)
from vaa_cli.core.reports.group_sections import exclusive_groups
from vaa_cli.core.reports.html import figure, text
from vaa_cli.core.reports.page_content import PageContent


def evaluation_page(content: PageContent) -> str:
    """The page, as the text of an HTML file; it needs nothing else but the list of mistakes."""
    sections = {
        "worst": ("Worst attributes", worst_attributes(content)),
        "attributes": ("Attributes", attributes_table(content)),
        "groups": ("Groups", exclusive_groups(content)),
        "imbalance": ("Imbalance", imbalance(content)),
        "together": ("Mistaken together", confused_attributes(content)),
        "pointing": ("Pointing game", pointing_game(content)),
        "totals": ("Totals", totals(content)),
        "training": ("Training", training(content)),
        "others": ("Other attributes", other_attributes(content)),
    }
    bodies = {name: list(parts) for name, (_, parts) in sections.items()}
    links = " ".join(
        f'<a href="#{name}">{sections[name][0]}</a>' for name, parts in bodies.items() if parts
    )
    body = [
        *_about(content),
        *_tiles(content),
        f'<nav aria-label="Contents" class="no-print">{links}</nav>',
    ]
    for name, parts in bodies.items():
        if parts:
            body += [f'<h2 id="{name}">{sections[name][0]}</h2>', *parts]
    style = html.asset("charts.css") + html.asset("evaluation.css")
    return html.page(content.title, body, style, html.asset("evaluation.js"))


def _about(content: PageContent) -> Iterator[str]:
    items = "".join(
        f"<div><dt>{text(key)}</dt><dd>{text(value)}</dd></div>"
        for key, value in content.about.items()
    )
    yield f'<dl class="about">{items}</dl>'


def _tiles(content: PageContent) -> Iterator[str]:
    tiles = []
    for name, value in total_figures(content.scores).items():
        low, high = interval(value, content.draws.totals[name])
        tiles.append(
            f'<div class="tile"><b>{figure(value)}</b><span>{name}</span>'
            f'<small class="quiet">95 %: {figure(float(low))} to {figure(float(high))}</small>'
            "</div>"
        )
    error = calibration_error(content.probabilities, content.labels)
    tiles.append(
        f'<div class="tile"><b>{figure(error)}</b><span>calibration error</span>'
        '<small class="quiet">0 is best</small></div>'
    )
    yield f'<div class="tiles">{"".join(tiles)}</div>'
