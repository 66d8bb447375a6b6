"""The trainings of an ablation: the plain baseline, the method part by part, and without each."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import read_card
from vaa_cli.core.models.names import heads_problem
from vaa_cli.core.runs.folder import BEST, checkpoints, has_begun, kept_config
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.runs.lookup import resume_point
from vaa_cli.core.training.events import Event, Stopped
from vaa_cli.core.training.loop import train
from vaa_cli.core.training.option_sources import checked_options, with_values
from vaa_cli.core.training.options import ATTENTION_OPTIONS, CHANGEABLE, TrainingOptions
from vaa_cli.core.training.stop_request import StopRequest

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


@dataclass(frozen=True)
class AblationRun:
    """One training of an ablation: a variant with a seed, in a run folder of its own."""

    variant: Variant
    seed: int
    folder: Path

    @property
    def options(self) -> TrainingOptions:
        """The options with the seed."""
        return replace(self.variant.options, seed=self.seed)


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
    variants: Sequence[Variant], seeds: Sequence[int], folder: Path
) -> list[AblationRun]:
    """The trainings of an ablation; all variants of a seed come before the next seed."""
    return [
        AblationRun(variant, seed, folder / variant.name / f"seed-{seed}")
        for seed in seeds
        for variant in variants
    ]


def is_finished(run: AblationRun, data: Prepared) -> bool:
    """Whether a training of an ablation was done before, in this folder.

    Raises:
        VAAError: the folder has a run of other options or data.
    """
    if not has_begun(run.folder):
        return False
    kept, kept_data = kept_config(run.folder)
    started = with_values(TrainingOptions(), kept, str(run.folder))
    wanted = run.options
    for name, value in asdict(started).items():
        if name not in CHANGEABLE and value != getattr(wanted, name):
            raise VAAError(
                f"{run.folder} was trained with {name} {value}, not {getattr(wanted, name)}; name "
                "another folder, or remove that one"
            )
    if kept_data.resolve() != data.folder.resolve():
        raise VAAError(
            f"{run.folder} was trained on {kept_data}, not {data.folder}; name another folder"
        )
    best = run.folder / BEST
    if not best.is_file():
        return False
    if not checkpoints(run.folder):  # they go when a training is finished
        return True
    is_whole = len(read_log(run.folder)) >= wanted.resolved().epochs
    return is_whole and bool(read_card(best).temperatures)


def checkpoint_of(run: AblationRun) -> Path | None:
    """The checkpoint that a training of an ablation goes on from; None to start it."""
    return resume_point(run.folder).checkpoint if has_begun(run.folder) else None


def drop_checkpoints(run: AblationRun) -> None:
    """Remove the checkpoints of a finished training, each three times as large as its model."""
    for path in checkpoints(run.folder):
        path.unlink(missing_ok=True)


def train_ablation(
    runs: Sequence[AblationRun],
    data: Prepared,
    stop: StopRequest,
    on_run: Callable[[AblationRun], None],
    on_event: Callable[[Event], None],
) -> Stopped | None:
    """Train variants with seeds, one after the other.

    Args:
        runs: the trainings, without those that are finished.
        data: the prepared folder.
        stop: a request to save and stop.
        on_run: called before each training.
        on_event: called with each event, see `loop.train`.

    Returns:
        The position that a training was stopped at; None if all are finished.

    Raises:
        VAAError: a training failed.
    """
    for run in runs:
        on_run(run)
        checkpoint = checkpoint_of(run)
        end = train(
            data, run.options, run.folder, checkpoint=checkpoint, stop=stop, on_event=on_event
        )
        if isinstance(end, Stopped):
            return end
        drop_checkpoints(run)
    return None
