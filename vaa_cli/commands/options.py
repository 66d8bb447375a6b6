"""Arguments and options that several commands share, with one name and one meaning everywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from vaa_cli.core.engines.base import EngineOptions

PREPARED = Path("prepared")

CacheDirOption = Annotated[
    Path | None,
    typer.Option(
        "--cache-dir",
        help="Folder that keeps pictures of a dataset at a URL. Default: in the user's cache.",
        show_default=False,
    ),
]
CacheSizeOption = Annotated[
    str,
    typer.Option("--cache-size", help="Size that it may have; those read last stay."),
]
ImagesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Pictures: files, folders (with all below them), globs, tar and zip archives, - "
        "for names on stdin, or a CSV with an image column and perhaps boxes.",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Prepared folder, or its URL. Default: the one that the run was trained on.",
        show_default=False,
    ),
]
RunOption = Annotated[
    str | None,
    typer.Option(
        "--run",
        help="Run folder, model file, a URL of one, or starter. Default: the newest run in ./runs.",
        show_default=False,
    ),
]
SplitOption = Annotated[
    Literal["train", "val", "test"], typer.Option("--split", help="Which pictures are scored.")
]
BatchSizeOption = Annotated[int, typer.Option("--batch-size", min=1, help="Pictures in a batch.")]
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


def engine_options(
    engine: str, precision: str, device: str, batch_size: int, workers: int | None
) -> "EngineOptions":
    """The values of the options above, as core takes them."""
    from vaa_cli.core.engines.base import EngineOptions

    return EngineOptions(engine, precision, device, batch_size, workers)
