"""Options that commands share, one name and one meaning everywhere."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

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
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        help="torch, compile (torch.compile), openvino, onnx, or auto: the fastest that is "
        "installed.",
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision", help="fp32, bf16, fp16, or auto: the fastest that the device computes in."
    ),
]
InferencePrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, bf16, fp16, int8 (of a model that vaa export quantised), or auto: the "
        "fastest that is exact enough.",
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


class SplitChoice(str, Enum):
    """The parts of a prepared folder."""

    train = "train"
    val = "val"
    test = "test"


ImagesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Pictures: files, folders (with all below them), globs, tar and zip archives, - "
        "for names on stdin, or a CSV with an image column and perhaps boxes.",
        show_default=False,
    ),
]
