"""The options of `vaa train`, which are those of `TrainingOptions`."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer.main

from tests.helpers.command import run_without_torch
from vaa_cli.app import app
from vaa_cli.core.training.option_fields import OPTION_FIELDS
from vaa_cli.core.training.options import TrainingOptions
from vaa_cli.core.training.recipes import RECIPES

GROUP: Any = typer.main.get_command(app)
SWITCHES = {parameter.name: parameter for parameter in GROUP.commands["train"].params}
WITHOUT_SWITCH = {"hidden", "output_stride", "warmup", "momentum"}


def test_every_option_has_a_switch_but_four() -> None:
    names = {field.name for field in fields(TrainingOptions)}
    assert names - SWITCHES.keys() == WITHOUT_SWITCH
    assert set(OPTION_FIELDS) == names


@pytest.mark.parametrize("name", sorted(set(OPTION_FIELDS) - WITHOUT_SWITCH))
def test_a_switch_is_its_option(name: str) -> None:
    field, switch = OPTION_FIELDS[name], SWITCHES[name]
    assert f"--{name.replace('_', '-')}" in switch.opts
    assert field.help is not None and switch.help.startswith(field.help.text)
    if field.type is bool:
        assert switch.secondary_opts == [f"--no-{name.replace('_', '-')}"]
    if field.parser is None:
        assert switch.default == field.default
    else:
        assert field.parser.function(switch.default) == field.default


@pytest.mark.parametrize(
    "name", sorted(name for name, field in OPTION_FIELDS.items() if field.lowest is not None)
)
def test_a_value_out_of_bounds_is_refused(tmp_path: Path, name: str) -> None:
    field = OPTION_FIELDS[name]
    assert field.lowest is not None
    if name in WITHOUT_SWITCH:
        words = ["--set", f"{name}={field.lowest - 1:g}"]
    else:
        words = [f"--{name.replace('_', '-')}", f"{field.lowest - 1:g}"]
    outcome = run_without_torch("train", *words, cwd=tmp_path)
    assert outcome.code == 2
    line = outcome.err.splitlines()[-1]
    assert line.startswith("error: ")
    assert name.replace("_", "-") in line or name in line or "length of time" in line


@pytest.mark.parametrize("name", ["epochs", "batch_size", "lr", "weight_decay", "patience"])
def test_help_has_the_defaults_of_the_recipes(name: str) -> None:
    values = {recipe: f"{getattr(RECIPES[recipe], name):g}" for recipe in RECIPES}
    default = values["default"]
    differing = [f"{recipe}: {value}" for recipe, value in values.items() if value != default]
    assert f"Default: {'; '.join([default, *differing])}." in SWITCHES[name].help


def test_help_shows_a_default_as_people_write_it(tmp_path: Path) -> None:
    text = run_without_torch("train", "--help", cwd=tmp_path).out
    for default in ("10m", "resnet"):
        assert f"[default: {default}]" in text
    assert "Default: 224x224; par-baseline: 256x192." in (SWITCHES["image_size"].help or "")
    assert "Default: 3,4; par-baseline: none." in (SWITCHES["stages"].help or "")
