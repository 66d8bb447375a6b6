"""Values as people write them in options and option files, as what they mean."""

import re

from vaa_cli.core.errors import VAAError

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_image_size(text: str) -> tuple[int, int]:
    """`224` or `256x128` (height x width) as two numbers of pixels.

    Raises:
        VAAError: it is none of these, or a side is shorter than 32.
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise VAAError(f"image size {text!r} is not HEIGHTxWIDTH, such as 256x128, or one number")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 32:  # the backbones divide each side by 32
        raise VAAError(f"image size {text!r} is too small; each side needs 32 pixels or more")
    return height, width


def parse_stages(text: str) -> tuple[int, ...]:
    """`3,4` as the numbers of stages that carry attention, in order.

    Raises:
        VAAError: it names none, another stage, or one twice.
    """
    stages = [part.strip() for part in text.split(",")]
    if not set(stages) <= {"2", "3", "4"} or len(set(stages)) < len(stages):
        raise VAAError(f"stages {text!r}: name one or more of 2, 3 and 4, such as 3,4")
    return tuple(sorted(map(int, stages)))


def parse_duration(text: str) -> float:
    """`90s`, `10m`, `1.5h`, or a bare number of seconds, in seconds.

    Raises:
        VAAError: it is none of these.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", text.lower())
    if not match:
        raise VAAError(f"{text!r} is not a length of time, such as 90s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2] or "s"]
