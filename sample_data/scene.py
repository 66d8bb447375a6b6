"""The canvas, colours and surroundings that the people of the sample set are drawn with."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

SUPERSAMPLING = 4
GROUND = 122.0
LEAN_PIVOT = 70.0
OUTLINE = 0.55


@dataclass(frozen=True)
class Placement:
    """How person units meet the picture.

    A person unit is about one pixel; y goes down, and x is 0 at the body's axis.
    """

    origin_x: float = 0.0
    ground_y: float = GROUND
    scale: float = 1.0
    lean: float = 0.0
    flip: int = 1

    def to_picture(self, point: Point) -> Point:
        """The picture coordinates of a point given in person units."""
        x, y = point
        leaning = x + self.lean * (LEAN_PIVOT - y)
        return (
            self.origin_x + self.flip * self.scale * leaning,
            self.ground_y + self.scale * (y - GROUND),
        )


@dataclass
class Canvas:
    """A supersampled picture and, pixel for pixel, which tagged part is on top there."""

    width: int
    height: int
    placement: Placement = field(default_factory=Placement)
    tag_names: list[str] = field(default_factory=lambda: [""])

    def __post_init__(self) -> None:
        """Make the blank picture and the blank tag plane."""
        size = (self.width * SUPERSAMPLING, self.height * SUPERSAMPLING)
        self.image = Image.new("RGB", size)
        self.tags = Image.new("L", size)
        self._image_draw = ImageDraw.Draw(self.image)
        self._tag_draw = ImageDraw.Draw(self.tags)

    def polygon(self, points: Sequence[Point], fill: Colour, tag: str = "") -> None:
        """Fill a polygon; it hides what was below it, in the tag plane too."""
        pixels = [
            (x * SUPERSAMPLING, y * SUPERSAMPLING)
            for x, y in (self.placement.to_picture(point) for point in points)
        ]
        self._image_draw.polygon(pixels, fill=fill)
        self._tag_draw.polygon(pixels, fill=self._tag_number(tag))

    def shape(self, points: Sequence[Point], fill: Colour, tag: str = "") -> None:
        """Fill a polygon and give it a darker outline."""
        self.polygon(points, fill, tag)
        edge = shade(fill, OUTLINE)
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            self.polygon(capsule(start, end, 0.7, 0.7), edge, tag)

    def stroke(
        self, path: Sequence[Point], widths: Point, fill: Colour, tag: str = "", edge: float = 0.5
    ) -> None:
        """Draw a tapering, outlined band along a path (a limb, a strap, a strand of hair)."""
        count = len(path) - 1
        steps = np.linspace(widths[0], widths[1], count + 1)
        # All outlines come before all fills, so that no line is left across the joints.
        for extra, colour in ((2 * edge, shade(fill, OUTLINE)), (0.0, fill)):
            for i in range(count):
                ends = (float(steps[i]) + extra, float(steps[i + 1]) + extra)
                self.polygon(capsule(path[i], path[i + 1], *ends), colour, tag)

    def mask(self, tag: str) -> np.ndarray:
        """Where a tagged part is on top, as a boolean array at the supersampled size."""
        tags = np.asarray(self.tags)
        if tag not in self.tag_names:
            return np.zeros(tags.shape, dtype=bool)
        found: np.ndarray = tags == self.tag_names.index(tag)
        return found

    def box(self, tag: str) -> Box:
        """The left, top, width and height in picture pixels of a tagged part."""
        rows, columns = np.nonzero(self.mask(tag))
        left, top = int(columns.min()) // SUPERSAMPLING, int(rows.min()) // SUPERSAMPLING
        right, bottom = int(columns.max()) // SUPERSAMPLING, int(rows.max()) // SUPERSAMPLING
        return left, top, right - left + 1, bottom - top + 1

    def _tag_number(self, tag: str) -> int:
        """The tag plane's number for a tag, given out at its first use."""
        if tag not in self.tag_names:
            self.tag_names.append(tag)
        return self.tag_names.index(tag)


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return bool(rng.random() < probability)


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (factor below 1) or lighter colour."""
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue


def any_colour(rng: np.random.Generator) -> Colour:
    """A colour from the one wide palette that clothes, accessories and clutter share."""
    saturation = rng.uniform(0.0, 0.12) if chance(rng, 0.3) else rng.uniform(0.25, 0.9)
    return _from_hsv(rng.random(), saturation, rng.uniform(0.14, 0.97))


def backdrop_colour(rng: np.random.Generator) -> Colour:
    """A muted colour, as walls, streets and parks have beside what people wear."""
    return _from_hsv(rng.random(), rng.uniform(0.0, 0.25), rng.uniform(0.3, 0.9))


def _from_hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def colour_apart(
    rng: np.random.Generator, others: Sequence[Colour], gap: float = 95.0, tries: int = 40
) -> Colour:
    """A colour of the wide palette that can be told from the others (or the best one tried)."""
    best, best_distance = any_colour(rng), -1.0
    for _ in range(tries):
        colour = any_colour(rng)
        distance = min(math.dist(colour, other) for other in others)
        if distance >= gap:
            return colour
        if distance > best_distance:
            best, best_distance = colour, distance
    return best


def arc(
    centre: Point, radii: Point, start: float = 0.0, stop: float = 360.0, points: int = 24
) -> list[Point]:
    """Points along an ellipse, in degrees clockwise from the right-hand side."""
    return [
        (
            centre[0] + radii[0] * math.cos(math.radians(angle)),
            centre[1] + radii[1] * math.sin(math.radians(angle)),
        )
        for angle in np.linspace(start, stop, points)
    ]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[Point]:
    """The corners of an upright rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def capsule(start: Point, end: Point, start_width: float, end_width: float) -> list[Point]:
    """The outline of a round-ended, tapering band from one point to another."""
    heading = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    a, b = start_width / 2, end_width / 2
    return [
        *arc(start, (a, a), heading + 90, heading + 270, 10),
        *arc(end, (b, b), heading - 90, heading + 90, 10),
    ]


def blend(start: Point, end: Point, share: float) -> Point:
    """The point a share of the way from one point to another."""
    return (
        start[0] + share * (end[0] - start[0]),
        start[1] + share * (end[1] - start[1]),
    )


def draw_background(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with a wall, street or park, and clutter that looks a bit like belongings."""
    width, height = canvas.width, canvas.height
    horizon = height * rng.uniform(0.55, 0.92)
    _draw_gradient(canvas, rng, 0.0, horizon)
    _draw_gradient(canvas, rng, horizon, float(height))
    setting = pick(rng, ("plain", "buildings", "fence", "trees", "panels"))
    if setting == "buildings":
        _draw_buildings(canvas, rng, horizon)
    elif setting == "fence":
        _draw_fence(canvas, rng, horizon)
    elif setting == "trees":
        for _ in range(int(rng.integers(1, 4))):
            _draw_tree(canvas, rng, horizon)
    elif setting == "panels":
        for _ in range(int(rng.integers(2, 5))):
            left, top = rng.uniform(-10, width - 8), rng.uniform(-10, horizon - 10)
            right, bottom = left + rng.uniform(12, 35), top + rng.uniform(15, 60)
            canvas.polygon(rectangle(left, top, right, bottom), backdrop_colour(rng))
    for _ in range(int(rng.integers(0, 3))):
        _draw_clutter(canvas, rng)


def _draw_gradient(canvas: Canvas, rng: np.random.Generator, top: float, bottom: float) -> None:
    """Fill the rows from top to bottom with a slow change from one colour to another."""
    start = backdrop_colour(rng)
    end = shade(start, rng.uniform(0.6, 1.4))
    bands = 12
    for i in range(bands):
        red, green, blue = (
            round(a + (b - a) * i / (bands - 1)) for a, b in zip(start, end, strict=True)
        )
        row = top + (bottom - top) * i / bands
        canvas.polygon(rectangle(0, row, canvas.width, bottom), (red, green, blue))


def _draw_buildings(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draw a row of buildings with windows."""
    left = rng.uniform(-15, 0)
    while left < canvas.width:
        right = left + rng.uniform(16, 32)
        top = rng.uniform(0, horizon * 0.5)
        wall, glass = backdrop_colour(rng), backdrop_colour(rng)
        canvas.polygon(rectangle(left, top, right, horizon), wall)
        pitch = rng.uniform(8, 12)
        for x in np.arange(left + 3, right - 5, pitch):
            for y in np.arange(top + 4, horizon - 8, pitch * 1.3):
                canvas.polygon(rectangle(x, y, x + pitch * 0.5, y + pitch * 0.7), glass)
        left = right


def _draw_fence(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draw slats, so that stripes alone do not mean a striped top."""
    colour, pitch = backdrop_colour(rng), rng.uniform(5, 12)
    top = horizon - rng.uniform(25, 70)
    if chance(rng, 0.5):
        for x in np.arange(0, canvas.width, pitch):
            canvas.polygon(rectangle(x, top, x + pitch * 0.45, horizon), colour)
    else:
        for y in np.arange(top, horizon, pitch):
            canvas.polygon(rectangle(0, y, canvas.width, y + pitch * 0.45), colour)


def _draw_tree(canvas: Canvas, rng: np.random.Generator, horizon: float) -> None:
    """Draw a trunk and a round crown, so that a dome alone does not mean an umbrella."""
    x, top = rng.uniform(0, canvas.width), rng.uniform(0, 40)
    canvas.polygon(rectangle(x - 2, top, x + 2, horizon), backdrop_colour(rng))
    canvas.polygon(arc((x, top), (rng.uniform(8, 18), rng.uniform(8, 18))), backdrop_colour(rng))


def _draw_clutter(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw one box, disc, post or half disc of any colour anywhere."""
    x, y = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height)
    size, colour = rng.uniform(3, 9), any_colour(rng)
    kind = pick(rng, ("box", "disc", "post", "half disc"))
    if kind == "box":
        canvas.shape(rectangle(x - size, y - size, x + size, y + size * 1.3), colour)
    elif kind == "disc":
        canvas.shape(arc((x, y), (size, size)), colour)
    elif kind == "post":
        canvas.polygon(rectangle(x - 1.5, y - 4 * size, x + 1.5, canvas.height), colour)
    else:
        # Any higher, and it could sit right behind a head like a hat.
        low = max(y, 0.45 * canvas.height)
        canvas.shape(arc((x, low), (size * 1.8, size * 1.2), 180, 360), colour)


def draw_occluder(canvas: Canvas, rng: np.random.Generator, most_hidden: float = 0.4) -> None:
    """Draw something in front of the person where it leaves enough of every tagged part in view."""
    boxes = {tag: canvas.box(tag) for tag in canvas.tag_names[1:] if canvas.mask(tag).any()}
    for _ in range(12):
        points = _occluder_points(canvas, rng)
        cover = Image.new("L", canvas.image.size)
        scaled = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in points]
        ImageDraw.Draw(cover).polygon(scaled, fill=255)
        covered = np.asarray(cover) > 0
        if all(_hidden_share(canvas, covered, tag, boxes[tag]) <= most_hidden for tag in boxes):
            canvas.placement = Placement()
            canvas.shape(points, any_colour(rng))
            return


def _hidden_share(canvas: Canvas, covered: np.ndarray, tag: str, box: Box) -> float:
    """The larger of the shares of a part's own pixels and of its box that are covered."""
    left, top, width, height = (side * SUPERSAMPLING for side in box)
    inside = covered[top : top + height, left : left + width]
    return max(float(inside.mean()), float(covered[canvas.mask(tag)].mean()))


def _occluder_points(canvas: Canvas, rng: np.random.Generator) -> list[Point]:
    """The outline of a pole, a rail, a box or a leaf somewhere in front of the person."""
    width, height = canvas.width, canvas.height
    x, y = rng.uniform(0.1, 0.9) * width, rng.uniform(0.25, 0.95) * height
    kind = pick(rng, ("pole", "rail", "box", "leaf"))
    if kind == "pole":
        half = rng.uniform(1.5, 3.0)
        return rectangle(x - half, -2, x + half, height + 2)
    if kind == "rail":
        half = rng.uniform(1.5, 3.0)
        return rectangle(-2, y - half, width + 2, y + half)
    if kind == "box":
        half_width, half_height = rng.uniform(5, 11), rng.uniform(5, 11)
        return rectangle(x - half_width, y - half_height, x + half_width, y + half_height)
    reach = rng.uniform(9, 16)
    tip = (x + reach * rng.uniform(-1, 1), y - reach)
    side = reach * rng.uniform(0.3, 0.5)
    return [(x, y + reach), (x - side, y), tip, (x + side, y)]


def photograph(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """The finished picture: scaled down, then a little blur, exposure change and noise."""
    picture = canvas.image.reduce(SUPERSAMPLING)
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.0, 0.55)))
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.78, 1.18))
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.8, 1.15))
    pixels = np.asarray(picture, dtype=np.float64)
    noisy = pixels + rng.normal(0.0, rng.uniform(1.0, 5.0), pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
