"""Charts as SVG, and the page around them."""

import math
import re
from xml.etree import ElementTree

from vaa_cli.core.reports import html, svg_charts
from vaa_cli.core.reports.svg_charts import Axis, Line


def points_of(chart: str, kind: str) -> list[list[float]]:
    (found,) = re.findall(rf'class="{kind}" points="([^"]*)"', chart)
    return [[float(n) for n in point.split(",")] for point in found.split()]


def test_a_line_goes_from_corner_to_corner() -> None:
    chart = svg_charts.line_chart(
        "t", Axis("x"), Axis("y"), [Line("a", [0, 0.5, 1], [0, math.nan, 1])], (300, 220)
    )
    (left, low), (right, high) = points_of(chart, "line a")
    assert left < right and low > high  # y grows downwards in SVG
    ElementTree.fromstring(chart)


def test_many_points_are_thinned_and_the_last_one_stays() -> None:
    xs = [i / 9999 for i in range(10_000)]
    chart = svg_charts.line_chart("t", Axis("x"), Axis("y"), [Line("a", xs, xs)])
    points = points_of(chart, "line a")
    assert 100 <= len(points) <= 152
    assert (
        points[-1]
        == points_of(
            svg_charts.line_chart("t", Axis("x"), Axis("y"), [Line("a", [0, 1], [0, 1])]), "line a"
        )[-1]
    )


def test_names_are_text() -> None:
    chart = svg_charts.scatter("<t>", Axis("a&b"), Axis("y"), [("<script>", 0.5, 0.5)])
    assert "<script>" not in chart
    ElementTree.fromstring(chart)


def test_ticks_are_round() -> None:
    chart = svg_charts.line_chart("t", Axis("x", 0, 30), Axis("y", 0, 0), [])
    numbers = re.findall(r'text-anchor="middle">([\d.]+)</text>', chart)
    assert numbers == ["0", "5", "10", "15", "20", "25", "30"]


def test_equal_distances_of_a_logarithmic_axis_are_equal_ratios() -> None:
    across = Axis("x", 0.01, 1, is_logarithmic=True)
    points = [("a", 0.01, 0.5), ("b", 0.1, 0.5), ("c", 1.0, 0.5)]
    chart = svg_charts.scatter("t", across, Axis("y"), points)
    left, middle, right = (float(x) for x in re.findall(r'cx="([\d.]+)"', chart))
    assert left < middle < right and abs(middle - left - (right - middle)) < 0.2
    numbers = re.findall(r'text-anchor="middle">([\d.]+)</text>', chart)
    assert numbers == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1"]
    assert [f">{name}</text>" in chart for name in "abc"] == [True] * 3


def test_a_page_fetches_nothing_and_escapes_names() -> None:
    page = html.page("<b>", [html.table("c & d", ["a"], [["1"]])], script="x()")
    assert "default-src 'none'" in page
    assert "<title>&lt;b&gt;</title>" in page
    assert "c &amp; d" in page and "<script>x()</script>" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
