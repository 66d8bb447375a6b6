"""`vaa convert`: a prepared folder in the form of another tool."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vaa_cli.commands.console import say, warn

PreparedArgument = Annotated[
    str, typer.Argument(metavar="PREPARED", help="A prepared folder.", show_default=False)
]
OutArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="The folder to write.", show_default=False)
]
FormOption = Annotated[
    Literal["csv", "imagefolder", "coco", "fiftyone"],
    typer.Option("--to", help="The form: a label table, or that of the tool.", show_default=False),
]


def convert(prepared: PreparedArgument, out: OutArgument, to: FormOption) -> None:
    """Write a prepared folder as csv, Hugging Face's imagefolder, COCO with attributes or FiftyOne.

    Splits and groups stay. Pictures are linked into the folder where the disk can, and copied else.
    """
    from vaa_cli.core.datasets.conversion import convert as convert_prepared
    from vaa_cli.core.datasets.prepared import read_prepared

    data = read_prepared(prepared)
    for note in convert_prepared(data, out, to):
        warn(note)
    rows = sum(map(len, data.splits.values()))
    say(f"wrote {out}: {rows:,} rows as {to}")
