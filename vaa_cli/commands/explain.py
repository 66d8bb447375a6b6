"""`vaa explain`: the attention maps of a model for each attribute."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaa_cli.commands.console import names_on_stdin, results_console, say, say_passed_over
from vaa_cli.commands.options import DeviceOption, ImagesArgument, PrecisionOption, RunOption
from vaa_cli.core.errors import PictureError, VAAError

if TYPE_CHECKING:
    from vaa_cli.core.images.inputs import Inputs
    from vaa_cli.core.images.requests import Request
    from vaa_cli.core.models.card import ModelCard
    from vaa_cli.core.prediction.attention import AttentionReader, Explanation

_BATCH_SIZE = 16

AttributesOption = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        help="Attributes to show: names with commas between them. Default: the surest.",
        show_default=False,
    ),
]
TopOption = Annotated[
    int,
    typer.Option("--top", min=1, help="How many are shown: the furthest above their thresholds."),
]
OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="Folder of the figures; made if it is not there.")
]
SheetOption = Annotated[
    int, typer.Option("--per-sheet", min=1, max=50, help="Pictures to a figure.")
]
StagesOption = Annotated[
    bool,
    typer.Option(
        "--all-stages",
        help="Draw each stage in a row of its own. Default: the mean of those that are fine "
        "enough to show where.",
    ),
]
TextOption = Annotated[
    bool,
    typer.Option(
        "--text",
        help="Print tables instead of figures: decisions, and where the maps are largest.",
    ),
]
RawOption = Annotated[
    Path | None,
    typer.Option(
        "--raw",
        help="Write the arrays of all maps to this .npz file instead of figures.",
        show_default=False,
    ),
]
ShowOption = Annotated[
    bool | None,
    typer.Option(
        "--show/--no-show",
        help="Show the figures here, too. Default: in terminals that show pictures.",
        show_default=False,
    ),
]


def explain(
    images: ImagesArgument,
    run: RunOption = None,
    attributes: AttributesOption = None,
    top: TopOption = 4,
    out: OutOption = Path("explained"),
    per_sheet: SheetOption = 1,
    all_stages: StagesOption = False,
    text: TextOption = False,
    raw: RawOption = None,
    show: ShowOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "fp32",
) -> None:
    """Explain predictions: a figure a picture, with the attention maps of its attributes.

    The paths of the figures are printed. The exit code is 1 if any picture could not be read.
    """
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.labels.attributes import positions_of
    from vaa_cli.core.models.card import read_card
    from vaa_cli.core.runs.lookup import model_file

    # What can be wrong without the model is refused before it is loaded.
    path = model_file(run, has_starter=True)
    _check_targets(out, raw, text)
    inputs = find_inputs(images, names_on_stdin(images))
    card = read_card(path)
    chosen = None if attributes is None else positions_of(attributes, card.attributes)
    display = None if raw or text else _display(show)

    from vaa_cli.core.models.devices import Compute
    from vaa_cli.core.prediction.attention import AttentionReader, shown_attributes

    compute = Compute.choose(device, precision)
    reader = AttentionReader.open(path, compute, _BATCH_SIZE, workers=0)
    say(f"{path}: torch on {compute}")
    target: _Tables | _Arrays | _Figures
    if text:
        target = _Tables(reader.card)
    elif raw is not None:
        target = _Arrays(reader.card, raw)
    else:
        target = _Figures(reader.card, out, per_sheet, all_stages, display)
    limits = reader.card.thresholds
    failed = _explain(
        inputs, reader, target, lambda found: shown_attributes(found, limits, chosen, top)
    )
    target.finish()
    say_passed_over(inputs.passed_over)
    if failed:
        raise typer.Exit(1)


def _check_targets(out: Path, raw: Path | None, text: bool) -> None:
    from vaa_cli.core.reports.matplotlib_setup import require_matplotlib
    from vaa_cli.core.system.output_files import require_output

    if raw is not None and text:
        raise VAAError("--raw writes a file and --text prints tables; choose one")
    if text:
        return
    if raw is None:
        try:
            require_matplotlib()
        except VAAError as error:
            raise VAAError(f"{error}, or print tables with --text") from error
        if out.exists() and not out.is_dir():
            raise VAAError(f"--out {out} is a file; name a folder for the figures")
    elif raw.suffix != ".npz":
        raise VAAError(f"--raw {raw} is no .npz file; call it {raw.with_suffix('.npz')}")
    else:
        from vaa_cli.core.reports.explanation_files import has_arrays

        require_output(raw, "maps of vaa explain", has_arrays)


def _explain(
    inputs: "Inputs",
    reader: "AttentionReader",
    target: "_Tables | _Arrays | _Figures",
    attributes_of: Callable[["Explanation"], Sequence[int]],
) -> int:
    """Explain each picture; the number of broken pictures."""
    from vaa_cli.core.images.requests import batched

    failed = 0
    requests = (source.request(row) for row, source in enumerate(inputs.sources))
    for batch in batched(requests, _BATCH_SIZE):
        for request, explanation in zip(batch, reader.read(batch), strict=True):
            try:
                if explanation.prediction.problem is not None:
                    raise PictureError(explanation.prediction.problem)
                target.add(request, explanation, attributes_of(explanation))
            except PictureError as error:
                failed += 1
                say(f"{request.path}: {error}")
    return failed


class _Tables:
    """Explanations as tables on stdout."""

    def __init__(self, card: "ModelCard") -> None:
        self._card, self._console = card, results_console()

    def add(
        self, request: "Request", explanation: "Explanation", attributes: Sequence[int]
    ) -> None:
        from vaa_cli.core.reports.explanation_tables import explanation_table

        self._console.print(explanation_table(explanation, self._card, attributes))

    def finish(self) -> None:
        pass


class _Arrays:
    """Explanations as arrays in one file."""

    def __init__(self, card: "ModelCard", path: Path) -> None:
        from vaa_cli.core.reports.explanation_files import Arrays

        self._arrays, self._path = Arrays(card), path

    def add(
        self, request: "Request", explanation: "Explanation", attributes: Sequence[int]
    ) -> None:
        self._arrays.add(explanation)

    def finish(self) -> None:
        self._arrays.write(self._path)
        _print_path(self._path)


class _Figures:
    """Explanations as figures, whose paths are printed, and which are shown where that works."""

    def __init__(
        self,
        card: "ModelCard",
        folder: Path,
        per_sheet: int,
        all_stages: bool,
        display: Callable[[Path], None] | None,
    ) -> None:
        from vaa_cli.core.reports.explanation_files import Figures

        self._figures = Figures(folder, card, per_sheet, all_stages)
        self._display = display

    def add(
        self, request: "Request", explanation: "Explanation", attributes: Sequence[int]
    ) -> None:
        self._report(self._figures.add(request, explanation, attributes))

    def finish(self) -> None:
        self._report(self._figures.finish())

    def _report(self, figure: Path | None) -> None:
        if figure is None:
            return
        _print_path(figure)
        if self._display is not None:
            self._display(figure)


def _print_path(path: Path) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")
    sys.stdout.buffer.flush()


def _display(show: bool | None) -> Callable[[Path], None] | None:
    """A function that shows a figure on stdout; None where that is not wanted or not possible."""
    if show is False or (show is None and not sys.stdout.isatty()):
        return None
    try:
        from textual_image import renderable
    except ImportError as error:
        if show is None:
            return None
        raise VAAError(
            "figures are shown by textual-image, which is not installed; pip install textual-image"
        ) from error
    # Other terminals would show coarse blocks of colour, on which no map can be read.
    if show is None and renderable.Image not in (renderable.SixelImage, renderable.TGPImage):
        return None
    console = Console()
    return lambda figure: console.print(renderable.Image(figure))
