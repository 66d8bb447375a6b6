"""How a person of the sample set stands and what colours it wears."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scene import Canvas, Colour, Placement, Point, any_colour, blend, chance, colour_apart

SKIN_TONES: tuple[Colour, ...] = (
    (247, 219, 196),
    (236, 196, 164),
    (222, 173, 134),
    (198, 144, 104),
    (168, 114, 78),
    (132, 86, 58),
    (96, 62, 44),
    (70, 46, 36),
)
HAIR_TONES: tuple[Colour, ...] = (
    (28, 24, 24),
    (58, 40, 30),
    (98, 66, 40),
    (140, 92, 52),
    (196, 158, 96),
    (226, 204, 150),
    (150, 70, 38),
    (172, 170, 168),
)
HEAD_RADII = (9.6, 10.6)
SHOULDER_Y = 41.0
HIP_Y = 70.0
ANKLE_Y = 117.0


@dataclass(frozen=True)
class Pose:
    """Where the body is, in person units; it faces the side of positive x."""

    head: Point
    arms: dict[int, tuple[Point, Point, Point]]
    legs: dict[int, tuple[Point, Point, Point]]
    raised_side: int
    torso: tuple[Point, Point, Point, Point]


@dataclass(frozen=True)
class Look:
    """The colours of a person, each one distinct from what it is seen against."""

    skin: Colour
    hair: Colour
    top: Colour
    second: Colour
    bottom: Colour
    shoes: Colour
    accessories: dict[str, Colour]


def choose_placement(rng: np.random.Generator, canvas: Canvas) -> Placement:
    """Where the person stands in the picture, how large, and which way it faces and leans."""
    scale = min(canvas.width / 64, canvas.height / 128) * rng.uniform(0.92, 1.02)
    return Placement(
        origin_x=canvas.width / 2 + rng.uniform(-2.5, 2.5),
        ground_y=canvas.height - rng.uniform(1.5, 6.0),
        scale=scale,
        lean=rng.uniform(-0.06, 0.06),
        flip=1 if chance(rng, 0.5) else -1,
    )


def choose_pose(rng: np.random.Generator, labels: Mapping[str, bool]) -> Pose:
    """A standing or walking pose; an umbrella needs a raised hand, but others wave too."""
    waves = chance(rng, 0.12)
    side = 1 if chance(rng, 0.5) else -1
    raised_side = side if labels["umbrella"] or waves else 0
    shoulder, waist = rng.uniform(11, 13.5), rng.uniform(8.5, 11)
    hem = rng.uniform(68, 72)
    torso = (
        (-shoulder, SHOULDER_Y),
        (shoulder, SHOULDER_Y),
        (waist, hem),
        (-waist, hem),
    )
    spread = rng.uniform(0, 7)
    return Pose(
        head=(rng.uniform(-1, 1.5), 27 + rng.uniform(-1, 1)),
        arms={s: _arm_path(rng, s, shoulder, s == raised_side) for s in (-1, 1)},
        legs={s: _leg_path(rng, s, spread) for s in (-1, 1)},
        raised_side=raised_side,
        torso=torso,
    )


def _arm_path(
    rng: np.random.Generator, side: int, shoulder: float, raised: bool
) -> tuple[Point, Point, Point]:
    """Shoulder, elbow and hand of one arm."""
    start = (side * (shoulder - 1), SHOULDER_Y + 3)
    if raised:
        elbow = (side * rng.uniform(18, 21), rng.uniform(53, 56))
        return start, elbow, (side * rng.uniform(17, 20), rng.uniform(38, 42))
    upper, lower = math.radians(rng.uniform(6, 32)), math.radians(rng.uniform(-28, 20))
    elbow = (start[0] + side * 14 * math.sin(upper), start[1] + 14 * math.cos(upper))
    hand = (elbow[0] + side * 14 * math.sin(lower), elbow[1] + 14 * math.cos(lower))
    return start, elbow, hand


def _leg_path(rng: np.random.Generator, side: int, spread: float) -> tuple[Point, Point, Point]:
    """Hip, knee and ankle of one leg."""
    hip = (side * 4.8, HIP_Y)
    ankle = (side * (5.2 + spread) + rng.uniform(-1, 1), ANKLE_Y + rng.uniform(-1.5, 1))
    middle = blend(hip, ankle, 0.5)
    return hip, (middle[0] + rng.uniform(-0.5, 1.5), middle[1]), ankle


def choose_look(rng: np.random.Generator) -> Look:
    """Colours for everything, drawn whether worn or not so that no colour goes with a label."""
    skin = SKIN_TONES[int(rng.integers(len(SKIN_TONES)))]
    hair = HAIR_TONES[int(rng.integers(len(HAIR_TONES)))]
    if chance(rng, 0.08):
        hair = any_colour(rng)
    top = colour_apart(rng, [skin])
    bottom = colour_apart(rng, [skin, top])
    clothes = [skin, top, bottom]
    # Boots of any skin tone would look like bare legs, so no shoes have one.
    shoes = colour_apart(rng, [*SKIN_TONES, bottom], gap=80)
    return Look(
        skin=skin,
        hair=hair,
        top=top,
        second=colour_apart(rng, [top], gap=140),
        bottom=bottom,
        shoes=shoes,
        accessories={
            "bag": colour_apart(rng, clothes),
            "hat": colour_apart(rng, [hair, skin]),
            "backpack": colour_apart(rng, [top, hair]),
            "scarf": colour_apart(rng, [skin, top, hair]),
            "umbrella": colour_apart(rng, [hair, skin]),
        },
    )


def part_of(path: tuple[Point, Point, Point], start: float, stop: float) -> list[Point]:
    """The piece of a two-piece path between two shares of it (the joint is at a half)."""

    def at(share: float) -> Point:
        if share <= 0.5:
            return blend(path[0], path[1], 2 * share)
        return blend(path[1], path[2], 2 * share - 1)

    joint = [path[1]] if start < 0.5 < stop else []
    return [at(start), *joint, at(stop)]
