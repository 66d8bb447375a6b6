"""`vaa predict`: pictures to a table of attributes."""

import io
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from vaa_cli.commands.console import (
    names_on_stdin,
    require_stdout,
    say_passed_over,
    this_process,
)
from vaa_cli.commands.options import (
    BatchSizeOption,
    DeviceOption,
    EngineOption,
    ImagesArgument,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
)
from vaa_cli.commands.predict_output import OutputOptions, write_predictions
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.images.inputs import Inputs
    from vaa_cli.core.images.requests import ImageSource
    from vaa_cli.core.prediction.conditions import Condition
    from vaa_cli.core.prediction.predictor import Predictor

OutOption = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="File to write. Default: stdout.", show_default=False),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, jsonl or parquet. Default: by the name of --out, else csv.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on where a job that wrote to --out was interrupted."),
]
PrettyOption = Annotated[
    bool,
    typer.Option("--pretty", help="A line of text a picture, for people: the surest attributes."),
]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Attributes in a line of --pretty.")]
DecisionsOption = Annotated[
    bool,
    typer.Option("--decisions", help="1 or 0 by the model's thresholds, not probabilities."),
]
GroupsOption = Annotated[
    bool,
    typer.Option(
        "--groups",
        help="One column for each exclusive group, such as age, with what is decided: young.",
    ),
]
MinConfidenceOption = Annotated[
    float,
    typer.Option(
        "--min-confidence",
        min=0.0,
        max=1.0,
        help="Leave out what is less sure: probabilities between 1 - this and this.",
    ),
]
MirrorOption = Annotated[
    bool, typer.Option("--tta", help="Average over each picture and its mirror image.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Every N-th picture, from the I-th on: part 1/4, 2/4, 3/4 or 4/4 of a job.",
        show_default=False,
    ),
]
TimeLimitOption = Annotated[
    float,
    typer.Option("--time-limit", min=0.1, help="Seconds that decoding one picture may take."),
]


AttributesOption = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        help="Attributes to write: names with commas between them. Default: all.",
        show_default=False,
    ),
]
SafeOption = Annotated[
    bool,
    typer.Option(
        "--safe-csv",
        help="Put ' before names that a spreadsheet would run as formulas, such as =1+1.jpg.",
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="'hat > 0.8'",
        help="Write the rows of pictures with such a probability only, and of those that cannot "
        "be read. Given again, all must hold.",
        show_default=False,
    ),
]


def predict(
    images: ImagesArgument,
    run: RunOption = None,
    out: OutOption = None,
    format: FormatOption = None,
    resume: ResumeOption = False,
    pretty: PrettyOption = False,
    top: TopOption = 5,
    decisions: DecisionsOption = False,
    groups: GroupsOption = False,
    min_confidence: MinConfidenceOption = 0.0,
    tta: MirrorOption = False,
    shard: ShardOption = None,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
    time_limit: TimeLimitOption = 60.0,
    attributes: AttributesOption = None,
    where: WhereOption = None,
    safe_csv: SafeOption = False,
) -> None:
    """Recognise attributes: pictures in, a table out.

    One row a picture in the order given: image, a probability for each attribute, and error,
    which is empty when all went well. The exit code is 1 if any picture could not be read.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli predict …
    """
    from vaa_cli.core.images.decoding_pool import start_decoding_early
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.prediction.columns import Columns
    from vaa_cli.core.prediction.predictor import open_predictor

    group = this_process()
    start_decoding_early(workers)
    predictor = open_predictor(
        run, engine=engine, precision=precision, device=device, batch_size=batch_size,
        workers=workers, mirror=tta, time_limit=time_limit, group=group,
    )  # fmt: skip
    chosen, part = _format(out, format, resume, pretty, bool(where)), _shard(shard)
    positions, conditions = _chosen(attributes, where, groups, predictor)
    out = _checked_output(out, chosen, [*images, predictor.path], group)
    inputs = find_inputs(images, names_on_stdin(images)) if group.world_size == 1 else None
    with group.connected():
        inputs = inputs or find_inputs(images, _names_in_group(images, group))
        boxes, card = inputs.has_boxes, predictor.card
        columns = Columns.of(card, boxes, decisions, min_confidence, positions, safe_csv, groups)
        settings = _settings(
            predictor, boxes, format=chosen, batch_size=batch_size, decisions=decisions, tta=tta,
            min_confidence=min_confidence, shard=shard, attributes=attributes, safe_csv=safe_csv,
            groups=groups,
        )  # fmt: skip
        sources, count = _part_of(inputs, part)
        lines = top if pretty else None
        output = OutputOptions(out, chosen, columns, settings, resume, lines, conditions, count)
        code = write_predictions(predictor, sources, output)
        say_passed_over(inputs.passed_over)
    raise typer.Exit(code)


def _chosen(
    attributes: str | None, where: list[str] | None, groups: bool, predictor: "Predictor"
) -> tuple[list[int] | None, list["Condition"]]:
    """The positions of the attributes to write, None for all; and conditions on the pictures."""
    from vaa_cli.core.labels.attributes import positions_of
    from vaa_cli.core.prediction.conditions import parse_condition

    if groups and not predictor.card.groups:
        raise VAAError(f"--groups: {predictor.path} has no exclusive groups; leave it out")
    names = predictor.attributes
    positions = None if attributes is None else positions_of(attributes, names)
    return positions, [parse_condition(text, names) for text in where or ()]


def _settings(predictor: "Predictor", boxes: bool, **options: Any) -> dict[str, Any]:
    """What the rows depend on, by the names that messages have for it."""
    from importlib.metadata import version

    return {
        "vaa": version("vaa-cli"),
        "engine": predictor.engine.name,
        "processes": predictor.group.world_size,
        "boxes": boxes,
        **{f"--{name.replace('_', '-')}": value for name, value in options.items()},
    }


def _format(out: Path | None, format: str | None, resume: bool, pretty: bool, where: bool) -> str:
    """The format of the rows; refuses options that contradict each other."""
    from vaa_cli.core.prediction.formats import format_for

    chosen = format_for(out, format)
    if resume and out is None:
        raise VAAError("--resume goes on with a file; name it with --out")
    if resume and where:
        raise VAAError("--resume counts the rows, of which --where leaves out some; leave out one")
    if pretty and (out is not None or format is not None):
        raise VAAError("--pretty is for people; leave out --out and --format, or leave it out")
    return chosen


def _checked_output(
    out: Path | None, format: str, inputs: list[str | Path], group: ProcessGroup
) -> Path | None:
    """The file that the first process writes, None for stdout, which must be open.

    What is read is not replaced, nor is a file that has no predictions.
    """
    from vaa_cli.core.prediction.formats import has_format
    from vaa_cli.core.system.output_files import require_output

    if out is None or not group.is_main:
        require_stdout("name a file with --out")
        return out
    stdin = [0] if "-" in inputs else []
    return require_output(
        out, f"{format} predictions of vaa", partial(has_format, format), [*inputs, *stdin]
    )


def _part_of(inputs: "Inputs", part: range) -> tuple[Iterator["ImageSource"], int | None]:
    """The pictures of a part of a job, and their number where it is known."""
    count = None if inputs.count is None else len(range(part.start, inputs.count, part.step))
    return islice(inputs.sources, part.start, None, part.step), count


def _shard(shard: str | None) -> range:
    """The first picture of a part, and the step to its next ones."""
    if shard is None:
        return range(0, 1, 1)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise VAAError(f"--shard {shard} is no part of a job; write 1/4, 2/4, 3/4 or 4/4, say")
    return range(part - 1, parts, parts)


def _names_in_group(images: list[str], group: ProcessGroup) -> TextIO:
    """The names on stdin in every process; the first one reads them to their end."""
    from vaa_cli.core.images.inputs import STDIN

    if STDIN not in images:
        return io.StringIO()
    return io.StringIO(group.broadcast_text(names_on_stdin(images).read() if group.is_main else ""))
