"""One training step, against formulas written here."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.helpers.figures import make_prepared
from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.images.loader import PictureLoader
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.losses import VAALoss
from vaa_cli.core.models.model_file import new_model
from vaa_cli.core.models.prediction_history import PredictionHistory
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.recipes import RecipeName
from vaa_cli.core.training.sampling import augmented_requests
from vaa_cli.core.training.seeding import seed_all
from vaa_cli.core.training.setup import model_card
from vaa_cli.core.training.step import BatchShard, StepResult, train_step
from vaa_cli.core.training.train_state import TrainState

OPTIONS = TrainingOptions(
    backbone="resnet18", weights="none", image_size=(64, 32), hidden=4, batch_size=8, lr=1e-3,
    workers=0, precision="fp32",
)  # fmt: skip
CPU, ALONE = Compute(torch.device("cpu"), "fp32"), ProcessGroup()
ROWS = np.arange(8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("step"), train=12, val=4)


def new_state(data: Prepared, options: TrainingOptions = OPTIONS) -> TrainState:
    seed_all(0)
    card = model_card(data, options)
    return TrainState(new_model(card), card, data, options, 10, CPU, ALONE)


def new_shard(data: Prepared, sources: list[int] | None = None) -> BatchShard:
    loader = PictureLoader(OPTIONS.resolved().image_size, 0)
    (batch,) = loader.load([augmented_requests(data.split("train"), ROWS, 0, 0)])
    return BatchShard(ROWS, ROWS, batch.pixels, sources or list(range(8)))


def history_of(state: TrainState) -> PredictionHistory:
    assert state.history is not None
    return state.history


def step(state: TrainState, shard: BatchShard, **options: bool | int) -> StepResult:
    return train_step(state, shard, CPU, ALONE, **options)  # type: ignore[arg-type]


def test_the_losses_are_those_of_the_output_before_the_step(data: Prepared) -> None:
    state, other, shard = new_state(data), new_state(data), new_shard(data)
    result = step(state, shard)
    other.model.train()
    images = (shard.pixels / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / (
        torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    )
    with torch.no_grad():
        output = other.model(images.contiguous(memory_format=torch.channels_last))
        labels = torch.from_numpy(data.split("train").labels[:8])
        priors = torch.tensor(data.priors.prior, dtype=torch.float32)
        expected = VAALoss(priors)(output.primary, output.attention, labels)
    assert result.is_finite and result.replaced == 0 and not result.stop
    assert result.losses["loss"] == pytest.approx(8 * float(expected.total), rel=1e-4)
    assert result.losses["primary"] == pytest.approx(8 * float(expected.primary), rel=1e-4)
    assert list(result.losses) == ["loss", "primary", "attention_3", "attention_4"]
    changed = [
        not torch.equal(a, b)
        for a, b in zip(state.model.parameters(), other.model.parameters(), strict=True)
    ]
    assert any(changed)


def test_the_history_has_the_predictions_unless_it_is_reported_not_to(data: Prepared) -> None:
    state, shard = new_state(data), new_shard(data)
    step(state, shard, remember=False)
    assert not history_of(state).state_dict()["cursor"].any()
    step(state, shard)
    assert history_of(state).state_dict()["cursor"].tolist() == [1] * 8 + [0] * 4
    assert not history_of(state).std(torch.arange(8)).any()  # one prediction has no deviation
    step(state, shard)
    assert history_of(state).std(torch.arange(8)).any()


def test_a_picture_that_stands_in_leaves_no_prediction(data: Prepared) -> None:
    state = new_state(data)
    shard = new_shard(data, sources=[0, 1, 1, 3, 4, 5, 6, 6])
    assert shard.is_original == [True, True, False, True, True, True, True, False]
    result = step(state, shard)
    assert result.replaced == 2
    assert history_of(state).state_dict()["cursor"][:8].tolist() == [1, 1, 0, 1, 1, 1, 1, 0]


def test_a_step_that_is_not_finite_changes_nothing(data: Prepared) -> None:
    state, shard = new_state(data, replace(OPTIONS, skip_bad_steps=1)), new_shard(data)
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    with torch.no_grad():
        state.loss.weights[:] = float("nan")
    result = step(state, shard)
    assert not result.is_finite
    after = state.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not history_of(state).state_dict()["cursor"].any()


def test_a_request_to_stop_is_in_the_result(data: Prepared) -> None:
    assert step(new_state(data), new_shard(data), stop=True).stop


def test_the_rate_follows_the_scheduler(data: Prepared) -> None:
    state, shard = new_state(data, replace(OPTIONS, warmup=0.5, epochs=1)), new_shard(data)
    rates = [state.lr]
    for _ in range(3):
        step(state, shard)
        rates.append(state.lr)
    np.testing.assert_allclose(rates, 1e-3 * np.array([1, 2, 3, 4]) / 5, rtol=1e-9)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_the_backbone_learns_at_a_rate_of_its_own(data: Prepared, recipe: RecipeName) -> None:
    options = replace(OPTIONS, recipe=recipe, backbone_lr_scale=0.25, lr=0.01)
    state = new_state(data, options)
    rates = {
        parameter: group["initial_lr"] if "initial_lr" in group else group["lr"]
        for group in state.optimizer.param_groups
        for parameter in group["params"]
    }
    backbone = set(state.model.backbone.parameters())
    assert rates.keys() == set(state.model.parameters())
    for parameter, rate in rates.items():
        assert rate == pytest.approx(0.0025 if parameter in backbone else 0.01)
    # Weight decay stays as the recipe has it: none on norms and biases with AdamW.
    for group in state.optimizer.param_groups:
        decayed = recipe == "paper" or all(p.ndim > 1 for p in group["params"])
        assert (group["weight_decay"] > 0) == decayed
    assert state.lr == pytest.approx(state.optimizer.param_groups[0]["lr"])
