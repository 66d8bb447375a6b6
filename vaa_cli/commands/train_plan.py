"""A `vaa train` command line made into a plan: options, data, run folder."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vaa_cli.commands.console import quote
from vaa_cli.commands.options import PREPARED
from vaa_cli.core.errors import VAAError

if TYPE_CHECKING:
    from vaa_cli.core.training.options import TrainingOptions


@dataclass(frozen=True)
class NamedFolders:
    """The folders that the user named, each None where not.

    Attributes:
        data: a prepared folder.
        run: a run folder to make.
        resumed: a run folder or checkpoint to go on with.
        resume: whether to go on with one.
    """

    data: str | None
    run: Path | None
    resumed: Path | None
    resume: bool


@dataclass(frozen=True)
class Plan:
    """What is trained; made by the first process, the same in all.

    Attributes:
        options: the options.
        data: path or URL of the prepared folder.
        run: the run folder; None for a new one with a name of its own.
        checkpoint: the checkpoint to go on from; None to start.
    """

    options: "TrainingOptions"
    data: str
    run: Path | None
    checkpoint: Path | None

    def to_json(self) -> str:
        """The plan as text for the other processes."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Read back what `to_json` gave."""
        from vaa_cli.core.training.option_sources import with_values
        from vaa_cli.core.training.options import TrainingOptions

        plan = json.loads(text)
        checkpoint = plan["checkpoint"]
        return cls(
            with_values(TrainingOptions(), plan["options"]),
            plan["data"],
            Path(plan["run"]) if plan["run"] is not None else None,
            Path(checkpoint) if checkpoint is not None else None,
        )


def make_plan(options: "TrainingOptions", named: frozenset[str], folders: NamedFolders) -> Plan:
    """Make the plan of a command line.

    Args:
        options: the options that the user named, and the defaults of the others.
        named: names of those that the user named.
        folders: the folders that the user named.

    Raises:
        VAAError: the command line asks for something that cannot be done.
    """
    from vaa_cli.core.runs.folder import has_begun, is_free, kept_config
    from vaa_cli.core.runs.lookup import resume_point
    from vaa_cli.core.training.option_sources import require_consistent, resumed_options
    from vaa_cli.core.training.trained_weights import like_trained

    run, data = folders.run, folders.data
    if folders.resume and (run is None or has_begun(run)):
        point = resume_point(folders.resumed or run)
        kept, kept_data = kept_config(point.run)
        options = resumed_options(kept, options, named, point.run)
        return Plan(options, data or kept_data, point.run, point.checkpoint)
    if run is not None and not is_free(run):
        again = f", or go on with it: vaa train --resume {quote(run)}" if has_begun(run) else ""
        raise VAAError(
            f"{run} exists already; name a new run folder, so that no run is lost{again}"
        )
    _check_weights(options.weights)
    options = like_trained(options, named)
    require_consistent(options, named)
    return Plan(options, data or str(PREPARED), run, None)


def _check_weights(weights: str) -> None:
    """Refuse initial weights that are neither a name nor a file nor a trained run."""
    from vaa_cli.core.models.names import NAMED_WEIGHTS
    from vaa_cli.core.runs.lookup import STARTER_NAME, model_file
    from vaa_cli.core.system.files import reading_errors

    path = Path(weights)
    if weights in NAMED_WEIGHTS:
        return
    if path.is_dir():
        model_file(path)
        return
    if weights == STARTER_NAME:
        return
    close = get_close_matches(weights, NAMED_WEIGHTS, n=1)
    if close and not path.exists():
        raise VAAError(f"--weights {weights}: did you mean {close[0]}?")
    with reading_errors(path):
        path.open("rb").close()


def named_options(
    context: typer.Context, values: Mapping[str, Any], config: Path | None, settings: list[str]
) -> tuple["TrainingOptions", frozenset[str]]:
    """The training options, and the names of those that the user named.

    They come from a file, from --set and from their own switches; the later ones win.

    Args:
        context: knows which switches the user typed.
        values: values of the switches by name.
        config: a TOML file.
        settings: `key=value` words.
    """
    from vaa_cli.core.training.option_sources import parse_settings, read_option_file, with_values
    from vaa_cli.core.training.options import TrainingOptions

    switches = {name: value for name, value in values.items() if is_named(context, name)}
    options, named = TrainingOptions(), set[str]()
    for source, given in (
        (str(config), read_option_file(config) if config else {}),
        ("--set", parse_settings(settings)),
        ("", switches),
    ):
        options = with_values(options, given, source)
        named |= {name.replace("-", "_") for name in given}
    return options, frozenset(named)


def is_named(context: typer.Context, name: str) -> bool:
    """Whether the user typed an option; its value may be the default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
