"""`vaa train`: the full attention-plus-focal model with history tracking."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaa_cli.commands.console import quote, say, this_process
from vaa_cli.commands.options import PREPARED, CacheDirOption, CacheSizeOption
from vaa_cli.commands.train_parameters import with_training_options
from vaa_cli.commands.train_plan import NamedFolders, Plan, is_named, make_plan, named_options
from vaa_cli.core.errors import ResumableError, VAAError
from vaa_cli.core.system.byte_sizes import DEFAULT_CACHE_SIZE
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.system.file_cache import FileCache
    from vaa_cli.core.training.events import Finished, Stopped

_RUN_PANEL = "Run: keeping it and going on with it"

ResumedArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN",
        help="With --resume: the run folder, or a checkpoint in it. Default: the newest run.",
        show_default=False,
    ),
]
DataOption = Annotated[str, typer.Option("--data", help="Prepared folder, or its URL.")]
RunOption = Annotated[
    Path | None,
    typer.Option(
        "--run", help="Run folder to make. Default: runs/BACKBONE-TIME.", show_default=False
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file with options by name, such as batch_size = 64; --set and the "
        "options here win.",
        show_default=False,
    ),
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any option by name, those without a switch of their own too: hidden, warmup, "
        "momentum. Can be repeated.",
        show_default=False,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a run from its last checkpoint, as if it had never been stopped. "
        "With --run: with that one, or start it if it has not begun.",
        rich_help_panel=_RUN_PANEL,
    ),
]


@with_training_options
def train(
    context: typer.Context,
    resumed: ResumedArgument = None,
    data: DataOption = str(PREPARED),
    run: RunOption = None,
    config: ConfigOption = None,
    settings: SettingsOption = None,
    resume: ResumeOption = False,
    cache_dir: CacheDirOption = None,
    cache_size: CacheSizeOption = DEFAULT_CACHE_SIZE,
    **options: Any,
) -> None:
    """Train a model on a prepared folder.

    Ctrl-C or a scheduler's SIGTERM saves and stops; vaa train --resume goes on from there.

    On several GPUs: torchrun --nproc-per-node 4 -m -- vaa_cli train …
    """
    if resumed is not None and (run is not None or not resume):
        raise VAAError(
            f"{resumed}: a run named without an option is one to go on with: "
            f"vaa train --resume {quote(resumed)}"
        )
    from vaa_cli.core.system.file_cache import FileCache

    group, plan = this_process(), None
    # Without a home folder there is none, which matters for pictures at URLs alone.
    is_cache_named = is_named(context, "cache_dir") or is_named(context, "cache_size")
    cache = FileCache.default(cache_dir, cache_size) if is_cache_named else None
    if group.is_main:
        # What can be wrong without torch is refused before torch is loaded.
        chosen, named = named_options(context, options, config, settings or [])
        folders = NamedFolders(data if is_named(context, "data") else None, run, resumed, resume)
        plan = make_plan(chosen, named, folders)
    with group.connected():
        if group.world_size > 1:
            plan = Plan.from_json(group.broadcast_text(plan.to_json() if plan else ""))
        assert plan is not None
        stopped = _train(plan, group, cache)
    if stopped:
        raise typer.Exit(128 + stopped.signal)


def _train(plan: Plan, group: ProcessGroup, cache: "FileCache | None") -> "Stopped | None":
    """Train, and print how it ended.

    Returns:
        The position that it was stopped at; None if it came to its end.
    """
    from vaa_cli.core.datasets.prepared import read_prepared
    from vaa_cli.core.runs.folder import is_kept, require_usable

    prepared = read_prepared(plan.data, cache)
    for split in ("train", "val"):
        prepared.split(split)  # an empty one is refused before torch is loaded
    if group.is_main and plan.run is not None:
        require_usable(plan.run)

    from vaa_cli.commands.train_display import TrainDisplay, position
    from vaa_cli.core.training.events import Stopped
    from vaa_cli.core.training.loop import train as train_model
    from vaa_cli.core.training.stop_request import StopRequest

    display = TrainDisplay(plan, prepared, group)
    try:
        with display, StopRequest(say_stopping) as stop:
            end = train_model(
                prepared,
                plan.options,
                plan.run,
                checkpoint=plan.checkpoint,
                group=group,
                stop=stop,
                on_event=display.show,
            )
    except ResumableError as error:
        raise VAAError(f"{error}; make room and go on with: {_again(display.run)}") from error
    except KeyboardInterrupt:
        if display.run is not None and is_kept(display.run):
            say(f"stopped at once; go on with: {_again(display.run)}")
        else:
            say("stopped; nothing kept")
        raise
    if isinstance(end, Stopped):
        say(f"saved and stopped after {position(end)}; go on with: {_again(display.run)}")
        return end
    assert display.run is not None
    _say_finished(display.run, plan, end, bool(len(prepared.splits["test"])))
    return None


def _again(run: Path | None) -> str:
    return f"vaa train --resume {quote(run)}" if run is not None else "vaa train"


def _say_finished(run: Path, plan: Plan, end: "Finished", has_test: bool) -> None:
    from vaa_cli.core.runs.folder import RUNS

    early = " (stopped early: no progress on val; --resume --patience 0 goes on)"
    why = early if end.stopped_early else ""
    by = plan.options.best_by
    say(f"best epoch {end.best_epoch}: val {by} {end.best_score:.4f}{why}")
    heads = {k.removesuffix("_mAP"): v for k, v in end.figures.items() if k.endswith("_mAP")}
    if heads:
        each = ", ".join(f"{name} {value:.3f}" for name, value in heads.items())
        say(f"  val mAP of its heads: {each}; of their mean: {end.figures['mAP']:.3f}")
    which = "" if run.parent == RUNS else f" --run {quote(run)}"
    say(f"wrote {run}; next: vaa evaluate{which}{'' if has_test else ' --split val'}")


def say_stopping() -> None:
    """Say that a stop was asked for, in the handler of its signal."""
    # The signal may have come amidst a line on stderr, which cannot be broken into.
    with contextlib.suppress(RuntimeError):
        say("stopping after this step, to go on later; Ctrl-C again stops at once")
