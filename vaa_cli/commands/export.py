"""`vaa export`: a model for other programs and machines."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vaa_cli.commands.console import say
from vaa_cli.commands.options import RunOption
from vaa_cli.core.errors import VAAError

if TYPE_CHECKING:
    from vaa_cli.core.engines.formats import ModelFormat

ToOption = Annotated[
    Literal["onnx", "openvino", "torch"] | None,
    typer.Option(
        "--to",
        help="torch writes a torch.export program. Default: by the name of --out, else onnx.",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="File to write: .onnx, .xml (OpenVINO) or .pt2 (torch). Default: beside the "
        "model, by its name.",
        show_default=False,
    ),
]
PrecisionOption = Annotated[
    Literal["fp32", "int8"],
    typer.Option("--precision", help="int8 is for OpenVINO, and needs --calibrate."),
]
CalibrateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--calibrate",
        help="Pictures to calibrate int8 with, like those that it will see: a file, a folder, "
        "an archive, a CSV. The first 300 are taken. Can be given again.",
        show_default=False,
    ),
]


def export(
    run: RunOption = None,
    to: ToOption = None,
    out: OutOption = None,
    precision: PrecisionOption = "fp32",
    calibrate: CalibrateOption = None,
) -> None:
    """Write a model for ONNX Runtime, OpenVINO or torch, with all that predicting needs inside.

    Each export is read back and compared with the original; the worst difference of a probability
    is printed. vaa predict --run FILE takes ONNX and OpenVINO files.
    """
    from vaa_cli.core.engines.formats import format_of, require_export_target, require_exporter
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.models.card import read_card
    from vaa_cli.core.runs.lookup import model_file

    # What can be wrong without torch is refused before torch is loaded.
    model = model_file(run)
    is_int8 = precision == "int8"
    if is_int8 != bool(calibrate):
        raise VAAError(
            "int8 and the pictures to calibrate it with go together: --precision int8 "
            "--calibrate PICTURES"
        )
    format = _format(to, out, is_int8)
    if is_int8 and format.name != "openvino":
        raise VAAError(f"int8 is for OpenVINO, not for {format.name}; use --to openvino")
    if format_of(model) is not None:
        raise VAAError(f"{model} is an export already; name the run that it was made from")
    name = model.stem + ("-int8" if is_int8 else "")
    out = out or model.with_name(name + format.suffix)
    if out.suffix != format.suffix:
        raise VAAError(f"{out}: a file for {format.name} ends in {format.suffix}; name it so")
    require_exporter(format, is_int8)
    require_export_target(out, format)
    read_card(model)
    pictures = find_inputs(calibrate, io.StringIO()).sources if calibrate else None

    from vaa_cli.core.engines.export import export_model

    parity = export_model(model, format.name, out, pictures)
    say(
        f"compared with the original on {parity.pictures} pictures: the worst difference of a "
        f"probability is {parity.worst:.2g}, and {100 * parity.agreeing:.2f} % of the decisions "
        "are the same"
    )
    print(out)


def _format(to: str | None, out: Path | None, is_int8: bool) -> "ModelFormat":
    from vaa_cli.core.engines.formats import FORMATS, format_of

    if to is not None:
        return FORMATS[to]
    if out is None:
        return FORMATS["openvino" if is_int8 else "onnx"]
    format = format_of(out)
    if format is None:
        raise VAAError(f"{out}: what is it to be? End its name in .onnx, .xml or .pt2, or use --to")
    return format
