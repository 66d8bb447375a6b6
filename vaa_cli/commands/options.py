"""Options that commands share, one name and one meaning everywhere; and what their values mean."""

from pathlib import Path
from typing import Annotated

import typer

from vaa_cli.core.errors import VAAError

PREPARED = Path("prepared")

DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Prepared folder. Default: the one that the run was trained on.",
        show_default=False,
    ),
]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run",
        help="Run folder or model file. Default: the newest run in ./runs.",
        show_default=False,
    ),
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Pictures a step.")]
DeviceOption = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:1, mps, or auto: a GPU if there is one.")
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision", help="fp32, bf16, fp16, or auto: the fastest that the device computes in."
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Processes that decode pictures. Default: one a core, 8 at most.",
        show_default=False,
    ),
]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of all randomness.")]


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
