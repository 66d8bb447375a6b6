"""Options of a training: as text, in files, by --set, kept in a run folder, and what they mean."""

import json
import math
import re
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import read_card
from vaa_cli.core.runs.lookup import STARTER
from vaa_cli.core.training.option_groups import CHANGEABLE
from vaa_cli.core.training.option_sources import (
    checked_options,
    parse_settings,
    read_option_file,
    require_consistent,
    resumed_options,
    with_values,
)
from vaa_cli.core.training.option_values import parse_duration, parse_image_size, parse_stages
from vaa_cli.core.training.options import OPTION_NAMES, TrainingOptions
from vaa_cli.core.training.recipes import RECIPES
from vaa_cli.core.training.trained_weights import like_trained

DEFAULTS = TrainingOptions()
RUN = Path("runs") / "first"

# For each option a value that is not the default, as TOML would write it.
OTHER_VALUES: dict[str, Any] = {
    "backbone": "densenet121", "weights": "none", "image_size": [256, 128], "stages": [2, 4],
    "classifier": "residual", "attention": "uniform", "confidence": False, "hidden": 64,
    "output_stride": 16, "attention_loss_weight": 0.5, "weigh": "all",
    "loss": "bce", "attention_loss": "focal",
    "gamma": 1.5, "loss_weights": "label", "history": 7, "burn_in": 0, "recipe": "paper",
    "epochs": 3, "batch_size": 6, "accumulate": 2, "lr": 0.01, "weight_decay": 0.0,
    "warmup": 0.25, "momentum": 0.5, "clip_norm": 1.0, "patience": 4, "best_by": "mA",
    "ema": 0.99, "sync_bn": True, "seed": 5, "deterministic": True, "cache": "ram",
    "skip_bad_steps": 4, "device": "cpu", "precision": "fp32", "compile": True, "workers": 0,
    "save_every": 90.0, "keep": 3, "tensorboard": False, "calibrate": False, "augment": "none",
    "mirror": False, "jitter": 0.2, "erase": 0.5, "backbone_lr_scale": 0.1,
    "shuffle_buffer": 100,
}  # fmt: skip

PROPERTY = settings(deadline=None, derandomize=True)

# Whole options, drawn option by option from what each permits.
share = st.floats(0, 1, exclude_max=True)
rate = st.floats(0, 1e6)
OPTIONS = st.builds(
    TrainingOptions,
    backbone=st.sampled_from(["resnet18", "wide_resnet50_2", "densenet201"]),
    weights=st.text(),
    image_size=st.tuples(st.integers(32, 4096), st.integers(32, 4096)),
    stages=st.sets(st.sampled_from([2, 3, 4]), min_size=1).map(lambda s: tuple(sorted(s))),
    classifier=st.sampled_from(["spatial", "spatial-full", "pooled"]),
    hidden=st.integers(1, 4096),
    loss=st.sampled_from(["focal", "bce"]),
    attention_loss=st.sampled_from(["focal", "bce"]),
    gamma=rate,
    loss_weights=st.sampled_from(["prior", "label", "none"]),
    history=st.integers(2, 100),
    burn_in=st.integers(0),
    recipe=st.sampled_from(["default", "paper"]),
    epochs=st.none() | st.integers(1),
    batch_size=st.none() | st.integers(2),
    accumulate=st.integers(1),
    lr=st.none() | rate,
    weight_decay=st.none() | rate,
    warmup=st.floats(0, 1),
    momentum=share,
    clip_norm=st.none() | rate,
    patience=st.none() | st.integers(0),
    best_by=st.sampled_from(["mA", "mAP"]),
    shuffle_buffer=st.integers(1),
    ema=share,
    sync_bn=st.booleans(),
    seed=st.integers(0),
    deterministic=st.booleans(),
    cache=st.sampled_from(["none", "ram"]),
    skip_bad_steps=st.integers(0),
    device=st.text(),
    precision=st.sampled_from(["auto", "fp32", "bf16", "fp16"]),
    compile=st.booleans(),
    workers=st.none() | st.integers(0, 64),
    save_every=rate,
    keep=st.integers(1),
    tensorboard=st.none() | st.booleans(),
)


def as_held(value: Any) -> Any:
    """A value as options hold it: the lists of TOML are tuples there."""
    return tuple(value) if isinstance(value, list) else value


def refusal(values: dict[str, object], where: str = "here.toml") -> str:
    """The line in which values are refused; it begins with the place."""
    with pytest.raises(VAAError) as caught:
        with_values(DEFAULTS, values, where)
    message = str(caught.value)
    assert len(message.splitlines()) == 1, message
    assert message.startswith(f"{where}: "), message
    return message.removeprefix(f"{where}: ")


# Values as text


@PROPERTY
@given(height=st.integers(32, 10**6), width=st.integers(32, 10**6), x=st.sampled_from("xX"))
def test_image_size(height: int, width: int, x: str) -> None:
    assert parse_image_size(f"{height}{x}{width}") == (height, width)
    assert parse_image_size(f"{height}") == (height, height)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "224x",
        "x224",
        "224x224x3",
        "-32",
        "-64x-64",
        "64.0",
        "1e2",
        "64,64",
        "big",
        "64×64",
    ],
)
def test_no_image_size(text: str) -> None:
    with pytest.raises(VAAError, match=re.escape(repr(text)) + ".*256x128"):
        parse_image_size(text)


@PROPERTY
@given(short=st.integers(0, 31), long=st.integers(32, 1000))
def test_image_size_too_small(short: int, long: int) -> None:
    for text in (f"{short}", f"{short}x{long}", f"{long}x{short}"):
        with pytest.raises(VAAError, match=f"{text}.*32 pixels"):
            parse_image_size(text)


@PROPERTY
@given(st.permutations([2, 3, 4]), st.integers(1, 3), st.sampled_from([",", ", ", " ,"]))
def test_stages(order: list[int], count: int, comma: str) -> None:
    chosen = order[:count]
    assert parse_stages(comma.join(map(str, chosen))) == tuple(sorted(chosen))


@pytest.mark.parametrize(
    "text", ["", ",", "3,", "1", "5", "2,3,4,5", "3,3", "3 4", "34", "3;4", "-3", "03", "3.0"]
)
def test_no_stages(text: str) -> None:
    with pytest.raises(VAAError, match=re.escape(repr(text)) + ".*2, 3 and 4"):
        parse_stages(text)


@PROPERTY
@given(
    number=st.decimals(0, 10**6, places=3).map(str) | st.integers(0, 10**9).map(str),
    unit=st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600), ("H", 3600)]),
    space=st.sampled_from(["", " "]),
)
def test_duration(number: str, unit: tuple[str, int], space: str) -> None:
    letter, seconds = unit
    expected = float(number) * seconds
    assert parse_duration(f"{space}{number}{space}{letter}{space}") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90.0), ("10m", 600.0), ("1.5h", 5400.0), ("7", 7.0), ("0", 0.0)]
)
def test_duration_by_hand(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "s",
        "-1",
        "-1s",
        "1d",
        "1h30m",
        "5.",
        ".5h",
        "1e3",
        "inf",
        "nan",
        "1,5h",
        "ten",
        "1ms",
    ],
)
def test_no_duration(text: str) -> None:
    with pytest.raises(VAAError, match=re.escape(repr(text)) + ".*10m"):
        parse_duration(text)


# Values by name


def test_every_option_has_another_value_here() -> None:
    assert set(OTHER_VALUES) == set(OPTION_NAMES) == {f.name for f in fields(TrainingOptions)}
    for name, value in OTHER_VALUES.items():
        assert value != getattr(DEFAULTS, name), name


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_each_option_alone_by_either_spelling(name: str) -> None:
    value = OTHER_VALUES[name]
    expected = replace(DEFAULTS, **{name: as_held(value)})
    assert with_values(DEFAULTS, {name: value}, "here") == expected
    assert with_values(DEFAULTS, {name.replace("_", "-"): value}, "here") == expected
    # What is not named stays, whatever it is.
    everything = with_values(DEFAULTS, OTHER_VALUES, "here")
    back = with_values(everything, {name: getattr(DEFAULTS, name)}, "here")
    assert back == replace(everything, **{name: getattr(DEFAULTS, name)})


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_each_default_passes_its_own_check(name: str) -> None:
    assert with_values(DEFAULTS, {name: getattr(DEFAULTS, name)}, "here") == DEFAULTS


@PROPERTY
@given(OPTIONS)
def test_options_come_back_from_json(options: TrainingOptions) -> None:
    kept = json.loads(json.dumps(asdict(options)))
    for start in (DEFAULTS, with_values(DEFAULTS, OTHER_VALUES, "here")):
        back = with_values(start, kept, "config.json")
        assert back == options
        assert type(back.stages) is tuple and type(back.image_size) is tuple


@PROPERTY
@given(OPTIONS, st.sets(st.sampled_from(sorted(OTHER_VALUES))))
def test_later_values_win(options: TrainingOptions, names: set[str]) -> None:
    first = with_values(DEFAULTS, asdict(options), "file")
    second = with_values(first, {name: OTHER_VALUES[name] for name in names}, "--set")
    for name in OPTION_NAMES:
        value = OTHER_VALUES[name] if name in names else getattr(options, name)
        found = getattr(second, name)
        assert found == as_held(value), name
    assert first == options


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("image_size", "256x128", (256, 128)), ("image_size", "64", (64, 64)),
        ("stages", "4,2", (2, 4)), ("stages", "3", (3,)), ("stages", [4, 3], (3, 4)),
        ("save_every", "10m", 600.0), ("save_every", "0", 0.0), ("save_every", 90, 90.0),
        ("backbone", "resnet", "resnet101"), ("backbone", "DenseNet", "densenet201"),
        ("lr", 1, 1.0),
    ],
)  # fmt: skip
def test_values_as_people_write_them(name: str, text: object, value: object) -> None:
    assert getattr(with_values(DEFAULTS, {name: text}, "here"), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 0), ("hidden", 3.5), ("hidden", "many"), ("hidden", None), ("hidden", [64]),
        ("gamma", -0.1), ("gamma", "x"), ("history", -1), ("history", 101), ("burn_in", -1),
        ("epochs", 0), ("epochs", "all"), ("batch_size", 1), ("accumulate", 0),
        ("lr", -1e-9), ("lr", math.nan), ("lr", "fast"), ("weight_decay", -1), ("warmup", 1.01),
        ("warmup", -0.01), ("momentum", 1), ("momentum", -0.5),
        ("clip_norm", -1), ("patience", -1), ("ema", 1.0), ("ema", -0.1), ("seed", -1),
        ("seed", "lucky"), ("sync_bn", "perhaps"), ("deterministic", None), ("compile", 2),
        ("skip_bad_steps", -1), ("workers", -1), ("keep", 0), ("save_every", -1),
        ("tensorboard", "perhaps"), ("weights", 3), ("device", None), ("precision", 16),
        ("backbone", 50), ("stages", {"a": 1}), ("classifier", "space"),
        ("loss", "mse"), ("attention_loss", "Focal"), ("loss_weights", "a\nb"),
        ("recipe", "papers"), ("best_by", "ma"), ("cache", True),
    ],
)  # fmt: skip
def test_a_wrong_value_is_reported_with_its_name_and_place(name: str, value: object) -> None:
    message = refusal({"hidden": 8, name: value})
    assert message.startswith(f"{name} = {value!r}: "), message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("image_size", "16", "'16'"), ("image_size", [16, 64], "image_size = 16"),
        ("image_size", [64], "image_size"), ("image_size", [64, 64, 3], "image_size"),
        ("stages", "5", "'5'"), ("stages", [1, 2], "stages '1,2'"),
        ("stages", [3, 3], "stages '3,3'"), ("save_every", "soon", "'soon'"),
        ("backbone", "resnt50", "did you mean resnet50"), ("backbone", "", "unknown backbone"),
    ],
)  # fmt: skip
def test_a_value_with_a_form_of_its_own_is_refused(name: str, value: object, expected: str) -> None:
    assert expected in refusal({name: value})


def test_without_a_place_the_message_names_none() -> None:
    for values in ({"hidden": 0}, {"hiden": 1}, {"stages": "5"}):
        with pytest.raises(VAAError) as caught:
            with_values(DEFAULTS, values, "")
        assert not str(caught.value).startswith((":", " "))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("hiden", "hidden"), ("batchsize", "batch_size"), ("batch-sise", "batch_size"),
     ("tensor-board", "tensorboard"), ("Seed", "seed")],
)  # fmt: skip
def test_an_unknown_option_is_reported_with_the_nearest(name: str, nearest: str) -> None:
    message = refusal({"hidden": 8, name: 8})
    assert repr(name.replace("-", "_")) in message
    assert nearest in message.partition("did you mean ")[2]


def test_an_option_that_is_like_none_is_reported_with_all() -> None:
    message = refusal({"zzz": 1})
    assert all(known in message for known in OPTION_NAMES)


@PROPERTY
@given(st.text(max_size=20).filter(lambda name: name.replace("-", "_") not in OPTION_NAMES))
def test_unknown_options_of_any_name_are_reported_in_one_line(name: str) -> None:
    assert "no option" in refusal({name: 1})


# Option files


def test_an_option_file(tmp_path: Path) -> None:
    path = tmp_path / "o.toml"
    path.write_text(
        "# mine\nbackbone = 'resnet50'\nimage-size = [256, 128]\nlr = 1e-3\nsync_bn = true\n"
        "save-every = '5m'\n",
        encoding="utf-8",
    )
    values = read_option_file(path)
    assert values == {
        "backbone": "resnet50", "image-size": [256, 128], "lr": 1e-3, "sync_bn": True,
        "save-every": "5m",
    }  # fmt: skip
    assert with_values(DEFAULTS, values, str(path)) == replace(
        DEFAULTS,
        backbone="resnet50",
        image_size=(256, 128),
        lr=1e-3,
        sync_bn=True,
        save_every=300.0,
    )


def test_an_empty_option_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "o.toml").touch()
    assert with_values(DEFAULTS, read_option_file(tmp_path / "o.toml"), "o") == DEFAULTS


def test_a_table_in_an_option_file_is_no_option(tmp_path: Path) -> None:
    (tmp_path / "o.toml").write_text("[train]\nhidden = 3\n")
    assert "no option 'train'" in refusal(read_option_file(tmp_path / "o.toml"))


@pytest.mark.parametrize("name", ["none.toml", "folder", "file/o.toml"])
def test_an_option_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(VAAError) as caught:
        read_option_file(tmp_path / name)
    assert str(caught.value).startswith(f"cannot read {tmp_path / name}: ")


@pytest.mark.parametrize(
    "content",
    [b"hidden 3", b"hidden = ", b"hidden = 3\nhidden = 4", b"\xff\xfe", b"w = 'caf\xe9'", b"{}"],
)
def test_an_option_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "o.toml"
    path.write_bytes(content)
    with pytest.raises(VAAError) as caught:
        read_option_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is not a TOML file: ")
    assert len(message.splitlines()) == 1


# --set


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("hidden=64", "hidden", 64), ("lr=1e-3", "lr", 1e-3), ("lr = 0.5 ", "lr", 0.5),
        ("sync_bn=true", "sync_bn", True), ("device='cuda:1'", "device", "cuda:1"),
        ('device="cuda:1"', "device", "cuda:1"), ("device=cuda:1", "device", "cuda:1"),
        ("image-size=[64, 32]", "image-size", [64, 32]),
        ("image-size=64x32", "image-size", "64x32"),
        ("stages=3,4", "stages", "3,4"), ("save-every=10m", "save-every", "10m"),
        ("weights=a=b.pt", "weights", "a=b.pt"), ("weights= my file ", "weights", "my file"),
        ("weights=", "weights", ""), ("weights='10'", "weights", "10"),
        ("loss_weights=none", "loss_weights", "none"), ("sync_bn=True", "sync_bn", "True"),
    ],
)  # fmt: skip
def test_a_setting(word: str, name: str, value: object) -> None:
    (found,) = parse_settings([word]).items()
    assert found == (name, value)
    assert type(found[1]) is type(value)


def test_later_settings_win() -> None:
    assert parse_settings(["a=1", "b=2", "a=3"]) == {"a": 3, "b": 2}
    assert parse_settings([]) == {}


@pytest.mark.parametrize("word", ["hidden", "", "=3", " =3", "hidden:3", "--hidden"])
def test_a_setting_without_a_name_or_a_value(word: str) -> None:
    with pytest.raises(VAAError, match=re.escape(f"`set` {word}: ") + ".*key=value"):
        parse_settings(["keep=2", word])


@pytest.mark.parametrize("name", sorted(OTHER_VALUES))
def test_each_option_can_be_set(name: str) -> None:
    value = OTHER_VALUES[name]
    # Numbers, booleans and lists are written alike in JSON and TOML; strings stand bare.
    word = f"{name}={value if isinstance(value, str) else json.dumps(value)}"
    expected = with_values(DEFAULTS, {name: value}, "here")
    assert with_values(DEFAULTS, parse_settings([word]), "--set") == expected != DEFAULTS


# What a resumed training keeps


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    """The options of a run as its config.json has them."""
    started = with_values(DEFAULTS, OTHER_VALUES, "here")
    loaded: dict[str, Any] = json.loads(json.dumps(asdict(started)))
    return loaded


def test_a_resumed_training_is_the_one_that_was_started(kept: dict[str, Any]) -> None:
    # What the user asks for now is all defaults, but nothing of it was named.
    assert resumed_options(kept, DEFAULTS, [], RUN) == with_values(DEFAULTS, kept, "")


@pytest.mark.parametrize("name", sorted(OTHER_VALUES))
def test_an_option_named_again_with_its_value_is_fine(kept: dict[str, Any], name: str) -> None:
    asked = with_values(DEFAULTS, {name: OTHER_VALUES[name]}, "here")
    assert resumed_options(kept, asked, [name], RUN) == with_values(DEFAULTS, kept, "")


def test_what_may_change_is_how_not_what() -> None:
    assert set(CHANGEABLE) == {
        "patience", "calibrate", "skip_bad_steps", "device", "precision", "compile", "workers",
        "save_every", "keep", "tensorboard",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(OTHER_VALUES))
def test_an_option_named_with_another_value(kept: dict[str, Any], name: str) -> None:
    if name in CHANGEABLE:
        expected = replace(with_values(DEFAULTS, kept, ""), **{name: getattr(DEFAULTS, name)})
        assert resumed_options(kept, DEFAULTS, [name], RUN) == expected
        return
    if name == "epochs":  # the recipe has more of them
        assert resumed_options(kept, replace(DEFAULTS, epochs=30), [name], RUN).epochs == 30
        return
    with pytest.raises(VAAError) as caught:
        resumed_options(kept, DEFAULTS, [name], RUN)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    for part in (str(RUN), name, str(getattr(DEFAULTS, name))):
        assert part in message


def test_options_of_an_older_run_have_defaults() -> None:
    assert resumed_options({"hidden": 8}, DEFAULTS, [], RUN) == replace(DEFAULTS, hidden=8)


@pytest.mark.parametrize("broken", [{"hidden": "no"}, {"flux": 3}, {"stages": [9]}])
def test_broken_options_of_a_run_are_reported_with_the_run(broken: dict[str, Any]) -> None:
    with pytest.raises(VAAError, match=f"^{re.escape(str(RUN))}: "):
        resumed_options(broken, DEFAULTS, [], RUN)


# Recipes


def test_the_default_recipe() -> None:
    recipe = DEFAULTS.resolved()
    assert (recipe.optimizer, recipe.epochs, recipe.batch_size) == ("adamw", 30, 32)
    assert (recipe.lr, recipe.weight_decay, recipe.patience) == (3e-4, 0.05, 0)


def test_the_recipe_of_the_paper() -> None:
    recipe = replace(DEFAULTS, recipe="paper").resolved()
    assert (recipe.optimizer, recipe.epochs, recipe.batch_size) == ("sgd", 100, 24)
    assert (recipe.lr, recipe.weight_decay) == (1e-4, 5e-4)


@PROPERTY
@given(OPTIONS)
def test_what_the_user_chose_is_in_the_recipe(options: TrainingOptions) -> None:
    recipe = options.resolved()
    untouched = TrainingOptions(recipe=options.recipe).resolved()
    assert recipe.optimizer == untouched.optimizer
    for name in ("epochs", "batch_size", "lr", "weight_decay", "patience"):
        chosen = getattr(options, name)
        assert getattr(recipe, name) == (getattr(untouched, name) if chosen is None else chosen)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_zero_is_a_choice(recipe: str) -> None:
    zeros = {"recipe": recipe, "lr": 0, "weight_decay": 0, "patience": 0}
    resolved = with_values(DEFAULTS, zeros, "here").resolved()
    assert (resolved.lr, resolved.weight_decay, resolved.patience) == (0, 0, 0)


def test_numbers_alone_are_stages_and_sizes() -> None:
    values = parse_settings(["stages=3", "image-size=64"])
    options = with_values(TrainingOptions(), values, "--set")
    assert (options.stages, options.image_size) == ((3,), (64, 64))


def test_a_resumed_training_may_name_what_the_recipe_has() -> None:
    kept = asdict(TrainingOptions())
    asked = TrainingOptions(epochs=RECIPES["default"].epochs)
    assert resumed_options(kept, asked, ["epochs"], Path("run")).resolved().epochs == asked.epochs


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"stages": "none", "classifier": "residual"},
            "`stages` none has no attention for `classif",
        ),
        ({"recipe": "par-baseline", "history": 3}, "`stages` none has no attention for `history`"),
        ({"classifier": "pooled", "confidence": False}, "pooled classifier is made of the confid"),
        (
            {"classifier": "spatial", "attention": "uniform", "confidence": False},
            "has nothing of the picture in it",
        ),
        ({"history": 1}, "`history` 1 has no deviation"),
    ],
)
def test_options_that_do_not_go_together(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(VAAError, match=problem):
        checked_options(with_values(TrainingOptions(), values))


def test_an_idle_option_that_was_named_is_refused() -> None:
    baseline = with_values(TrainingOptions(), {"stages": "none"})
    require_consistent(baseline, ["stages", "loss", "gamma"])
    with pytest.raises(VAAError, match="no attention for `burn_in` and `hidden`"):
        require_consistent(baseline, ["hidden", "burn_in"])  # though they have their defaults


def test_weights_go_with_the_loss_and_the_recipe() -> None:
    focal, plain = TrainingOptions(), TrainingOptions(loss="bce")
    weighted = TrainingOptions(loss="bce", loss_weights="label")
    baseline = TrainingOptions(recipe="par-baseline")
    weights = [o.resolved().loss_weights for o in (focal, plain, weighted, baseline)]
    assert weights == ["prior", "none", "label", "label"]
    assert (baseline.resolved().stages, baseline.resolved().image_size) == ((), (256, 192))


def test_a_training_is_like_the_run_that_it_starts_from() -> None:
    options = with_values(TrainingOptions(), {"weights": "starter", "image_size": "64x32"})
    like = like_trained(options, {"weights", "image_size"})
    card = read_card(STARTER / "best.safetensors")
    assert (like.backbone, like.classifier, like.hidden) == (
        card.backbone, card.classifier, card.hidden,
    )  # fmt: skip
    assert like.resolved().stages == card.stages
    assert like.image_size == (64, 32) != card.image_size
    plain = like_trained(replace(options, stages=()), {"stages"})
    assert plain.backbone == card.backbone
    require_consistent(checked_options(plain), [])
    assert like_trained(TrainingOptions(weights="none"), ()) == TrainingOptions(weights="none")
