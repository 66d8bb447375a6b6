"""`vaa runs`: the runs of this folder, and the removal of some."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from vaa_cli.commands.console import quote, results_console, say
from vaa_cli.core.errors import VAAError

app = typer.Typer(help="List the runs in ./runs: backbone, data, figures, size; or delete some.")

FolderOption = Annotated[
    Path, typer.Option("--folder", help="The folder that the run folders are in.")
]
RunsArgument = Annotated[
    list[Path],
    typer.Argument(metavar="RUN...", help="The run folders to delete.", show_default=False),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback(invoke_without_command=True)
def list_runs(context: typer.Context, folder: FolderOption = Path("runs")) -> None:
    """List the runs in ./runs, the newest first: backbone, data, figures on val, size."""
    if context.invoked_subcommand is not None:
        return
    from vaa_cli.core.reports.run_tables import runs_table
    from vaa_cli.core.runs.summaries import run_summaries

    summaries = run_summaries(folder)
    if not summaries:
        say(f"no runs in {folder}; train one with: vaa train")
        return
    results_console().print(runs_table(summaries))


@app.command()
def delete(runs: RunsArgument, yes: YesOption = False) -> None:
    """Delete run folders, with their models and checkpoints."""
    from vaa_cli.core.reports.run_tables import size_text
    from vaa_cli.core.runs.summaries import delete_run, run_summaries

    sizes = {run.path.resolve(): run.size for path in runs for run in run_summaries(path.parent)}
    if not yes:
        if not sys.stdin.isatty():
            raise VAAError("nobody is there to be asked; add --yes")
        total = size_text(sum(sizes.get(path.resolve(), 0) for path in runs))
        names = ", ".join(quote(path) for path in runs)
        typer.confirm(f"delete {names} ({total})?", abort=True, err=True)
    for path in runs:
        delete_run(path)
        say(f"deleted {path}")
