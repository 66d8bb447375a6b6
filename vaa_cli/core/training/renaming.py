"""Other names for the attributes of a trained run."""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.label_file import require_attribute_names
from vaa_cli.core.models.card import read_card
from vaa_cli.core.models.model_file import copy_with_card
from vaa_cli.core.runs.lookup import model_file, require_changeable


def rename_attributes(run: Path | str | None, names: Mapping[str, str]) -> Path:
    """Give attributes of a run other names, in the model file that it predicts with.

    The weights stay as they are, and so does the checkpoint: a training that is resumed goes on
    with the names of its prepared folder.

    Args:
        run: a run folder or a model file, which is no export; None for the newest run in ./runs.
        names: new names by the old ones.

    Returns:
        The model file.

    Raises:
        VAAError: the run cannot be read or written, has no such attribute, or has one of the new
            name already.
    """
    path = model_file(run)
    require_changeable(path)
    card = read_card(path)
    attributes = _renamed(card.attributes, names, path)
    new_names = dict(zip(card.attributes, attributes, strict=True))
    groups = {
        group: tuple(new_names[member] for member in members)
        for group, members in card.groups.items()
    }
    renamed = replace(card, attributes=attributes, groups=groups)
    copy_with_card(path, path, renamed)
    return path


def _renamed(attributes: tuple[str, ...], names: Mapping[str, str], path: Path) -> tuple[str, ...]:
    for old in names:
        if old not in attributes:
            close = get_close_matches(old, attributes, n=1, cutoff=0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(attributes[:8])}"
            raise VAAError(f"{path} has no attribute {old!r}; {hint}")
    new = tuple(names.get(name, name) for name in attributes)
    for name in names.values():
        if not name.strip() or name != name.strip():
            raise VAAError(f"{name!r} is no name for an attribute: it begins or ends in a space")
        if new.count(name) > 1:
            raise VAAError(f"{path} would have two attributes named {name!r}; choose another name")
    require_attribute_names(new)
    return new
