"""The variants of an ablation, and which of their trainings are done."""

import itertools
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.helpers.figures import make_prepared
from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.names import ClassifierName
from vaa_cli.core.runs.folder import create_run
from vaa_cli.core.training.ablation import (
    Variant,
    ablation_runs,
    ablation_variants,
)
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.run_series import PlannedRun, is_finished

LADDER = ["baseline", "uniform-heads", "attention", "confidence", "focal", "weights", "full"]
WITHOUT = ["no-heads", "no-attention", "no-confidence", "no-focal", "no-weights"]


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return make_prepared(tmp_path, 8, 4)


def effect(options: TrainingOptions) -> dict[str, object]:
    """All that a training is made by."""
    return {**asdict(options), **asdict(options.resolved())}


def changed(one: Variant, other: Variant) -> set[str]:
    first, second = effect(one.options), effect(other.options)
    return {name for name, value in first.items() if second[name] != value}


@pytest.mark.parametrize("classifier", ["spatial", "residual"])
def test_each_step_changes_the_part_that_it_names(classifier: ClassifierName) -> None:
    full = TrainingOptions(classifier=classifier, hidden=64)
    variants = {variant.name: variant for variant in ablation_variants(full)}
    assert list(variants) == LADDER + WITHOUT
    baseline = variants["baseline"].options.resolved()
    assert (baseline.stages, baseline.loss, baseline.loss_weights) == ((), "bce", "none")
    assert variants["full"].options == full
    steps = [changed(variants[a], variants[b]) for a, b in itertools.pairwise(LADDER[1:])]
    # Uniform maps need the confidences, which learned ones begin without.
    assert steps == [
        {"attention", "confidence"},
        {"confidence"},
        {"loss"},
        {"loss_weights"},
        {"history"},
    ]
    parts = [changed(variants["full"], variants[name]) for name in WITHOUT[1:]]
    assert parts == [{"attention"}, {"confidence"}, {"loss"}, {"loss_weights"}]
    no_heads = changed(variants["full"], variants["no-heads"])
    assert "stages" in no_heads and not no_heads & {"loss", "loss_weights", "epochs", "lr"}


def test_pooled_logits_cannot_be_without_confidences() -> None:
    names = [variant.name for variant in ablation_variants(TrainingOptions(classifier="pooled"))]
    assert names == [name for name in LADDER + WITHOUT if "confidence" not in name]


def test_parts_that_are_off_are_not_trained_twice() -> None:
    full = TrainingOptions(classifier="spatial", loss="bce", loss_weights="label", history=0)
    names = [variant.name for variant in ablation_variants(full)]
    # The cross-entropy is there from the start, and the history never.
    assert names == [
        "baseline", "uniform-heads", "attention", "confidence", "full", "no-heads",
        "no-attention", "no-confidence",
    ]  # fmt: skip


@pytest.mark.parametrize("options", [{"stages": ()}, {"attention": "uniform"}])
def test_a_method_with_nothing_to_take_away(options: dict[str, object]) -> None:
    with pytest.raises(VAAError, match="takes parts away from the full method"):
        ablation_variants(TrainingOptions(**options))  # type: ignore[arg-type]


def test_a_seed_is_whole_before_the_next_begins(data: Prepared) -> None:
    variants = ablation_variants(TrainingOptions(classifier="pooled"))[:2]
    runs = ablation_runs(variants, [3, 5], data, Path("out"))
    assert [str(run.folder) for run in runs] == [
        "out/baseline/seed-3", "out/uniform-heads/seed-3", "out/baseline/seed-5",
        "out/uniform-heads/seed-5",
    ]  # fmt: skip
    assert [run.options.seed for run in runs] == [3, 3, 5, 5]


def begun(run: PlannedRun, data: Prepared, **options: object) -> None:
    """A run folder that a training was begun in."""
    kept = asdict(replace(run.options, **options))  # type: ignore[arg-type]
    create_run(run.folder, {"options": kept, "data": str(data.folder)})


def test_runs_of_other_options_or_data_are_refused(data: Prepared, tmp_path: Path) -> None:
    (variant, *_) = ablation_variants(TrainingOptions(epochs=2))
    (run,) = ablation_runs([variant], [1], data, tmp_path / "ablation")
    assert not is_finished(run)
    begun(run, data, workers=3, device="cpu")  # which change nothing that is learned
    assert not is_finished(run)
    begun(run, data, epochs=3)
    with pytest.raises(VAAError, match="seed-1 was trained with epochs 3, not 2; name another"):
        is_finished(run)
    begun(run, replace(data, folder=tmp_path / "other"))
    with pytest.raises(VAAError, match=r"seed-1 was trained on .*other, not .*prepared"):
        is_finished(run)
