"""The figures of an ablation: variants of a method, each trained with several seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.engines.base import EngineOptions
from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.bootstrap import SAMPLES, Draws, Floats, bootstrap_means
from vaa_cli.core.evaluation.comparison import Compared, compare_figure
from vaa_cli.core.evaluation.evaluation import Evaluation, evaluate
from vaa_cli.core.evaluation.localisation import EXPLAINED
from vaa_cli.core.evaluation.records import Record, number
from vaa_cli.core.models.card import read_card
from vaa_cli.core.models.model_file import parameter_count
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.runs.lookup import model_file
from vaa_cli.core.system.location import Location

# The figures that differences and intervals are given of.
MAIN_FIGURES = ("mAP", "mA")


@dataclass(frozen=True)
class TrainedVariant:
    """A variant of a method that was trained with several seeds.

    Attributes:
        name: its name.
        about: its parts, in words.
        runs: the run folder of each seed, in the same order for all variants.
    """

    name: str
    about: str
    runs: Sequence[Path]


@dataclass(frozen=True)
class VariantFigures:
    """The figures of a variant.

    Attributes:
        variant: the variant.
        means: the mean of each figure over the seeds, by name; NaN where it is undefined.
        deviations: its standard deviation over the seeds.
        heads: the mean AP on val of each head and of their mean, by name; none where there is one
            head alone.
        parameters: number of parameters of its model.
    """

    variant: TrainedVariant
    means: dict[str, float]
    deviations: dict[str, float]
    heads: dict[str, float]
    parameters: int


@dataclass(frozen=True)
class Ablation:
    """The figures of an ablation.

    Attributes:
        variants: the figures of each variant.
        references: names of the variants that the others are compared with.
        differences: by the name of such a variant, each of `MAIN_FIGURES` of all variants, that
            one first; see `names_against`.
        seeds: number of seeds.
        pictures: number of pictures that were scored.
        split: their split.
        data: the prepared folder.
        controls: hits of the pointing game of a `centred` and a `uniform` map, which know nothing
            of the picture; empty without regions.
    """

    variants: list[VariantFigures]
    references: tuple[str, ...]
    differences: dict[str, list[Compared]]
    seeds: int
    pictures: int
    split: str
    data: Location
    controls: dict[str, float]

    def names_against(self, reference: str) -> list[str]:
        """The names of the variants in the order of the differences to one of them."""
        names = [one.variant.name for one in self.variants]
        return [reference, *(name for name in names if name != reference)]


def score_ablation(
    variants: Sequence[TrainedVariant],
    references: Sequence[str],
    data: Location,
    split: str = "test",
    *,
    boxes: Path | None = None,
    masks: Path | None = None,
    samples: int = SAMPLES,
    seed: int = 0,
    options: EngineOptions | None = None,
    on_scored: Callable[[Path], None] = lambda run: None,
) -> Ablation:
    """Score the trained variants of a method on the same pictures by the same decision rule.

    Args:
        variants: the variants, each with as many runs.
        references: names of those that the others are compared with.
        data: the prepared folder.
        split: train, val or test; its pictures should have chosen nothing.
        boxes: regions of attributes, see `evaluate`.
        masks: masks of attributes, see `evaluate`.
        samples: number of draws of pictures and seeds.
        seed: seed of the draws.
        options: how the models are computed.
        on_scored: called after each run that was scored.

    Raises:
        VAAError: a run or the folder cannot be read, or no attribute can be scored.
    """
    figures, scored = [], []
    controls: dict[str, float] = {}
    for variant in variants:
        evaluations = []
        for run in variant.runs:
            has_maps = bool(read_card(model_file(run)).stages)
            regions = (boxes, masks) if has_maps else (None, None)
            found = evaluate(run, data, split, boxes=regions[0], masks=regions[1], options=options)
            evaluations.append(found)
            on_scored(run)
        if not evaluations[0].scores.scorable.any():
            raise VAAError(f"no attribute can be scored on the {split} pictures of {data}")
        controls = controls or _controls(evaluations[0])
        figures.append(_variant_figures(variant, evaluations))
        scored.append(evaluations)
    targets = scored[0][0].split.table.labels
    predicted = [list(map(_predicted, group)) for group in scored]
    draws = bootstrap_means(predicted, targets, samples, seed)
    values = [[_run_figures(e) for e in group] for group in scored]
    return Ablation(
        figures,
        tuple(references),
        {name: _differences(name, variants, values, draws) for name in references},
        len(variants[0].runs),
        len(targets),
        split,
        data,
        controls,
    )


def _differences(
    reference: str,
    variants: Sequence[TrainedVariant],
    values: Sequence[Sequence[dict[str, float]]],
    draws: Sequence[Draws],
) -> list[Compared]:
    names = [variant.name for variant in variants]
    first = names.index(reference)
    order = [first, *(i for i in range(len(names)) if i != first)]
    compared = []
    for figure in MAIN_FIGURES:
        drawn: list[Floats] = [draws[i].totals[figure] for i in order]
        runs = [[one[figure] for one in values[i]] for i in order]
        compared.append(compare_figure(figure, None, runs, drawn))
    return compared


def _variant_figures(variant: TrainedVariant, evaluations: Sequence[Evaluation]) -> VariantFigures:
    per_run = [
        {**_run_figures(evaluation), **_cost(run)}
        for evaluation, run in zip(evaluations, variant.runs, strict=True)
    ]
    means, deviations = {}, {}
    for name in per_run[0]:
        values = np.array([one[name] for one in per_run])
        means[name] = float(values.mean())
        deviations[name] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    heads = [_heads(evaluation) for evaluation in evaluations]
    return VariantFigures(
        variant,
        means,
        deviations,
        {name: float(np.mean([one[name] for one in heads])) for name in heads[0]},
        parameter_count(evaluations[0].split.card),
    )


def _predicted(one: Evaluation) -> tuple[NDArray[np.float32], DecisionRule]:
    """The probabilities of a run, and how it decides."""
    return one.probabilities, DecisionRule.of(one.split.card)


def _run_figures(evaluation: Evaluation) -> dict[str, float]:
    """The figures of one run, by name."""
    totals, at_half = evaluation.scores.totals, evaluation.scores_at_half.totals
    figures = {
        "mAP": totals.mean_average_precision,
        "mA": totals.mean_accuracy,
        "mA at 0.5": at_half.mean_accuracy,
    }
    for record in evaluation.rarity:
        for name, key in (("mAP", "mAP"), ("mA", "mA")):
            value = record[key]
            is_known = isinstance(value, float)
            figures[f"{name}, {record['rarity']}"] = float(value) if is_known else np.nan  # type: ignore[arg-type]
    pointing = np.nan
    if evaluation.pointing is not None:
        pointing = float(np.nanmean(evaluation.pointing.maps[EXPLAINED].hits))
    figures["pointing"] = pointing
    return figures


def _cost(run: Path) -> dict[str, float]:
    """The seconds that a run was trained for."""
    return {"seconds": sum(row.get("seconds", np.nan) for row in read_log(run)) or np.nan}


def _heads(evaluation: Evaluation) -> dict[str, float]:
    """The mean AP on val of each head of a run and of their mean, from its card."""
    figures = evaluation.split.card.validation
    heads = [name for name in figures if name.endswith("_mAP")]
    found = {name.removesuffix("_mAP"): figures[name] for name in heads}
    if heads:
        found["their mean"] = figures["mAP"]
    return {name: np.nan if value is None else value for name, value in found.items()}


def _controls(evaluation: Evaluation) -> dict[str, float]:
    """The pointing game of maps that know nothing of a picture; empty without regions."""
    found = evaluation.pointing
    if found is None:
        return {}
    maps = {"centred": found.centred, "uniform": found.uniform}
    return {name: float(np.nanmean(one.hits)) for name, one in maps.items()}


def ablation_records(ablation: Ablation) -> list[Record]:
    """A record for each variant: its figures, and its differences with their intervals."""
    records: list[Record] = []
    for one in ablation.variants:
        record: Record = {"variant": one.variant.name, "parts": one.variant.about}
        record |= {"seeds": ablation.seeds, "parameters": one.parameters}
        for name, mean in one.means.items():
            record[name] = number(mean)
            record[f"{name}, deviation"] = number(one.deviations[name])
        for reference in ablation.references:
            names = ablation.names_against(reference)
            place = names.index(one.variant.name) - 1
            for figure in ablation.differences[reference]:
                column = f"{figure.figure} against {reference}"
                found = figure.differences[place] if place >= 0 else None
                record[column] = None if found is None else number(found.value)
                record[f"{column}, low"] = None if found is None else number(found.low)
                record[f"{column}, high"] = None if found is None else number(found.high)
        for name, value in one.heads.items():
            record[f"val mAP of {name}"] = number(value)
        records.append(record)
    columns = dict.fromkeys(name for record in records for name in record)
    return [{name: record.get(name) for name in columns} for record in records]
