"""`vaa evaluate`: how good a run is, attribute by attribute."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaa_cli.commands.console import this_process, warn
from vaa_cli.commands.inference import open_with_workers
from vaa_cli.commands.options import (
    PREPARED,
    BatchSizeOption,
    DataOption,
    DeviceOption,
    EngineOption,
    InferencePrecisionOption,
    RunOption,
    WorkersOption,
)


class SplitChoice(str, Enum):
    """The parts of a prepared folder."""

    train = "train"
    val = "val"
    test = "test"


class FormatChoice(str, Enum):
    """How the figures are given."""

    table = "table"
    csv = "csv"
    json = "json"


def evaluate(
    data: DataOption = None,
    run: RunOption = None,
    split: Annotated[
        SplitChoice, typer.Option("--split", help="Which pictures are scored.")
    ] = SplitChoice.test,
    format: Annotated[
        FormatChoice,
        typer.Option("--format", help="csv has a row an attribute; json has these and the totals."),
    ] = FormatChoice.table,
    batch_size: BatchSizeOption = 32,
    engine: EngineOption = "auto",
    precision: InferencePrecisionOption = "auto",
    device: DeviceOption = "auto",
    workers: WorkersOption = None,
) -> None:
    """Score a run: mA, recalls, precision, F1 and AP of each attribute, and the totals.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli evaluate …
    """
    from vaa_cli.core.decoding_pool import DecodingPool
    from vaa_cli.core.metrics import score
    from vaa_cli.core.predicting import Predictor
    from vaa_cli.core.prepared import read_prepared
    from vaa_cli.core.report import (
        evaluation_csv,
        evaluation_json,
        evaluation_tables,
        unscored,
    )
    from vaa_cli.core.runs import model_file
    from vaa_cli.core.shared_prediction import table_probabilities

    world = this_process()
    path = model_file(run)
    model, workers = open_with_workers(path, engine, precision, device, workers, world)
    card = model.card
    trained_on = Path(card.data)
    folder = data or (trained_on if trained_on.exists() else PREPARED)
    table = read_prepared(folder).split(split.value)
    labels, missing, extra = table.labels_for(card.attributes)
    if missing:
        warn(f"{folder} has no labels of {', '.join(missing)}; they are not scored")
    if extra:
        warn(f"the model does not know {', '.join(extra)} of {folder}; they are left out")

    with world.joined():
        pool = DecodingPool(card.image_size, batch_size, workers, card.box_margin)
        probabilities = table_probabilities(Predictor(model, pool), table, world)
    if not world.is_first:
        return
    scores = score(probabilities, labels, card.thresholds)

    if format is FormatChoice.csv:
        sys.stdout.write(evaluation_csv(card.attributes, card.priors, scores))
    elif format is FormatChoice.json:
        about: dict[str, str | int] = {
            "model": str(path), "data": str(folder), "split": split.value, "images": len(table)
        }  # fmt: skip
        print(evaluation_json(card.attributes, card.priors, scores, about))
    else:
        print(f"{path}: {len(table):,} {split.value} pictures of {folder}")
        Console(highlight=False, emoji=False).print(
            evaluation_tables(card.attributes, card.priors, scores)
        )
    left_out = [name for name in unscored(card.attributes, scores) if name not in missing]
    if left_out:
        warn(
            f"cannot be scored on {split.value}, without a positive or without a negative, and "
            f"are left out of the means: {', '.join(left_out)}"
        )
