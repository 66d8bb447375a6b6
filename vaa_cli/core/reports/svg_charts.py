"""Small charts as SVG, for pages; the colours are the page's, so they suit light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vaa_cli.core.evaluation.comparison import Estimate
from vaa_cli.core.reports.html import text
from vaa_cli.core.reports.label_placement import Rectangle, place_labels

# A place with room for numbers on the left and below.
_LEFT, _BOTTOM, _TOP, _RIGHT = 42, 34, 8, 8
_LEGEND = 14  # a line's name
_MOST_POINTS = 150
_CLASSES = "abc"
# Points and their labels: radius, width of a letter, height of a line, letters of a name.
_RADIUS, _LETTER, _LINE, _LONGEST = 4, 6.4, 13, 28


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: name of the line; empty for a guide, which is dashed and not named.
        x: its points.
        y: likewise; those that are no numbers are left out.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        name: meaning of the numbers.
        low: number at the left or at the bottom; above 0 if the axis is logarithmic.
        high: number at the other end.
        is_logarithmic: whether equal distances are equal ratios.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    is_logarithmic: bool = False

    def fraction(self, value: float) -> float:
        """Position of a number along the axis: 0 at `low`, 1 at `high`."""
        if self.is_logarithmic:
            return math.log(value / self.low) / (math.log(self.high / self.low) or 1)
        return (value - self.low) / ((self.high - self.low) or 1)


def interval_bar(interval: Estimate, reach: float, style: str) -> str:
    """An interval as a bar beside a line at zero; empty where it is not known.

    Args:
        interval: the value and its bounds.
        reach: number at the right end, and negative at the left.
        style: class that gives the bar its colour.
    """
    if math.isnan(interval.low):
        return ""
    width, middle = 140, 8
    low, value, high = (
        round(width / 2 * (1 + 0.96 * number / reach), 1)
        for number in (interval.low, interval.value, interval.high)
    )
    label = f"{interval.low:+.3f} to {interval.high:+.3f}"
    return (
        f'<svg class="interval {style}" viewBox="0 0 {width} 16" role="img" aria-label="{label}">'
        f'<line class="zero" x1="{width / 2}" x2="{width / 2}" y1="0" y2="16"/>'
        f'<line class="bar" x1="{low}" x2="{high}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="value" cx="{value}" cy="{middle}" r="4"/></svg>'
    )


def line_chart(
    title: str, across: Axis, up: Axis, lines: Sequence[Line], size: tuple[int, int] = (300, 220)
) -> str:
    """Lines over an axis.

    Args:
        title: title of the chart, for screen readers.
        across: the axis below.
        up: the axis on the left.
        lines: the lines.
        size: width and height.
    """
    named = sum(bool(line.name) for line in lines)
    frame = _Frame(across, up, size, _TOP + (_LEGEND * named if named > 1 else 0))
    parts = []
    drawn = 0
    for line in lines:
        points = [p for p in zip(line.x, line.y, strict=True) if all(map(math.isfinite, p))]
        step = max(1, math.ceil(len(points) / _MOST_POINTS))
        kept = points[::step] + (points[-1:] if (len(points) - 1) % step else [])
        coordinates = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in kept)
        if not line.name:
            parts.append(f'<polyline class="guide line" points="{coordinates}"/>')
            continue
        kind = _CLASSES[drawn % len(_CLASSES)]
        parts.append(f'<polyline class="line {kind}" points="{coordinates}"/>')
        if named > 1:
            top, left = _TOP + 4 + _LEGEND * drawn, _LEFT + 8
            parts.append(
                f'<path class="line {kind}" d="M{left} {top - 4}h14"/>'
                f'<text x="{left + 18}" y="{top}">{text(line.name)}</text>'
            )
        drawn += 1
    return frame.svg(title, parts)


def scatter(
    title: str,
    across: Axis,
    up: Axis,
    points: Sequence[tuple[str, float, float]],
    guide: Line | None = None,
    size: tuple[int, int] = (1000, 560),
) -> str:
    """Named points, labelled where there is room, and where they are pointed at.

    Args:
        title: title of the chart, for screen readers.
        across: the axis below.
        up: the axis on the left.
        points: names as text, and coordinates.
        guide: a dashed line.
        size: width and height.
    """
    frame = _Frame(across, up, size)
    parts = []
    if guide is not None:
        coordinates = " ".join(
            f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in zip(guide.x, guide.y, strict=True)
        )
        parts.append(f'<polyline class="guide line" points="{coordinates}"/>')
    centres = [(frame.x(x), frame.y(y)) for _, x, y in points]
    names = [_short(name) for name, _, _ in points]
    sizes = [(_LETTER * len(name), _LINE) for name in names]
    labels = place_labels(centres, sizes, _RADIUS, frame.inside)
    circles = []
    for (name, x, y), short, (left, top), label in zip(points, names, centres, labels, strict=True):
        hint = f"{name}: {across.name} {x:.3f}, {up.name} {y:.3f}"
        circles.append(
            f'<circle cx="{left:.1f}" cy="{top:.1f}" r="{_RADIUS}">'
            f"<title>{text(hint)}</title></circle>"
        )
        if label is not None:
            middle = ((label.left + label.right) / 2, (label.top + label.bottom) / 2)
            near = min(max(left, label.left), label.right), min(max(top, label.top), label.bottom)
            if math.dist(near, (left, top)) > 2 * _RADIUS:
                parts.append(
                    f'<path class="leader" d="M{left:.1f} {top:.1f}L{near[0]:.1f} {near[1]:.1f}"/>'
                )
            parts.append(
                f'<text class="label" x="{middle[0]:.1f}" y="{middle[1] + 4:.1f}" '
                f'text-anchor="middle">{text(short)}</text>'
            )
    return frame.svg(title, [*parts, *circles])


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


class _Frame:
    """Axes with ticks, and where their numbers are."""

    def __init__(self, across: Axis, up: Axis, size: tuple[int, int], top: float = _TOP) -> None:
        self._across, self._up, (self._width, self._height) = across, up, size
        self._top = top

    @property
    def inside(self) -> Rectangle:
        """The area between the axes."""
        return Rectangle(_LEFT, self._top, self._width - _RIGHT, self._height - _BOTTOM)

    def x(self, value: float) -> float:
        return _LEFT + self._across.fraction(value) * (self._width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        height = self._height - _BOTTOM - self._top
        return self._height - _BOTTOM - self._up.fraction(value) * height

    def svg(self, title: str, parts: Sequence[str]) -> str:
        left, right = _LEFT, self._width - _RIGHT
        top, bottom = self._top, self._height - _BOTTOM
        axes = [f'<path class="axis" d="M{left} {top}V{bottom}H{right}"/>']
        for tick in _ticks(self._across):
            axes.append(
                f'<text x="{self.x(tick):.1f}" y="{bottom + 14}" text-anchor="middle">'
                f"{tick:g}</text>"
            )
        for tick in _ticks(self._up):
            axes.append(
                f'<text x="{left - 5}" y="{self.y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
            )
        axes.append(
            f'<text x="{(left + right) / 2}" y="{self._height - 5}" text-anchor="middle">'
            f"{text(self._across.name)}</text>"
            f'<text x="11" y="{(top + bottom) / 2}" text-anchor="middle" '
            f'transform="rotate(-90 11 {(top + bottom) / 2})">{text(self._up.name)}</text>'
        )
        return (
            f'<svg role="img" aria-label="{text(title)}" viewBox="0 0 {self._width} '
            f'{self._height}" width="{self._width}" height="{self._height}">'
            + "".join([*axes, *parts])
            + "</svg>"
        )


def _ticks(axis: Axis) -> list[float]:
    """About five round numbers on an axis; on a logarithmic one, 1, 2 and 5 of each decade."""
    if axis.is_logarithmic:
        first, last = math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high))
        steps = (factor * 10.0**k for k in range(first, last + 1) for factor in (1, 2, 5))
        return [step for step in steps if axis.low <= step * (1 + 1e-9) <= axis.high * (1 + 2e-9)]
    span = axis.high - axis.low
    if span <= 0:
        return [axis.low]
    step: float = 10.0 ** math.floor(math.log10(span / 5))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.ceil(axis.low / step - 1e-9)
    last = math.floor(axis.high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]
