"""`vaa predict --plan`: what the whole would take, from a sample; nothing is written."""

from typing import TYPE_CHECKING

from vaa_cli.commands.console import names_on_stdin, results_console, say, say_passed_over

if TYPE_CHECKING:
    from vaa_cli.core.prediction.planning import Found, StageRates
    from vaa_cli.core.prediction.predictor import Predictor

# Machines like this one for which hours are given.
_MACHINES = (1, 4, 16, 64)


def show_plan(predictor: "Predictor", images: list[str], part_rows: int) -> None:
    """Find pictures for a while, time a sample of them, and print what that means.

    Args:
        predictor: the predictor.
        images: what is predicted, as the user names it.
        part_rows: rows of a part.
    """
    from vaa_cli.core.images.inputs import find_inputs
    from vaa_cli.core.prediction.planning import find_sample, measure_stages

    inputs = find_inputs(images, names_on_stdin(images))
    say("looking for pictures, 20 s at most …")
    found = find_sample(inputs.sources)
    say(f"timing {len(found.sample)} of them …")
    rates = measure_stages(predictor, found.sample)
    say_passed_over(inputs.passed_over)
    _print_plan(found, rates, predictor, part_rows)


def _print_plan(
    found: "Found", rates: "StageRates", predictor: "Predictor", part_rows: int
) -> None:
    from rich.table import Table

    from vaa_cli.core.training.duration import duration_text

    more = "" if found.is_all else "more than "
    console = results_console()
    stages = Table(box=None, pad_edge=False)
    for name in ("stage", "pictures/s", ""):
        stages.add_column(name, justify="right" if name == "pictures/s" else "left")
    by_cores = f"{rates.decoding:,.0f} in one process, {min(rates.workers, rates.cores)} of them"
    stages.add_row("finding", f"{found.rate:,.0f}", f"{more}{found.count:,} pictures")
    stages.add_row("reading", f"{rates.reading:,.0f}", f"{rates.bytes_each / 1000:,.0f} kB each")
    stages.add_row("decoding", f"{rates.decoding_all:,.0f}", by_cores)
    stages.add_row("inference", f"{rates.inference:,.0f}", predictor.engine.name)
    shared = ", on the same cores" if rates.shares_cores else ""
    together = f"bound by {rates.bound}{shared}"
    stages.add_row("together", f"{rates.rate:,.0f}", together, style="bold")
    console.print(stages)
    console.print()
    whole = Table(box=None, pad_edge=False)
    for name in ("machines like this one", "pictures/s", "for all" if found.is_all else "for each"):
        whole.add_column(name, justify="right")
    count, unit = (found.count, "") if found.is_all else (1_000_000, " a million")
    for machines in _MACHINES:
        # One process finds the pictures of all machines.
        rate = min(machines * rates.rate, found.rate)
        time = duration_text(count / rate)
        bound = " (bound by finding)" if rate == found.rate else ""
        whole.add_row(f"{machines}", f"{rate:,.0f}{bound}", f"{time}{unit}")
    console.print(whole)
    console.print()
    parts = -(-found.count // part_rows)
    in_parts = f"{parts:,} {'part' if parts == 1 else 'parts'} of up to {part_rows:,}"
    console.print(
        f"{more}{found.count:,} rows, {in_parts}; "
        f"{found.count * rates.bytes_each / 1e9:,.1f} GB to read"
    )
    if rates.problems:
        console.print(f"{rates.problems} of {len(found.sample)} pictures cannot be used")
    console.print(
        f"Measured on this machine ({rates.cores} cores); others are multiples of it. "
        "A machine with a GPU: run this there."
    )
