"""Draws one simple person with given attributes, and says where the local ones are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from belongings import (
    draw_bag,
    draw_boot_shaft,
    draw_glasses,
    draw_hat,
    draw_pack,
    draw_pack_straps,
    draw_scarf,
    draw_umbrella,
)
from figure import (
    HEAD_RADII,
    HIP_Y,
    SHOULDER_Y,
    Look,
    Pose,
    choose_look,
    choose_placement,
    choose_pose,
    part_of,
)
from PIL import Image
from scene import (
    Box,
    Canvas,
    Colour,
    Point,
    arc,
    blend,
    capsule,
    chance,
    draw_background,
    draw_occluder,
    photograph,
    pick,
    rectangle,
    shade,
)

LOCAL_ATTRIBUTES = ("bag", "hat", "backpack", "glasses", "boots", "scarf", "umbrella")


def draw_person(
    rng: np.random.Generator, labels: Mapping[str, bool]
) -> tuple[Image.Image, dict[str, Box]]:
    """Draw a person with exactly these attributes.

    Returns the picture and the left, top, width and height of each local attribute present. A
    bag's box leaves out a strap worn across the body; an umbrella's takes in its stick, and a
    backpack's its shoulder straps.
    """
    canvas = Canvas(int(rng.integers(60, 71)), int(rng.integers(120, 135)))
    draw_background(canvas, rng)
    pose, look = choose_pose(rng, labels), choose_look(rng)
    canvas.placement = choose_placement(rng, canvas)
    if labels["umbrella"]:
        draw_umbrella(canvas, rng, pose, look.accessories["umbrella"])
    if labels["backpack"]:
        draw_pack(canvas, rng, look.accessories["backpack"])
    if labels["long_hair"]:
        _draw_hair_behind(canvas, rng, pose, look)
    _draw_legs(canvas, rng, pose, look, labels)
    _draw_torso(canvas, rng, pose, look, labels)
    _draw_arms(canvas, rng, pose, look, labels)
    _draw_head(canvas, rng, pose, look, labels)
    if labels["bag"]:
        draw_bag(canvas, rng, pose, look.accessories["bag"])
    boxes = {name: canvas.box(name) for name in LOCAL_ATTRIBUTES if labels[name]}
    if chance(rng, 0.2):
        draw_occluder(canvas, rng)
    return photograph(canvas, rng), boxes


def _draw_hair_behind(canvas: Canvas, rng: np.random.Generator, pose: Pose, look: Look) -> None:
    """Draw the mass of long hair that falls behind the neck and shoulders."""
    x, y = pose.head
    width, end = rng.uniform(11.5, 13.5), rng.uniform(46, 52)
    sides = [(x + width, end), (x + width - 3, end + 2), (x - width + 3, end + 2), (x - width, end)]
    canvas.shape([*arc((x, y), (11.0, 11.5), 180, 360), *sides], look.hair, "long_hair")


def _draw_legs(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    look: Look,
    labels: Mapping[str, bool],
) -> None:
    """Draw bare legs under shorts, or trousers, and then boots or low shoes."""
    hem = rng.uniform(0.4, 0.5) if labels["shorts"] else 1.0
    boot_top, flare = rng.uniform(0.56, 0.66), rng.uniform(0.4, 1.6)
    leg_width = rng.uniform(7.0, 8.2)
    socks = chance(rng, 0.4)
    for side in (-1, 1):
        leg = pose.legs[side]
        if labels["shorts"]:
            canvas.stroke(part_of(leg, 0.2, 1.0), (leg_width, 5.4), look.skin, "shins")
            if socks:
                canvas.stroke(part_of(leg, 0.93, 1.0), (5.8, 5.8), (225, 225, 225))
        hem_width = leg_width + (2.6 if labels["shorts"] else -0.8)
        tag = "shins" if not labels["shorts"] else ""
        canvas.stroke(part_of(leg, 0.0, hem), (leg_width + 1.6, hem_width), look.bottom, tag)
        _draw_foot(canvas, leg[2], look.shoes, "boots" if labels["boots"] else "")
        if labels["boots"]:
            draw_boot_shaft(canvas, leg, boot_top, leg_width / 2 + 0.8 + flare, look.shoes)


def _draw_foot(canvas: Canvas, ankle: Point, colour: Colour, tag: str) -> None:
    """Draw a low shoe or the foot of a boot, pointing the way the person faces."""
    x, y = ankle
    sole = y + 4.5
    outline = [(x - 3.8, y + 0.5), (x + 3.2, y + 0.5), (x + 6.5, y + 2.8), (x + 6.5, sole)]
    canvas.shape([*outline, (x - 3.8, sole)], colour, tag)


def _draw_torso(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    look: Look,
    labels: Mapping[str, bool],
) -> None:
    """Draw the neck and the top with its stripes or other details, and any backpack straps."""
    x, y = pose.head
    canvas.stroke([(x, y + 8), (0, SHOULDER_Y + 1)], (7.5, 8.5), look.skin)
    canvas.shape(pose.torso, look.top, "torso")
    if labels["striped_top"]:
        _draw_stripes(canvas, rng, pose.torso, look.second)
    _draw_top_detail(canvas, rng, look)
    neckline = rng.uniform(3, 6)
    collar = [(-5.0, SHOULDER_Y - 0.3), (5.0, SHOULDER_Y - 0.3), (0.0, SHOULDER_Y + neckline)]
    canvas.polygon(collar, look.skin)
    if labels["backpack"]:
        draw_pack_straps(canvas, look.accessories["backpack"])


def _draw_stripes(
    canvas: Canvas, rng: np.random.Generator, corners: Sequence[Point], colour: Colour
) -> None:
    """Draw level or upright stripes over the four-cornered front of a top."""
    upper_left, upper_right, lower_right, lower_left = corners
    left, right = (upper_left, lower_left), (upper_right, lower_right)
    upper, lower = (upper_left, upper_right), (lower_left, lower_right)
    if chance(rng, 0.7):
        count, near, far = int(rng.integers(4, 7)), left, right
    else:
        count, near, far = int(rng.integers(3, 5)), upper, lower
    for i in range(count):
        start, stop = (i + 0.35) / count, (i + 0.85) / count
        stripe = [blend(*near, start), blend(*near, stop), blend(*far, stop), blend(*far, start)]
        canvas.polygon(stripe, colour, "torso")


def _draw_top_detail(canvas: Canvas, rng: np.random.Generator, look: Look) -> None:
    """Draw one everyday detail of a top, so that a plain front is not the only unstriped one."""
    kind = pick(rng, ("none", "none", "zip", "buttons", "print", "pocket", "hem"))
    colour = look.second
    if kind == "zip":
        canvas.polygon(rectangle(-0.6, SHOULDER_Y, 0.6, HIP_Y - 2), colour, "torso")
    elif kind == "buttons":
        for y in np.arange(SHOULDER_Y + 7, HIP_Y - 3, 5):
            canvas.polygon(arc((0.0, float(y)), (0.9, 0.9), points=9), colour, "torso")
    elif kind == "print":
        canvas.polygon(arc((0.0, 53.0), (4.5, rng.uniform(3, 5))), colour, "torso")
    elif kind == "pocket":
        canvas.shape(rectangle(2, 48, 7, 53), shade(look.top, 0.85), "torso")
    elif kind == "hem":
        canvas.polygon(rectangle(-8, HIP_Y - 5, 8, HIP_Y - 2), colour, "torso")


def _draw_arms(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    look: Look,
    labels: Mapping[str, bool],
) -> None:
    """Draw both arms with sleeves to the wrist or only over part of the upper arm."""
    cuff = rng.uniform(0.92, 0.97) if labels["long_sleeves"] else rng.uniform(0.25, 0.42)
    width = rng.uniform(6.2, 7.4)
    for side in (-1, 1):
        arm = pose.arms[side]
        canvas.stroke(arm, (width - 1, width - 2), look.skin, "forearms")
        canvas.polygon(arc(arm[2], (2.9, 2.9)), look.skin)
        tag = "forearms" if labels["long_sleeves"] else ""
        canvas.stroke(part_of(arm, 0.0, cuff), (width, width - 0.8), look.top, tag)
        if labels["striped_top"]:
            for share in np.arange(0.12, cuff - 0.06, 0.16):
                band = part_of(arm, float(share), float(share) + 0.05)
                canvas.stroke([band[0], band[-1]], (width - 1.5,) * 2, look.second, tag, 0.0)


def _draw_head(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    look: Look,
    labels: Mapping[str, bool],
) -> None:
    """Draw the head, hair and face, and what is worn on them."""
    x, y = pose.head
    for side in (-1, 1):
        canvas.shape(arc((x + side * 9.4, y + 1.5), (1.6, 2.4), points=12), look.skin)
    canvas.shape(arc(pose.head, HEAD_RADII), look.skin, "face")
    _draw_face(canvas, rng, pose.head, look)
    if labels["glasses"]:
        draw_glasses(canvas, rng, pose.head, look.skin)
    if labels["long_hair"]:
        _draw_long_locks(canvas, rng, pose.head, look.hair)
    _draw_hair_on_top(canvas, rng, pose.head, look.hair, labels["long_hair"])
    if labels["scarf"]:
        draw_scarf(canvas, rng, look)
    if labels["hat"]:
        draw_hat(canvas, rng, pose.head, look.accessories["hat"])


def _draw_face(canvas: Canvas, rng: np.random.Generator, head: Point, look: Look) -> None:
    """Draw eyes, brows, nose and mouth, a little to the side the person faces; perhaps a beard."""
    x, y = head[0] + 1.2, head[1]
    if chance(rng, 0.12):
        canvas.polygon(arc((head[0], y + 3), (8.8, 7.2), 0, 180), look.hair)
        canvas.polygon(arc((x, y + 5.0), (3.0, 1.4)), look.skin)
    brow = y - rng.uniform(1.6, 2.6)
    for side in (-1, 1):
        eye = (x + side * 4.0, y + 1.0)
        canvas.polygon(arc(eye, (1.5, 1.2), points=12), (240, 240, 240))
        canvas.polygon(arc(eye, (0.9, 1.1), points=12), (30, 26, 26))
        ends = (eye[0] - 1.6, brow), (eye[0] + 1.6, brow - rng.uniform(-0.4, 0.4))
        canvas.polygon(capsule(*ends, 0.7, 0.7), shade(look.hair, 0.7))
    canvas.polygon(capsule((x + 0.6, y + 2), (x + 1.0, y + 3.8), 0.7, 0.9), shade(look.skin, 0.75))
    half = rng.uniform(1.4, 2.6)
    canvas.polygon(capsule((x - half, y + 6), (x + half, y + 6), 0.9, 0.9), (150, 60, 60))


def _draw_long_locks(canvas: Canvas, rng: np.random.Generator, head: Point, colour: Colour) -> None:
    """Draw the locks of long hair that fall in front of one or both shoulders."""
    x, y = head
    ending = rng.uniform(47, 55)
    wave = rng.uniform(-1, 1.5)
    sides = (-1, 1) if chance(rng, 0.75) else (-1,)
    for side in sides:
        root, bend = (x + side * 8.6, y - 4), (x + side * (10.2 + wave), y + 9)
        canvas.stroke([root, bend, (x + side * 9.5, ending)], (4.0, 4.6), colour, "long_hair")


def _draw_hair_on_top(
    canvas: Canvas, rng: np.random.Generator, head: Point, colour: Colour, is_long: bool
) -> None:
    """Draw the hair over the forehead: cropped, parted, curly, or nearly none under short hair."""
    x, y = head
    kind = pick(rng, ("crop", "parted", "parted", "curly", "shaved"))
    if kind == "curly" and not is_long:
        for angle in range(180, 361, 22):
            curl = arc((x, y - 2), (9.5, 9.5), angle, angle, 1)[0]
            canvas.shape(arc(curl, (3.4, 3.4), points=14), colour)
    if kind == "shaved" and not is_long:
        canvas.polygon(arc((x, y - 3.5), (9.0, 7.2), 190, 350), colour)
        return
    dip = rng.uniform(4.0, 6.0)
    part = rng.uniform(-4, 4)
    fringe = [(x + 9.8, y), (x + 7.0, y - dip), (x + part, y - dip - 2.0), (x - 7.0, y - dip + 0.6)]
    canvas.shape([*arc((x, y - 1), (10.2, 10.6), 180, 360), *fringe], colour)
