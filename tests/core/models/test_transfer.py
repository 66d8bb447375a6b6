"""A model that starts from a trained one: rows of the same names, and all that mixes attributes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.model_cards import make_card
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import new_model, save_model
from vaa_cli.core.models.names import ClassifierName
from vaa_cli.core.models.transfer import Transfer, transfer
from vaa_cli.core.models.vaa import VAA, attribute_axis

SOURCE = make_card(("hat", "bag", "skirt", "long hair"), classifier="spatial")
NAMES = ("skirt", "glasses", "hat")
CARD = replace(SOURCE, attributes=NAMES, thresholds=(0.5,) * 3, priors=(0.1,) * 3)
# Tensors of a classifier that have the attributes along an axis.
ROWS_OF = {"spatial": 3, "pooled": 2, "spatial-full": 3, "residual": 5}
# Rows of the new model's attributes, and of the same ones in the trained model.
INTO, ROWS = [0, 2], [2, 0]


@pytest.fixture(scope="module")
def trained() -> VAA:
    torch.manual_seed(0)
    return new_model(SOURCE)


def started(trained: VAA, card: ModelCard, path: Path, source: ModelCard = SOURCE) -> VAA:
    save_model(path, trained, source)
    torch.manual_seed(1)
    model = new_model(card)
    transfer(model, card, path)
    return model


@pytest.mark.parametrize("classifier", ["spatial", "pooled", "spatial-full", "residual"])
def test_rows_of_the_same_names_are_taken(tmp_path: Path, classifier: ClassifierName) -> None:
    source, card = (replace(c, classifier=classifier) for c in (SOURCE, CARD))
    torch.manual_seed(0)
    trained = new_model(source)
    found = started(trained, card, tmp_path / "m.safetensors", source).state_dict()
    torch.manual_seed(1)
    fresh = new_model(card).state_dict()
    with_rows = 0
    for key, given in trained.state_dict().items():
        sizes = [axis for axis, size in enumerate(given.shape) if size == 4]
        if fresh[key].shape == given.shape:
            assert torch.equal(found[key], given), key
            continue
        (axis,) = sizes  # of the four attributes
        with_rows += 1
        assert torch.equal(found[key].movedim(axis, 0)[INTO], given.movedim(axis, 0)[ROWS]), key
        assert torch.equal(found[key].movedim(axis, 0)[1], fresh[key].movedim(axis, 0)[1]), key
    # Weights and biases of the primary logits, of two maps and confidences, and of classifiers.
    assert with_rows == 2 + 2 * 4 + 2 * ROWS_OF[classifier]


def test_the_axis_of_attributes_is_known_for_every_tensor_that_has_one() -> None:
    small, large = (
        new_model(replace(CARD, attributes=tuple(map(str, range(count))), classifier=classifier))
        for count in (3, 5)
        for classifier in ("residual",)
    )
    for (key, one), other in zip(
        small.state_dict().items(), large.state_dict().values(), strict=True
    ):
        differing = [axis for axis in range(one.dim()) if one.shape[axis] != other.shape[axis]]
        assert differing == ([] if attribute_axis(key) is None else [attribute_axis(key)]), key


def test_other_stages_and_sizes_take_what_fits(trained: VAA, tmp_path: Path) -> None:
    card = replace(CARD, stages=(2, 4), image_size=(64, 64))
    model = new_model(card)
    save_model(tmp_path / "m.safetensors", trained, SOURCE)
    done = transfer(model, card, tmp_path / "m.safetensors")
    assert done.taken == ("skirt", "hat") and done.fresh == ("glasses",)
    assert done.left_out == ("bag", "long hair")
    # Stage 2 was not there, and the covering convolution of stage 4 is of another size.
    assert set(done.fresh_parts) == {
        "attention of stage 2", "classifier of stage 2", "classifier of stage 4",
    }  # fmt: skip
    given = trained.state_dict()["attention.1.attention.0.0.weight"]  # of stage 4
    assert torch.equal(model.state_dict()["attention.1.attention.0.0.weight"], given)


def test_what_was_taken_is_one_line() -> None:
    text = str(Transfer(("a", "b"), ("c",), (), ()))
    assert text == "taken: backbone and 2 of 3 attributes; new: c"
    many = tuple(map(str, range(9)))
    assert "0, 1, 2, 3, 4 and 4 more" in str(Transfer(("a",), many, (), ()))


def test_models_that_do_not_fit(trained: VAA, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    for card, message in (
        (replace(CARD, backbone="resnet34"), "has the backbone resnet18, not resnet34"),
        (replace(CARD, attributes=("x", "y", "z")), "none of the attributes of .*vaa rename"),
    ):
        with pytest.raises(VAAError, match=message) as caught:
            started(trained, card, path)
        assert "\n" not in str(caught.value)
