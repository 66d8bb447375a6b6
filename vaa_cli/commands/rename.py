"""`vaa rename`: other names for the attributes of a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from vaa_cli.commands.console import say
from vaa_cli.core.errors import VAAError

RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder or model file.", show_default=False)
]
NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="OLD=NEW...", help="Attributes with their new names.", show_default=False
    ),
]


def rename(run: RunArgument, names: NamesArgument) -> None:
    """Give attributes of a run other names; the weights stay as they are.

    vaa rename runs/NAME upperBodyJacket=jacket
    """
    from vaa_cli.core.training.renaming import rename_attributes

    renamed: dict[str, str] = {}
    for entry in names:
        old, equals, new = entry.partition("=")
        if not equals:
            raise VAAError(f"{entry}: write it as OLD=NEW, such as upperBodyJacket=jacket")
        if old in renamed:
            raise VAAError(f"{old} is renamed twice, to {renamed[old]} and to {new}; choose one")
        renamed[old] = new
    path = rename_attributes(run, renamed)
    say(f"{path}: {', '.join(f'{old} is {new} now' for old, new in renamed.items())}")
