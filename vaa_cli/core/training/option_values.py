"""What options are declared with: their help, and the text that people write as values."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.names import backbone_name
from vaa_cli.core.training.recipes import RECIPES

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class Help:
    """The help of an option on the command line; an option without one has no switch there.

    Attributes:
        text: what the option does, in a line.
        panel: heading that it stands under.
        default: the default as people write it; None for the value itself.
    """

    text: str
    panel: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Parse:
    """A function that makes an option's value of what people write: text, a number or a list."""

    function: Callable[[Any], Any]


def parse_image_size(value: object) -> object:
    """`224`, `256x128` (height x width) or two numbers, as a tuple of pixels.

    Raises:
        VAAError: the value is none of these, or a side is shorter than 32.
    """
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    sides = str(value).lower().split("x")
    if len(sides) > 2 or not all(side.strip().isdecimal() for side in sides):
        raise VAAError(f"image size {value!r} is not HEIGHTxWIDTH, such as 256x128, or one number")
    height, width = int(sides[0]), int(sides[-1])
    if min(height, width) < 32:  # the backbones divide each side by 32
        raise VAAError(f"image size {value!r} is too small; each side needs 32 pixels or more")
    return height, width


def parse_stages(value: object) -> object:
    """`3,4`, one number, a list of numbers or `none`, as a sorted tuple of stages.

    Raises:
        VAAError: the value names a stage that carries no attention, or one twice.
    """
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value)) or "none"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    if str(value).strip().lower() == "none":
        return ()
    stages = [part.strip() for part in str(value).split(",")]
    if not set(stages) <= {"2", "3", "4"} or len(set(stages)) < len(stages):
        raise VAAError(f"stages {value!r}: name some of 2, 3 and 4, such as 3,4, or none")
    return tuple(sorted(map(int, stages)))


def parse_duration(value: object) -> object:
    """`90s`, `10m`, `1.5h` or a number of seconds, in seconds.

    Raises:
        VAAError: the text is none of these.
    """
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh]?)\s*", value.lower())
    if not match:
        raise VAAError(f"{value!r} is not a length of time, such as 90s, 10m or 1h")
    return float(match[1]) * _SECONDS[match[2] or "s"]


def parse_backbone(value: object) -> object:
    """The full name of a backbone; other values as they are.

    Raises:
        VAAError: there is no such backbone.
    """
    return backbone_name(value) if isinstance(value, str) else value


def by_recipe(field: str, text: str = "") -> str:
    """Help with the defaults of the recipes."""
    default, *others = (_as_written(getattr(recipe, field)) for recipe in RECIPES.values())
    named = zip(list(RECIPES)[1:], others, strict=True)
    differing = [f"{name}: {value}" for name, value in named if value != default]
    return f"{text} Default: {'; '.join([default, *differing])}.".strip()


def _as_written(value: object) -> str:
    """A recipe's value as people write it."""
    if value is None:
        return "by the number of steps"
    if isinstance(value, tuple):
        return ("x" if max(value, default=0) > 4 else ",").join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
