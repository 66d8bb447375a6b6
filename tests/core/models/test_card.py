"""Model files from anywhere: a card that cannot be is refused in one line."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from tests.helpers.model_cards import make_card
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import METADATA, SCHEMA, ModelCard, is_model, read_card
from vaa_cli.core.models.model_file import load_model, new_model, save_model

CARD = make_card(
    ("hat", "bag"),
    thresholds=(0.5, 0.25),
    priors=(0.5, None),
    hidden=16,
    data="prepared",
    validation={"mA": 0.5, "mAP": None},
    temperatures=(1.0, 2.0),
    groups={"worn": ("hat", "bag")},
)
WRONG: list[tuple[str, Any]] = [
    ("attributes", []), ("attributes", ["hat", "hat"]), ("attributes", ["hat", ""]),
    ("attributes", ["hat", 3]), ("attributes", "hat"), ("attributes", None),
    ("attributes", ["hat"]), ("thresholds", [0.5]), ("thresholds", [0.5, "x"]),
    ("thresholds", [0.5, None]), ("thresholds", [0.5, True]), ("thresholds", 0.5),
    ("priors", [0.5]), ("priors", [0.5, "x"]), ("image_size", [64]), ("image_size", [64, 0]),
    ("image_size", [64.0, 32.0]), ("image_size", [1 << 40, 32]), ("image_size", "64x32"),
    ("mean", [0.5]), ("mean", None), ("std", [0.0, 0.0, 0.0]), ("std", [1.0, 1.0, -1.0]),
    ("std", [1e999, 1.0, 1.0]), ("stages", [3, 3]), ("stages", [7]),
    ("stages", 3), ("classifier", "other"), ("classifier", []), ("hidden", 0), ("hidden", "16"),
    ("hidden", 1 << 40), ("data", 3), ("epoch", -1), ("epoch", "first"), ("validation", []),
    ("validation", {"mA": "good"}), ("box_margin", -1), ("box_margin", "0"),
    ("output_stride", 8), ("temperatures", [1.0]), ("temperatures", [0.0, 1.0]),
    ("temperatures", None), ("backbone", None), ("backbone", "vgg16"), ("unknown", 1),
    ("groups", []), ("groups", {"a": ["hat"]}), ("groups", {"a": ["hat", "cap"]}),
    ("groups", {"a": "hat"}), ("groups", {"a": ["hat", "bag"], "b": ["hat", "bag"]}),
    ("groups", {"a": ["hat", 3]}), ("groups", {"a": ["hat", ["bag"]]}),
]  # fmt: skip


def write(path: Path, card: Any, model: ModelCard = CARD) -> Path:
    tensors = {name: value.contiguous() for name, value in new_model(model).state_dict().items()}
    save_file(tensors, path, {METADATA: card if isinstance(card, str) else json.dumps(card)})
    return path


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    return {"schema": SCHEMA, **asdict(CARD)}


def test_a_card_comes_back(tmp_path: Path) -> None:
    save_model(tmp_path / "a.safetensors", new_model(CARD), CARD)
    assert read_card(tmp_path / "a.safetensors") == CARD
    assert is_model((tmp_path / "a.safetensors").read_bytes()[:200])
    save_file({"w": torch.zeros(2)}, tmp_path / "b.safetensors", {"format": "pt"})
    assert not is_model((tmp_path / "b.safetensors").read_bytes()[:200])


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda value: str(value)[:20])
def test_a_field_that_cannot_be(
    tmp_path: Path, fields: dict[str, Any], name: str, value: Any
) -> None:
    path = write(tmp_path / "a.safetensors", {**fields, name: value})
    with pytest.raises(VAAError) as caught:
        load_model(path)
    assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert name in str(caught.value) or value in ("vgg16",) or name == "attributes"


@pytest.mark.parametrize("text", ["", "[]", "3", "null", "{", "[" * 100_000, '{"schema": 1}'])
def test_a_card_that_is_no_object(tmp_path: Path, text: str) -> None:
    with pytest.raises(VAAError, match="is not a model of vaa"):
        read_card(write(tmp_path / "a.safetensors", text))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(asdict(CARD))),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    ),
)
def test_whatever_stands_in_a_field_is_a_card_or_an_error(name: str, value: Any) -> None:
    text = json.dumps({"schema": SCHEMA, **asdict(CARD), name: value})
    try:
        card = ModelCard.from_json(text)
    except ValueError:
        return
    assert ModelCard.from_json(card.to_json()) == card


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    model = new_model(CARD)
    with torch.no_grad():
        next(model.parameters())[0] = value
    save_model(tmp_path / "a.safetensors", model, CARD)
    with pytest.raises(VAAError, match="weights that are no numbers"):
        load_model(tmp_path / "a.safetensors")


def test_weights_of_another_model(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = write(tmp_path / "a.safetensors", {**fields, "hidden": 32})
    with pytest.raises(VAAError, match="is not a model of vaa"):
        load_model(path)
    path = write(tmp_path / "b.safetensors", fields, replace(CARD, attributes=("a", "b", "c")))
    with pytest.raises(VAAError, match="is not a model of vaa"):
        load_model(path)
