"""`vaa ablate`: which part of the method earns its place."""

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from vaa_cli.commands.console import progress, results_console, say, warn, write_results
from vaa_cli.commands.evaluate import BoxesOption, MasksOption
from vaa_cli.commands.options import PREPARED, SplitOption
from vaa_cli.commands.series_display import train_shown
from vaa_cli.commands.train import ConfigOption, DataOption, SettingsOption
from vaa_cli.commands.train_parameters import with_training_options
from vaa_cli.commands.train_plan import named_options
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.datasets.prepared import Prepared
    from vaa_cli.core.evaluation.ablation import Ablation
    from vaa_cli.core.training.ablation import Variant
    from vaa_cli.core.training.options import TrainingOptions

ABLATION = Path("ablation")
# The files beside the runs, and what they begin with.
_FILES = {"ablation.csv": b"variant,", "ablation.json": b"{", "index.html": b"<!doctype html>"}

OutOption = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Folder of the runs, VARIANT/seed-N, and of the figures; runs that are there are used "
        "again, so the same command goes on after a stop.",
    ),
]
SeedsOption = Annotated[
    str, typer.Option("--seeds", metavar="N,N,...", help="Each variant is trained with each.")
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="NAME,NAME,...",
        help="Some of the variants, such as baseline,uniform-heads,full.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Literal["table", "csv", "json", "html"],
    typer.Option("--format", help="What is printed; csv, json and html are in the folder, too."),
]
SamplesOption = Annotated[
    int, typer.Option("--samples", min=100, help="Draws of pictures and seeds for the intervals.")
]


@partial(with_training_options, without=("seed", "calibrate"))
def ablate(
    context: typer.Context,
    data: DataOption = str(PREPARED),
    out: OutOption = ABLATION,
    seeds: SeedsOption = "0,1,2",
    only: OnlyOption = None,
    split: SplitOption = "test",
    boxes: BoxesOption = None,
    masks: MasksOption = None,
    format: FormatOption = "table",
    samples: SamplesOption = 1000,
    config: ConfigOption = None,
    settings: SettingsOption = None,
    **options: Any,
) -> None:
    """Train the plain baseline, the method part by part, and without each part, and compare them.

    All get the same pictures, steps and decision rule: thresholds are fitted on val, and test is
    scored. The options are those of vaa train, for the full method.
    """
    chosen, named = named_options(context, options, config, settings or [])
    seed_numbers = _seeds(seeds)
    if ProcessGroup.from_environment().world_size > 1:
        raise VAAError("vaa ablate trains in one process; start it without torchrun")

    from vaa_cli.core.datasets.prepared import read_prepared
    from vaa_cli.core.system.output_files import require_output
    from vaa_cli.core.training.ablation import ablation_runs
    from vaa_cli.core.training.option_sources import require_consistent
    from vaa_cli.core.training.trained_weights import like_trained

    chosen = like_trained(chosen, named)
    require_consistent(chosen, named)

    prepared = read_prepared(data)
    scored: tuple[str, ...] = ("train", "val", split)
    for name in dict.fromkeys(scored):
        _require_scorable(prepared, name)
    for file, start in _FILES.items():
        require_output(out / file, "figures of an ablation", partial(_begins, start))
    variants = _variants(chosen, only)
    epochs, first = chosen.resolved().epochs, chosen.burn_in + 3
    if chosen.history and epochs < first:  # a deviation needs two predictions of earlier epochs
        warn(f"in {epochs} epochs the history has no effect; it begins to in epoch {first}")
    # Each model's engine and device are no news here.
    logging.getLogger("vaa_cli").setLevel(logging.WARNING)
    say(f"{len(variants)} variants, {len(seed_numbers)} seeds")
    if stopped := train_shown(ablation_runs(variants, seed_numbers, prepared, out), out):
        raise typer.Exit(128 + stopped)
    ablation = _score(variants, seed_numbers, prepared, out, split, boxes, masks, samples, chosen)
    _write(ablation, out, format)


def _begins(start: bytes, content: bytes) -> bool:
    return content.startswith(start)


def _seeds(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    for part in parts:
        if not part.isdecimal():
            raise VAAError(f"--seeds {text}: {part or 'nothing'!r} is no seed; write 0,1,2")
        if parts.count(part) > 1:
            raise VAAError(f"--seeds {text}: {part} is there twice; name different seeds")
    return [int(part) for part in parts]


def _require_scorable(prepared: "Prepared", split: str) -> None:
    """Refuse a split on which nothing can be scored, before hours of training."""
    labels = prepared.split(split).labels
    if not ((labels == 1).any(axis=0) & (labels == 0).any(axis=0)).any():
        raise VAAError(
            f"{prepared.folder / f'{split}.csv'} has no attribute with a picture that has it and "
            f"one that has not, so {split} cannot be scored; put more pictures into it"
        )


def _variants(options: "TrainingOptions", only: str | None) -> "list[Variant]":
    from vaa_cli.core.training.ablation import BASELINE, ablation_variants

    variants = {variant.name: variant for variant in ablation_variants(options)}
    if only is None:
        return list(variants.values())
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in variants:
            raise VAAError(f"--only {name}: no such variant; choose of {', '.join(variants)}")
    if BASELINE not in names:
        raise VAAError(f"--only {only}: add {BASELINE}, which the others are compared with")
    return [variant for variant in variants.values() if variant.name in names]


def _score(
    variants: "list[Variant]",
    seeds: list[int],
    prepared: "Prepared",
    out: Path,
    split: str,
    boxes: Path | None,
    masks: Path | None,
    samples: int,
    chosen: "TrainingOptions",
) -> "Ablation":
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn

    from vaa_cli.core.engines.base import EngineOptions
    from vaa_cli.core.evaluation.ablation import TrainedVariant, score_ablation
    from vaa_cli.core.training.ablation import BASELINE, FULL, UNIFORM, ablation_runs

    trained = [
        TrainedVariant(
            variant.name,
            variant.about,
            [run.folder for run in ablation_runs([variant], seeds, prepared, out)],
        )
        for variant in variants
    ]
    names = [variant.name for variant in variants]
    references = [name for name in (BASELINE, UNIFORM, FULL) if name in names]
    columns = (TextColumn("scoring"), BarColumn(), MofNCompleteColumn())
    with progress(*columns) as bar:
        task = bar.add_task("", total=len(variants) * len(seeds))
        return score_ablation(
            trained,
            references,
            prepared.folder,
            split,
            boxes=boxes,
            masks=masks,
            samples=samples,
            options=EngineOptions(engine="torch", device=chosen.device, workers=chosen.workers),
            on_scored=lambda run: bar.advance(task),
        )


def _write(ablation: "Ablation", out: Path, format: str) -> None:
    """Write the figures beside the runs, and print them."""
    from vaa_cli.core.evaluation.ablation import ablation_records
    from vaa_cli.core.evaluation.records import records_csv
    from vaa_cli.core.reports.ablation_report import (
        ablation_heading,
        ablation_json,
        ablation_page,
        ablation_tables,
    )
    from vaa_cli.core.system.files import write_text

    texts = {
        "csv": records_csv(ablation_records(ablation)),
        "json": ablation_json(ablation),
        "html": ablation_page(ablation),
    }
    for name, text in zip(_FILES, texts.values(), strict=True):
        write_text(out / name, text)
    say(ablation_heading(ablation))
    if format == "table":
        results_console().print(ablation_tables(ablation))
    else:
        write_results(texts[format])
    say(f"wrote {' and '.join(str(out / name) for name in _FILES)}")
