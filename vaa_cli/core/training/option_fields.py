"""The fields of `TrainingOptions`, taken apart: type, bounds, help and parser of each."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le

from vaa_cli.core.training.option_values import Help, Parse
from vaa_cli.core.training.options import TrainingOptions


@dataclass(frozen=True)
class OptionField:
    """One training option.

    Attributes:
        name: name of the field.
        type: its type, without None.
        is_optional: whether None stands for the recipe's value, or for a choice at run time.
        default: its default.
        lowest: lowest value, of a number with one.
        highest: highest value, of a number with one.
        help: its help; None for an option that has no switch on the command line.
        parser: makes a value of what people write; None for values that need none.
    """

    name: str
    type: Any
    is_optional: bool
    default: Any
    lowest: float | None
    highest: float | None
    help: Help | None
    parser: Parse | None


def _option_fields() -> Iterator[OptionField]:
    hints = get_type_hints(TrainingOptions, include_extras=True)
    for field in fields(TrainingOptions):
        hint, is_optional = hints[field.name], False
        if get_origin(hint) in (Union, UnionType):
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
            is_optional = True
        metadata: tuple[Any, ...] = ()
        if get_origin(hint) is Annotated:
            hint, *rest = get_args(hint)
            metadata = tuple(rest)
        lowest = [m.ge if isinstance(m, Ge) else m.gt for m in metadata if isinstance(m, Ge | Gt)]
        highest = [m.le for m in metadata if isinstance(m, Le)]
        yield OptionField(
            field.name,
            hint,
            is_optional,
            field.default,
            lowest=float(lowest[0]) if lowest else None,  # type: ignore[arg-type]
            highest=float(highest[0]) if highest else None,  # type: ignore[arg-type]
            help=next((m for m in metadata if isinstance(m, Help)), None),
            parser=next((m for m in metadata if isinstance(m, Parse)), None),
        )


OPTION_FIELDS = {field.name: field for field in _option_fields()}
