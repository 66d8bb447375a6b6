"""Training options from files, from `key=value` words, and from the run that goes on."""

import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from vaa_cli.core.errors import VAAError, brief, one_line
from vaa_cli.core.models.names import heads_problem
from vaa_cli.core.system.input_files import read_file
from vaa_cli.core.training.option_fields import OPTION_FIELDS
from vaa_cli.core.training.option_groups import ATTENTION_OPTIONS, CHANGEABLE
from vaa_cli.core.training.options import TrainingOptions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HINTS: dict[str, Any] = get_type_hints(TrainingOptions, include_extras=True)
# A model with the fields of the options, which checks types and bounds. Numbers are not read from
# text, and NaN and infinity are refused.
_FIELDS: dict[str, Any] = {
    name: (hint, OPTION_FIELDS[name].default) for name, hint in _HINTS.items()
}
_CHECK = create_model(
    "TrainingOptions", __config__=ConfigDict(strict=True, allow_inf_nan=False), **_FIELDS
)


def with_values(
    options: TrainingOptions, values: Mapping[str, object], source: str = ""
) -> TrainingOptions:
    """Options with some of them set to other values.

    Args:
        options: the options to start from.
        values: values by name; `batch-size` is as good as `batch_size`.
        source: where the values come from, for messages; empty for none.

    Raises:
        VAAError: there is no such option, or a value is wrong.
    """
    prefix = source and f"{source}: "
    given = {name.replace("-", "_"): value for name, value in values.items()}
    for name in given:
        if name not in OPTION_FIELDS:
            all_names = ", ".join(OPTION_FIELDS)
            nearest = difflib.get_close_matches(name, OPTION_FIELDS, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(nearest)}?" if nearest else f"one of {all_names}"
            raise VAAError(f"{prefix}no option {brief(name)}; {hint}")
    try:
        parsed = {name: _parsed(name, value) for name, value in given.items()}
        checked = _CHECK.model_validate(parsed)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        message = message[0].lower() + message[1:]
        raise VAAError(f"{prefix}{first['loc'][0]} = {brief(first['input'])}: {message}") from error
    except VAAError as error:
        raise VAAError(f"{prefix}{error}") from error
    return replace(options, **{name: getattr(checked, name) for name in given})


def checked_options(options: TrainingOptions) -> TrainingOptions:
    """Options whose values were checked, and parsed where they are text.

    Raises:
        VAAError: a value is wrong, or does not go with another.
    """
    checked = with_values(TrainingOptions(), asdict(options))
    default = TrainingOptions()
    changed = (
        name for name in ATTENTION_OPTIONS if getattr(checked, name) != getattr(default, name)
    )
    require_consistent(checked, changed)
    return checked


def require_consistent(options: TrainingOptions, named: Iterable[str]) -> None:
    """Check that options go together.

    Args:
        options: the options, each right by itself.
        named: names of those that the user chose.

    Raises:
        VAAError: an option has no effect, or cannot be, beside another.
    """
    if not options.resolved().stages:
        idle = sorted(ATTENTION_OPTIONS.intersection(named))
        if idle:
            raise VAAError(
                f"`stages` none has no attention for {' and '.join(f'`{name}`' for name in idle)}; "
                "leave that out, or name stages"
            )
        return
    problem = heads_problem(options.classifier, options.attention, options.confidence)
    if problem:
        raise VAAError(f"{problem}; choose another `classifier`, or leave `confidence` on")
    if options.history == 1:
        raise VAAError("`history` 1 has no deviation; name 2 epochs or more, or 0 for no history")


def _parsed(name: str, value: object) -> object:
    parser = OPTION_FIELDS[name].parser
    return value if parser is None else parser.function(value)


def read_option_file(path: Path) -> dict[str, object]:
    """The options in a TOML file, by name.

    Raises:
        VAAError: it cannot be read or is no TOML.
    """
    content = read_file(path)
    try:
        return _parse_toml(content.decode("utf-8-sig"))
    except ValueError as error:  # of TOML and of UTF-8
        raise VAAError(f"{path} is not a TOML file: {one_line(error)}") from error


def _parse_toml(text: str) -> dict[str, object]:
    """The values of a TOML text.

    Raises:
        ValueError: it is no TOML, or nested too deep.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """`key=value` words as values by name; a value is TOML's, or text as it stands.

    Raises:
        VAAError: a word has no `=`.
    """
    values: dict[str, object] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise VAAError(f"`set` {setting[:80]}: write it as key=value, such as hidden=256")
        try:
            values[name.strip()] = _parse_toml(f"value = {text}")["value"]
        except ValueError:
            values[name.strip()] = text.strip()
    return values


def started_options(kept: Mapping[str, Any], run: Path) -> TrainingOptions:
    """The options that a run was started with.

    Args:
        kept: the options by name, of whatever version of vaa.
        run: the run, for messages.

    Raises:
        VAAError: one of them is unknown, or of another kind.
    """
    if kept.get("loss") == "bce" and "weigh" not in kept:
        kept = {**kept, "loss_weights": "none"}  # earlier versions gave that loss no weights
    return with_values(TrainingOptions(), kept, str(run))


def resumed_options(
    kept: Mapping[str, Any], asked: TrainingOptions, named: Iterable[str], run: Path
) -> TrainingOptions:
    """The options of a run that is resumed.

    Args:
        kept: the options that the run was started with, by name.
        asked: the options that the user asks for now.
        named: names of those that the user named.
        run: the run, for messages.

    Raises:
        VAAError: the user asks for another training than the one that was started. More epochs are
            the same training.
    """
    started = started_options(kept, run)
    recipe = started.resolved()
    changed: dict[str, Any] = {}
    for name in named:
        before, now = getattr(started, name), getattr(asked, name)
        if before is None:  # the recipe's value
            before = getattr(recipe, name, None)
        is_growth = name == "epochs" and now is not None and before < now
        if not is_growth and before != now and name not in CHANGEABLE:
            raise VAAError(
                f"{run} was started with {name} {before}, not {now}, and a resumed training "
                "keeps what it learns by; leave that out, or start a new run"
            )
        changed[name] = now
    return replace(started, **changed)
