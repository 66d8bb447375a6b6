"""`vaa predict`: pictures to a table of attributes."""

from typing import Annotated

import typer

from vaa_cli.commands.console import this_process
from vaa_cli.commands.options import (
    BatchSizeOption,
    DeviceOption,
    EngineOption,
    ImagesArgument,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
)
from vaa_cli.commands.predict_job import RowOptions, predict_rows

OutOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="File to write; or FOLDER/, with a slash, for Parquet parts of about 50,000 rows. "
        "Default: stdout.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="csv, jsonl or parquet; or cvat or labelstudio, to correct the decisions there and "
        "read them back with vaa prepare. Default: by the name of --out, else csv.",
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


UncertainOption = Annotated[
    int | None,
    typer.Option(
        "--uncertain",
        min=1,
        metavar="N",
        help="Write the N pictures that are most useful to label, those first that are nearest to "
        "the thresholds; attributes take turns, rare ones first.",
        show_default=False,
    ),
]

OnOption = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray",
        help="Predict on a Ray cluster: ray for a new one on this machine, or the one that "
        "RAY_ADDRESS names; or its address, as ray://head:10001.",
        show_default=False,
    ),
]
PlanOption = Annotated[
    bool,
    typer.Option(
        "--plan",
        help="Write no rows: count the pictures, time 200 of them here, and print how long all "
        "will take, and which part bounds it.",
    ),
]
PartRowsOption = Annotated[
    int, typer.Option("--part-rows", min=1, help="Rows of each part, where --out is a folder.")
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
    uncertain: UncertainOption = None,
    part_rows: PartRowsOption = 50_000,
    on: OnOption = None,
    plan: PlanOption = False,
) -> None:
    """Recognise attributes: pictures in, a table out.

    One row a picture in the order given: image, a probability for each attribute, and error,
    which is empty when all went well. The exit code is 1 if any picture could not be read.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli predict …
    """
    from vaa_cli.core.images.decoding_pool import start_decoding_early
    from vaa_cli.core.prediction.predictor import open_predictor

    group = this_process()
    if on is None:
        start_decoding_early(workers)
    predictor = open_predictor(
        run, engine=engine, precision=precision, device=device, batch_size=batch_size,
        workers=workers, mirror=tta, time_limit=time_limit, group=group,
    )  # fmt: skip
    if plan:
        from vaa_cli.commands.predict_plan import show_plan

        show_plan(predictor, images, part_rows)
        return
    rows = RowOptions(
        out, format, resume, top if pretty else None, decisions, groups, min_confidence, tta, shard,
        attributes, tuple(where or ()), safe_csv, uncertain, part_rows, on,
    )  # fmt: skip
    raise typer.Exit(predict_rows(predictor, images, rows))
