"""What a `vaa train` command line means: which options, which data, which run folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

    data: Path | None
    run: Path | None
    resumed: Path | None
    resume: bool


@dataclass(frozen=True)
class Plan:
    """What is to be trained; made by the first process, the same in all.

    Attributes:
        options: how.
        data: the prepared folder.
        run: the run folder.
        checkpoint: where to go on; None to start.
    """

    options: "TrainingOptions"
    data: Path
    run: Path
    checkpoint: Path | None

    def to_json(self) -> str:
        """The plan as one process tells it to the others."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Read back what `to_json` gave."""
        from vaa_cli.core.training.option_sources import with_values
        from vaa_cli.core.training.options import TrainingOptions

        plan = json.loads(text)
        checkpoint = plan["checkpoint"]
        return cls(
            with_values(TrainingOptions(), plan["options"], ""),
            Path(plan["data"]),
            Path(plan["run"]),
            Path(checkpoint) if checkpoint is not None else None,
        )


def make_plan(options: "TrainingOptions", named: frozenset[str], places: NamedFolders) -> Plan:
    """What the command line means.

    Args:
        options: those that the user named, and the defaults of the others.
        named: which the user named.
        places: the folders that the user named.

    Raises:
        VAAError: nothing that can be done.
    """
    from vaa_cli.core.runs.folder import has_begun, is_free, kept_config, new_run
    from vaa_cli.core.runs.lookup import resume_point
    from vaa_cli.core.system.files import reading_errors
    from vaa_cli.core.training.option_sources import resumed_options

    run, data = places.run, places.data
    if places.resume and (run is None or has_begun(run)):
        point = resume_point(places.resumed or run)
        kept, kept_data = kept_config(point.run)
        options = resumed_options(kept, options, named, point.run)
        return Plan(options, data or kept_data, point.run, point.checkpoint)
    if run is not None and not is_free(run):
        again = f", or go on with it: vaa train --resume {quote(run)}" if has_begun(run) else ""
        raise VAAError(
            f"{run} exists already; name a new run folder, so that no run is lost{again}"
        )
    if options.weights not in ("imagenet", "none"):
        with reading_errors(Path(options.weights)):
            Path(options.weights).open("rb").close()
    return Plan(options, data or PREPARED, run or new_run(options.backbone), None)


def named_options(
    context: typer.Context, config: Path | None, settings: list[str]
) -> tuple["TrainingOptions", frozenset[str]]:
    """The options, and which of them the user named: in a file, by --set, by their own switches.

    The later ones win.
    """
    from vaa_cli.core.training.option_sources import parse_settings, read_option_file, with_values
    from vaa_cli.core.training.options import OPTION_NAMES, TrainingOptions

    switches = {name: context.params.get(name) for name in OPTION_NAMES if is_named(context, name)}
    options, named = TrainingOptions(), set[str]()
    for where, values in (
        (str(config), read_option_file(config) if config else {}),
        ("--set", parse_settings(settings)),
        ("", {name: getattr(value, "value", value) for name, value in switches.items()}),
    ):
        options = with_values(options, values, where)
        named |= {name.replace("-", "_") for name in values}
    return options, frozenset(named)


def is_named(context: typer.Context, name: str) -> bool:
    """Whether the user wrote an option; its value may be the default's."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
