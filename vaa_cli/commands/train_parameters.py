"""The options of `vaa train`, generated from the fields of `TrainingOptions`."""

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from vaa_cli.core.training.option_fields import OPTION_FIELDS, OptionField

Command = Callable[..., None]


def with_training_options(command: Command, without: Collection[str] = ()) -> Command:
    """Add an option for each training option that has help to a command.

    The command gets them as keyword arguments; which of them the user typed, the context knows.
    Types, bounds, defaults and help stand in `TrainingOptions` alone.

    Args:
        command: the command.
        without: names of options that it does not have.
    """
    signature = inspect.signature(command)
    fixed = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    wanted = [f for f in OPTION_FIELDS.values() if f.help and f.name not in without]
    generated = [_parameter(field) for field in wanted]
    command.__signature__ = signature.replace(parameters=[*fixed, *generated])  # type: ignore[attr-defined]
    command.__annotations__ = {
        parameter.name: parameter.annotation for parameter in (*fixed, *generated)
    }
    return command


def _parameter(field: OptionField) -> inspect.Parameter:
    assert field.help is not None
    switch = f"--{field.name.replace('_', '-')}"
    # What people write as text is parsed by core, which also knows the words for what is wrong.
    kind = str if field.parser is not None else field.type
    bounds = [field.lowest, field.highest]
    if kind is int:
        bounds = [None if bound is None else int(bound) for bound in bounds]
    default = field.default if field.help.default is None else field.help.default
    option = typer.Option(
        f"{switch}/--no-{switch[2:]}" if field.type is bool else switch,
        help=field.help.text,
        rich_help_panel=field.help.panel or None,
        min=bounds[0] if kind in (int, float) else None,
        max=bounds[1] if kind in (int, float) else None,
        show_default=not field.is_optional,
    )
    annotation: Any = Annotated[kind | None if field.is_optional else kind, option]
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
