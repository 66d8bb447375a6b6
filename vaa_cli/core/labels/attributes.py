"""Choosing and regrouping a table's attributes, by a list or a YAML or JSON file."""

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vaa_cli.core.errors import VAAError, brief, one_line
from vaa_cli.core.labels.groups import member_name, remaining_groups
from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED, LabelTable
from vaa_cli.core.system.input_files import parse_json, read_text

_LOGGER = logging.getLogger(__name__)

ALL = "all"
# Wrong cells that are listed.
_LISTED = 20
_FILES = (".yaml", ".yml", ".json")

# New names in their order, each with the old ones that it joins.
Choice = Mapping[str, Sequence[str]]


def choose_attributes(table: LabelTable, request: str | None) -> LabelTable:
    """The table with the attributes asked for.

    Args:
        table: the rows.
        request: names with commas between them; a YAML or JSON file with a list of names, or with
            a mapping of new names to an old one or a list of old ones; `all`; or None for those
            that the dataset's benchmark scores. A joined attribute is present where any of the
            old ones is, absent where all of them are absent, and else unspecified.

    Raises:
        VAAError: the file cannot be read or is of another form, or it names what the table lacks.
    """
    choice: Choice
    everything = {name: [name] for name in table.attributes}
    if request is None and table.benchmark:
        choice, place = {name: [name] for name in table.benchmark}, "the benchmark's attributes"
    elif request is None or request == ALL:
        choice, place = everything, ALL
    elif request.lower().endswith(_FILES):
        choice, place = _read(Path(request)), request
    else:
        names = _with_words(request.split(","), table.attributes)
        choice, place = _from_list(names, "`attributes`"), "`attributes`"
    _require_labels(table, {old for olds in choice.values() for old in olds})
    if list(choice.items()) == list(everything.items()):
        return replace(table, benchmark=None, problems={})
    columns = {name: column for column, name in enumerate(table.attributes)}
    labels = np.empty((len(table), len(choice)), dtype=np.int8)
    for position, (new, olds) in enumerate(choice.items()):
        for old in olds:
            if old not in columns:
                raise VAAError(_unknown(old, new, table.attributes, place))
        chosen = table.labels[:, [columns[old] for old in olds]]
        labels[:, position] = np.where(
            (chosen == PRESENT).any(axis=1),
            PRESENT,
            np.where((chosen == ABSENT).all(axis=1), ABSENT, UNSPECIFIED),
        )
    # An attribute that joins several is none of their group.
    kept = [new for new, olds in choice.items() if list(olds) == [new]]
    return replace(
        table,
        attributes=tuple(choice),
        labels=labels,
        benchmark=None,
        groups=remaining_groups(table.groups, kept),
        problems={},
    )


def _with_words(names: Sequence[str], attributes: Sequence[str]) -> list[str]:
    """Names of attributes, with those of all its words for a column of words."""
    found: list[str] = []
    for name in names:
        words = [one for one in attributes if one.startswith(member_name(name.strip(), ""))]
        found += words if words and name.strip() not in attributes else [name]
    return found


def _require_labels(table: LabelTable, chosen: Container[str]) -> None:
    """Check that the cells of chosen attributes are labels; logs the first of those that are not.

    Raises:
        VAAError: one is not.
    """
    found = [text for name, texts in table.problems.items() if name in chosen for text in texts]
    wrong = list(dict.fromkeys(found))  # words of one column have the same
    if len(wrong) > 1:
        for text in wrong[:_LISTED]:
            _LOGGER.warning("%s", text)
        raise VAAError(f"{len(wrong)} kinds of cells are no labels, such as {wrong[0]}")
    if wrong:
        raise VAAError(wrong[0])


def positions_of(request: str, attributes: Sequence[str], place: str = "`attributes`") -> list[int]:
    """The positions of some of a model's attributes, in the order in which they are asked for.

    Args:
        request: names with commas between them.
        attributes: the model's.
        place: the origin of the request, for messages.

    Raises:
        VAAError: the model has no such attribute, or one is named twice.
    """
    names = [*_from_list(request.split(","), place)]
    for name in names:
        if name not in attributes:
            raise VAAError(_unknown(name, name, attributes, place, "model"))
    return [attributes.index(name) for name in names]


def _unknown(old: str, new: str, there: Sequence[str], place: str, whose: str = "dataset") -> str:
    entry = f"{place}: " if old == new else f"{place}, {new!r}: "
    close = get_close_matches(old, there, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(there[:8])} …"
    return f"{entry}the {whose} has no attribute {old!r}; {hint}"


def _read(path: Path) -> Choice:
    text = read_text(path)
    try:
        if path.suffix.lower() == ".json":
            content = parse_json(text, _object)
        else:
            # Every scalar is text to this loader: an attribute may be called No, on or 1e3. The
            # loader's base makes no objects of any class.
            content = yaml.load(text, Loader=_TextLoader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise VAAError(f"{path} is not {path.suffix[1:].upper()}: {one_line(error)}") from error
    except _RepeatedKeyError as error:
        raise VAAError(f"{path} names {error.args[0]!r} twice; join the old names in one") from None
    if isinstance(content, list):
        return _from_list(content, str(path))
    if not isinstance(content, dict) or not content:
        raise VAAError(f"{path} is neither a list of attributes nor new names with old ones")
    choice = {}
    for new, olds in content.items():
        names = [olds] if isinstance(olds, str) else olds
        if not isinstance(names, list) or not names or not all(_is_name(name) for name in names):
            raise VAAError(
                f"{path}, {brief(new)}: give the name of an attribute, or a list of names"
            )
        choice[_new_name(new, str(path))] = names
    return choice


def _from_list(names: Sequence[Any], place: str) -> Choice:
    choice = {}
    for name in names:
        if not _is_name(name):
            raise VAAError(f"{place}: {brief(name)} is no name of an attribute")
        if name.strip() in choice:
            raise VAAError(f"{place} names {name.strip()!r} twice; name it once")
        choice[name.strip()] = [name.strip()]
    if not choice:
        raise VAAError(f"{place} names no attributes")
    return choice


def _new_name(name: Any, place: str) -> str:
    if not _is_name(name) or name != name.strip():
        raise VAAError(f"{place}: {brief(name)} is no name for an attribute")
    return str(name)


def _is_name(name: Any) -> bool:
    try:
        return isinstance(name, str) and bool(name.strip()) and bool(name.encode())
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and no CSV can hold
        return False


class _RepeatedKeyError(Exception):
    """A mapping names a key twice, of which parsers would keep the last."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _require_distinct([key for key, _ in pairs])
    return dict(pairs)


def _require_distinct(keys: list[Any]) -> None:
    seen = set()
    for key in keys:
        if key in seen:
            raise _RepeatedKeyError(key)
        seen.add(key)


class _TextLoader(yaml.BaseLoader):
    """YAML of which every scalar is text; repeated keys and references to other nodes are refused.

    By references a few lines can stand for more names than any memory holds.
    """

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a reference to another place (*name); write it out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        _require_distinct([key.value for key, _ in node.value if isinstance(key.value, str)])
        return super().construct_mapping(node, deep=deep)
