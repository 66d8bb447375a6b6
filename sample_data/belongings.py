"""Draws what the people of the sample set wear or carry besides their clothes."""

from __future__ import annotations

import numpy as np
from figure import SHOULDER_Y, Look, Pose, part_of
from scene import Canvas, Colour, Point, any_colour, arc, capsule, chance, pick, rectangle, shade


def draw_umbrella(canvas: Canvas, rng: np.random.Generator, pose: Pose, colour: Colour) -> None:
    """Draw a large dome with ribs above the head and its stick down to the raised hand."""
    hand = pose.arms[pose.raised_side][2]
    centre = (hand[0] * rng.uniform(0.5, 0.75), rng.uniform(17, 20))
    half, rise = rng.uniform(18, 21), rng.uniform(13, 15)
    handle = (hand[0], hand[1] + 3)
    canvas.stroke([centre, handle], (1.6, 1.6), shade(colour, 0.45), "umbrella", 0.2)
    edge = [(centre[0] + half * (1 - 2 * i / 8), centre[1] - 2.2 * (i % 2)) for i in range(9)]
    canvas.shape([*arc(centre, (half, rise), 180, 360), *edge[1:-1]], colour, "umbrella")
    peak = (centre[0], centre[1] - rise)
    for i in (2, 4, 6):
        canvas.polygon(capsule(peak, edge[i], 0.8, 0.8), shade(colour, 0.6), "umbrella")
    canvas.stroke([peak, (peak[0], peak[1] - 2)], (1.0, 1.0), shade(colour, 0.6), "umbrella", 0.2)


def draw_pack(canvas: Canvas, rng: np.random.Generator, colour: Colour) -> None:
    """Draw the pack, which sticks out above and behind the shoulders, mostly on the back's side."""
    shift = rng.uniform(3, 6)
    left, right = -shift - rng.uniform(16, 19), rng.uniform(13, 16) - shift
    top, bottom = rng.uniform(32, 35), rng.uniform(62, 70)
    outline = [
        (left, bottom - 3),
        (left + 1, top + 5),
        (left + 5, top),
        (right - 5, top),
        (right, top + 5),
        (right, bottom - 3),
        (right - 3, bottom),
        (left + 3, bottom),
    ]
    canvas.shape(outline, colour, "backpack")
    pocket = rectangle(left + 1.5, bottom - 11, left + 9, bottom - 3)
    canvas.shape(pocket, shade(colour, 0.8), "backpack")


def draw_pack_straps(canvas: Canvas, colour: Colour) -> None:
    """Draw the two straps of a backpack down the chest."""
    for side in (-1, 1):
        path = [(side * 7.0, SHOULDER_Y - 0.5), (side * 7.0, 52.0), (side * 9.0, 60.0)]
        canvas.stroke(path, (2.8, 2.4), colour, "backpack", 0.4)


def draw_boot_shaft(
    canvas: Canvas, leg: tuple[Point, Point, Point], top: float, half: float, colour: Colour
) -> None:
    """Draw the tall part of a boot, from a share of the way down the leg, with a flat cuff."""
    (x, y), ankle = part_of(leg, top, 1.0)
    outline = [
        (x - half, y),
        (x + half, y),
        (ankle[0] + 3.6, ankle[1] + 1.5),
        (ankle[0] - 3.8, ankle[1] + 1.5),
    ]
    canvas.shape(outline, colour, "boots")
    cuff = rectangle(x - half - 0.5, y - 0.6, x + half + 0.5, y + 2.2)
    canvas.shape(cuff, shade(colour, 0.75), "boots")


def draw_glasses(canvas: Canvas, rng: np.random.Generator, head: Point, skin: Colour) -> None:
    """Draw two framed lenses, clear or dark, with a bridge and arms to the ears."""
    x, y = head[0] + 1.2, head[1] + 1.0
    frame = shade(any_colour(rng), 0.3)
    if sum(skin) < 300:
        # A dark frame would not show on dark skin, so it is of light metal instead.
        frame = (frame[0] + 165, frame[1] + 160, frame[2] + 145)
    radii = (rng.uniform(3.4, 3.8), rng.uniform(2.8, 3.5))
    dark = chance(rng, 0.4)
    ears = ((head[0] - 9.2, y - 0.6), (head[0] + 9.2, y - 0.6))
    canvas.polygon(capsule(*ears, 1.2, 1.2), frame, "glasses")
    for side in (-1, 1):
        eye = (x + side * 4.2, y)
        canvas.polygon(arc(eye, radii), frame, "glasses")
        inner = (radii[0] - 1.1, radii[1] - 1.1)
        canvas.polygon(arc(eye, inner), (38, 36, 40) if dark else (206, 222, 228), "glasses")
        if not dark:
            canvas.polygon(arc(eye, (0.9, 1.0), points=12), (30, 26, 26), "glasses")


def draw_scarf(canvas: Canvas, rng: np.random.Generator, look: Look) -> None:
    """Draw a thick band round the neck with an end hanging down the chest."""
    colour = look.accessories["scarf"]
    x = rng.uniform(2.5, 5.5) * (1 if chance(rng, 0.5) else -1)
    bottom = rng.uniform(58, 65)
    end = [(x - 4.2, 42), (x + 4.2, 42), (x + 4.8, bottom), (x - 4.4, bottom + 0.8)]
    canvas.shape(end, colour, "scarf")
    for offset in (-3.2, 0.2, 3.6):
        tassel = capsule((x + offset, bottom), (x + offset, bottom + 2.4), 1.0, 1.0)
        canvas.polygon(tassel, shade(colour, 0.7), "scarf")
    canvas.shape(arc((0.0, 40.0), (11.5, 4.8)), colour, "scarf")
    fold = capsule((-8.0, 40.0), (8.0, 41.5), 0.8, 0.8)
    canvas.polygon(fold, shade(colour, 0.7), "scarf")


def draw_hat(canvas: Canvas, rng: np.random.Generator, head: Point, colour: Colour) -> None:
    """Draw a cap, a brimmed hat, a woolly hat or a bucket hat."""
    x, y = head
    band = shade(colour, 0.65)
    kind = pick(rng, ("cap", "brimmed", "woolly", "bucket"))
    if kind == "cap":
        canvas.shape(arc((x, y - 3), (10.8, 10.2), 180, 360), colour, "hat")
        peak = [(x + 1, y - 5), (x + 11, y - 5), (x + 17, y - 2.6), (x + 1, y - 2.4)]
        canvas.shape(peak, band, "hat")
    elif kind == "brimmed":
        crown = [
            (x - 9.4, y - 5),
            (x - 8, y - 14),
            (x, y - 12.8),
            (x + 8, y - 14),
            (x + 9.4, y - 5),
        ]
        canvas.shape(crown, colour, "hat")
        canvas.polygon(rectangle(x - 9.2, y - 8.2, x + 9.2, y - 5.5), band, "hat")
        canvas.shape(arc((x, y - 4.6), (16.5, 2.4)), colour, "hat")
    elif kind == "woolly":
        if chance(rng, 0.6):
            canvas.shape(arc((x, y - 14.5), (2.8, 2.8), points=14), band, "hat")
        canvas.shape(arc((x, y - 3.5), (10.6, 10.6), 180, 360), colour, "hat")
        canvas.shape(rectangle(x - 10.8, y - 6.6, x + 10.8, y - 2.6), band, "hat")
    else:
        crown = [(x - 9.6, y - 6), (x - 7.6, y - 13.2), (x + 7.6, y - 13.2), (x + 9.6, y - 6)]
        canvas.shape(crown, colour, "hat")
        brim = [(x - 9.8, y - 6.5), (x + 9.8, y - 6.5), (x + 14, y - 1.8), (x - 14, y - 1.8)]
        canvas.shape(brim, shade(colour, 0.85), "hat")


def draw_bag(canvas: Canvas, rng: np.random.Generator, pose: Pose, colour: Colour) -> None:
    """Draw a bag in a lowered hand, or at the hip on a strap over the shoulder."""
    side = -pose.raised_side if pose.raised_side else (1 if chance(rng, 0.5) else -1)
    half, height = rng.uniform(7.5, 9.0), rng.uniform(14, 17)
    if chance(rng, 0.5):
        x, y = pose.arms[side][2]
        top = y + 3.5
        handle = [(x - half * 0.6, top), (x, y - 0.5), (x + half * 0.6, top)]
        canvas.stroke(handle, (1.1, 1.1), shade(colour, 0.7), "bag", 0.2)
    else:
        x, top = side * rng.uniform(13, 16), rng.uniform(62, 67)
        start = (-side * 8.0, SHOULDER_Y) if chance(rng, 0.6) else (side * 9.0, SHOULDER_Y)
        canvas.stroke([start, (x, top)], (1.5, 1.5), shade(colour, 0.7), "", 0.2)
    slant = rng.uniform(-1.2, 1.2)
    outline = [
        (x - half + slant, top),
        (x + half - slant, top),
        (x + half + slant, top + height),
        (x - half - slant, top + height),
    ]
    canvas.shape(outline, colour, "bag")
    flap = [outline[0], outline[1], (x, top + height * 0.5)]
    if chance(rng, 0.5):
        canvas.shape(flap, shade(colour, 0.8), "bag")
