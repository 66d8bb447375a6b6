"""The trainings of an ablation: the plain baseline, the method part by part, and without each."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.names import heads_problem
from vaa_cli.core.training.option_groups import ATTENTION_OPTIONS
from vaa_cli.core.training.option_sources import checked_options
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.run_series import PlannedRun

BASELINE, UNIFORM, FULL = "baseline", "uniform-heads", "full"


@dataclass(frozen=True)
class Variant:
    """The method with some of its parts.

    Attributes:
        name: its name, and that of its folder.
        about: its parts, in words.
        options: the options that it is trained with, but for the seed.
    """

    name: str
    about: str
    options: TrainingOptions


def ablation_variants(full: TrainingOptions) -> list[Variant]:
    """The variants of a method: each part added to the baseline in turn, then each left out.

    Variants that are the same training, as where a part is off in the full method, are there once.

    Args:
        full: the options of the full method.

    Raises:
        VAAError: the full method has no attention to take away.
    """
    recipe = full.resolved()
    if not recipe.stages or full.attention != "learned":
        raise VAAError(
            "an ablation takes parts away from the full method; leave `stages` and `attention` on"
        )
    default = TrainingOptions()
    no_heads = {name: getattr(default, name) for name in ATTENTION_OPTIONS} | {"stages": ()}
    plain = {"loss": "bce", "loss_weights": "none"}
    focal, weights = recipe.loss, recipe.loss_weights
    no_history = {**plain, "history": 0}
    has_branch = heads_problem(full.classifier, "learned", False) is None
    found: list[tuple[str, str, dict[str, Any]]] = [
        (BASELINE, "backbone, linear layer, cross-entropy", {**plain, **no_heads}),
        (
            UNIFORM,
            "+ attention heads with uniform maps",
            {**no_history, "attention": "uniform", "confidence": True},
        ),
        ("attention", "+ learned attention", {**no_history, "confidence": not has_branch}),
        ("confidence", "+ confidence branch", no_history),
        ("focal", "+ focal loss", {"loss": focal, "loss_weights": "none", "history": 0}),
        ("weights", "+ weights by priors", {"history": 0}),
        (FULL, "+ prediction history: the full method", {}),
        ("no-heads", "full without heads", no_heads),
        ("no-attention", "full with uniform maps", {"attention": "uniform", "confidence": True}),
        ("no-confidence", "full without confidence branch", {"confidence": not has_branch}),
        ("no-focal", "full with cross-entropy", {"loss": "bce", "loss_weights": weights}),
        ("no-weights", "full without weights", {"loss": focal, "loss_weights": "none"}),
    ]
    variants: dict[str, Variant] = {}
    for name, about, changes in found:
        variant = Variant(name, about, checked_options(replace(full, **changes)))
        key = _key(variant.options)
        if key not in variants or name == FULL:
            variants[key] = variant
    return list(variants.values())


def _key(options: TrainingOptions) -> str:
    """The same for options that are the same training."""
    recipe = asdict(options.resolved())
    return repr({**asdict(options), **recipe})


def ablation_runs(
    variants: Sequence[Variant], seeds: Sequence[int], data: Prepared, folder: Path
) -> list[PlannedRun]:
    """The trainings of an ablation; all variants of a seed come before the next seed.

    Args:
        variants: the variants.
        seeds: the seeds.
        data: the prepared folder.
        folder: the folder of their run folders, VARIANT/seed-N.
    """
    return [
        PlannedRun(
            f"{variant.name}, seed {seed}",
            folder / variant.name / f"seed-{seed}",
            replace(variant.options, seed=seed),
            data,
        )
        for seed in seeds
        for variant in variants
    ]
