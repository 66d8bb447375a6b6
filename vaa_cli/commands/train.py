"""`vaa train`: the full attention-plus-focal model with history tracking."""

import contextlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, quote, say, this_process, warn
from vaa_cli.commands.options import (
    PREPARED,
    DeviceOption,
    PrecisionOption,
    SeedOption,
    WorkersOption,
)
from vaa_cli.commands.train_plan import NamedFolders, Plan, is_named, make_plan, named_options
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.distributed import ProcessGroup

if TYPE_CHECKING:
    from vaa_cli.core.datasets.prepared import Prepared
    from vaa_cli.core.training.events import Finished, Started, Stopped
    from vaa_cli.core.training.options import TrainingOptions


class RecipeChoice(str, Enum):
    """How the model is optimised."""

    default = "default"
    paper = "paper"


class LossChoice(str, Enum):
    """Eq. 4 and its baseline, eq. 3."""

    focal = "focal"
    bce = "bce"


class WeightingChoice(str, Enum):
    """The weights of eq. 4."""

    prior = "prior"
    label = "label"
    none = "none"


class ClassifierChoice(str, Enum):
    """What makes logits of attention maps."""

    spatial = "spatial"
    spatial_full = "spatial-full"
    pooled = "pooled"


class ScoreChoice(str, Enum):
    """What tells the best epoch."""

    mA = "mA"
    mAP = "mAP"


class CacheChoice(str, Enum):
    """Where decoded pictures are kept."""

    none = "none"
    ram = "ram"


_MODEL, _LOSS, _OPTIMISATION = "Model", "Loss", "Optimisation"
_RUN, _SPEED = "Run: keeping it and going on with it", "Speed and memory"


def train(
    context: typer.Context,
    resumed: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="With --resume: the run folder, or a checkpoint in it. Default: the newest run.",
            show_default=False,
        ),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            "--backbone",
            help="resnet (resnet101), densenet (densenet201), or any torchvision ResNet or "
            "DenseNet by its name.",
            rich_help_panel=_MODEL,
        ),
    ] = "resnet",
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            help="Where the backbone starts: imagenet (torchvision's), none (from scratch), or a "
            "file with torchvision's names.",
            rich_help_panel=_MODEL,
        ),
    ] = "imagenet",
    image_size: Annotated[
        str,
        typer.Option("--image-size", help="HEIGHTxWIDTH, or one side.", rich_help_panel=_MODEL),
    ] = "224x224",
    stages: Annotated[
        str,
        typer.Option(
            "--stages", help="Stages that carry attention, of 2, 3 and 4.", rich_help_panel=_MODEL
        ),
    ] = "3,4",
    classifier: Annotated[
        ClassifierChoice,
        typer.Option(
            "--classifier", help="What makes logits of attention maps.", rich_help_panel=_MODEL
        ),
    ] = ClassifierChoice.spatial,
    loss: Annotated[
        LossChoice,
        typer.Option("--loss", help="Of the primary logits.", rich_help_panel=_LOSS),
    ] = LossChoice.focal,
    attention_loss: Annotated[
        LossChoice,
        typer.Option("--attention-loss", help="Of the attention logits.", rich_help_panel=_LOSS),
    ] = LossChoice.bce,
    gamma: Annotated[
        float,
        typer.Option("--gamma", min=0.0, help="Focusing exponent.", rich_help_panel=_LOSS),
    ] = 0.5,
    loss_weights: Annotated[
        WeightingChoice,
        typer.Option(
            "--loss-weights",
            help="prior: exp(-a); label: exp(1-a) where present, exp(a) where absent; none: 1.",
            rich_help_panel=_LOSS,
        ),
    ] = WeightingChoice.prior,
    history: Annotated[
        int,
        typer.Option(
            "--history",
            min=2,
            max=100,
            help="Epochs of predictions that guide the attention loss.",
            rich_help_panel=_LOSS,
        ),
    ] = 5,
    burn_in: Annotated[
        int,
        typer.Option(
            "--burn-in",
            min=0,
            help="First epochs that the history leaves out.",
            rich_help_panel=_LOSS,
        ),
    ] = 2,
    recipe: Annotated[
        RecipeChoice,
        typer.Option(
            "--recipe",
            help="default: AdamW, warm-up, cosine. paper: SGD, rate divided at plateaus.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = RecipeChoice.default,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            help="Default: 30; paper: 100.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=2,
            help="Pictures a step, of all processes together. Default: 32; paper: 24.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            min=0.0,
            help="Highest learning rate. Default: 3e-4; paper: 1e-4.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay",
            min=0.0,
            help="Default: 0.05; paper: 5e-4.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    clip_norm: Annotated[
        float | None,
        typer.Option(
            "--clip-norm",
            min=0.0,
            help="Scale gradients down to this norm. Default: leave them.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    ema: Annotated[
        float,
        typer.Option(
            "--ema",
            min=0.0,
            max=1.0,
            help="Decay of a moving average of the weights, such as 0.999, scored and saved beside "
            "them; 0: none.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = 0.0,
    sync_bn: Annotated[
        bool,
        typer.Option(
            "--sync-bn/--no-sync-bn",
            help="Batch normalisation over all processes' pictures.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = False,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            min=0,
            help="Epochs with neither a better score nor a lower loss on val before the end; "
            "0: never. Default: 10; paper: 40.",
            show_default=False,
            rich_help_panel=_OPTIMISATION,
        ),
    ] = None,
    best_by: Annotated[
        ScoreChoice,
        typer.Option(
            "--best-by",
            help="Score on val that tells the best epoch.",
            rich_help_panel=_OPTIMISATION,
        ),
    ] = ScoreChoice.mA,
    accumulate: Annotated[
        int,
        typer.Option(
            "--accumulate",
            min=1,
            help="Compute a batch in so many parts, one after the other, to need less memory.",
            rich_help_panel=_SPEED,
        ),
    ] = 1,
    compile: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="Let torch compile the model: minutes at first, faster steps then.",
            rich_help_panel=_SPEED,
        ),
    ] = False,
    cache: Annotated[
        CacheChoice,
        typer.Option(
            "--cache",
            help="ram: decode each picture once and keep it in memory.",
            rich_help_panel=_SPEED,
        ),
    ] = CacheChoice.none,
    data: Annotated[Path, typer.Option("--data", help="Prepared folder.")] = PREPARED,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run", help="Run folder to make. Default: runs/BACKBONE-TIME.", show_default=False
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML file with options by name, such as batch_size = 64; --set and the "
            "options here win.",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any option by name, those without a switch of their own too: hidden, warmup, "
            "momentum. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run from its last checkpoint, as if it had never been stopped. "
            "With --run: with that one, or start it if it has not begun.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    save_every: Annotated[
        str,
        typer.Option(
            "--save-every",
            help="Time between checkpoints within an epoch, such as 90s, 10m or 1h; 0: none. Each "
            "epoch ends with one.",
            rich_help_panel=_RUN,
        ),
    ] = "10m",
    keep: Annotated[
        int,
        typer.Option("--keep", min=1, help="How many checkpoints stay.", rich_help_panel=_RUN),
    ] = 1,
    skip_bad_steps: Annotated[
        int,
        typer.Option(
            "--skip-bad-steps",
            min=0,
            help="Steps in all that may be left out because their loss is no number.",
            rich_help_panel=_RUN,
        ),
    ] = 0,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Write TensorBoard's files. Default: if tensorboard is installed.",
            show_default=False,
            rich_help_panel=_RUN,
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic/--no-deterministic",
            help="Only algorithms that give the same numbers each time, on a GPU too; slower.",
            rich_help_panel=_RUN,
        ),
    ] = False,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    workers: WorkersOption = None,
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
    group = this_process()
    plan = None
    if group.is_main:
        # What can be wrong without torch is told before torch is loaded.
        options, named = named_options(context, config, settings or [])
        places = NamedFolders(data if is_named(context, "data") else None, run, resumed, resume)
        plan = make_plan(options, named, places)
    with group.connected():
        if group.world_size > 1:
            plan = Plan.from_json(group.broadcast_text(plan.to_json() if plan else ""))
        assert plan is not None
        stopped = _train_in_folder(plan, group)
    if stopped:
        raise typer.Exit(128 + stopped.signal)


def _train_in_folder(plan: Plan, group: ProcessGroup) -> "Stopped | None":
    """Train, with the run folder for this training alone, and say how it ended.

    Returns:
        Where it was stopped; None if it came to its end.
    """
    from vaa_cli.core.datasets.prepared import read_prepared
    from vaa_cli.core.runs.folder import RUNS, is_kept, locked
    from vaa_cli.core.training.events import Stopped

    prepared = read_prepared(plan.data)
    for split in ("train", "val"):
        prepared.split(split)  # that one is empty is told before torch is loaded
    constant = prepared.priors.constant
    if constant.any():
        names = ", ".join(n for n, c in zip(prepared.attributes, constant, strict=True) if c)
        warn(f"constant in train, so that nothing about them can be learnt: {names}")
    again = f"vaa train --resume {quote(plan.run)}"
    try:
        with locked(plan.run) if group.is_main else contextlib.nullcontext():
            end = _train_and_tell(plan, prepared, group)
    except KeyboardInterrupt:
        kept = is_kept(plan.run)
        say(f"stopped at once; go on with: {again}" if kept else "stopped; nothing kept")
        raise
    if isinstance(end, Stopped):
        say(f"saved and stopped after {_place(end)}; go on with: {again}")
        return end
    why = " (stopped early: no progress on val)" if end.stopped_early else ""
    by = plan.options.best_by
    say(f"best epoch {end.best_epoch}: val {by} {end.best_score:.4f}{why}")
    which = "" if plan.run.parent == RUNS else f" --run {quote(plan.run)}"
    empty_test = not len(prepared.splits["test"])
    say(f"wrote {plan.run}; next: vaa evaluate{which}{' --split val' if empty_test else ''}")
    return None


def _train_and_tell(plan: Plan, prepared: "Prepared", group: ProcessGroup) -> "Finished | Stopped":
    """Train, with a bar for the whole of it and a line an epoch."""
    from vaa_cli.core.models.devices import Compute
    from vaa_cli.core.training.events import (
        EpochReport,
        Finished,
        Started,
        StepReport,
        Stopped,
        TrainingWarning,
    )
    from vaa_cli.core.training.loop import train
    from vaa_cli.core.training.stop_request import StopRequest

    options = plan.options
    compute = Compute.choose(options.device, options.precision, group.local_rank)
    bar = progress(
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    task = TaskID(0)
    steps = epochs = 0
    with bar, StopRequest(_tell_of_stop) as stop:
        for event in train(prepared, options, plan.run, compute, group, plan.checkpoint, stop):
            match event:
                case Started():
                    steps, epochs = event.steps, event.epochs
                    say(_first_line(event, options, prepared, group))
                    if plan.checkpoint:
                        say(f"going on with {plan.run} after {_place(event)}")
                    else:
                        say(f"in {plan.run}; Ctrl-C saves and stops")
                    done = event.epochs_done * steps + event.steps_done
                    task = bar.add_task(
                        "", total=steps * epochs, completed=done, epoch=f"1/{epochs}", figures=""
                    )
                case StepReport():
                    done = (event.epoch - 1) * steps + event.step
                    figures = f"{_parts(event.losses)}  {event.images_per_second:.0f} img/s"
                    position = f"{event.epoch}/{epochs}"
                    bar.update(task, completed=done, epoch=position, figures=figures)
                case EpochReport():
                    row = event.row
                    losses = {k: v for k, v in row.items() if k.startswith(_LOSS_PARTS)}
                    average = f"  EMA mA {row['ema_val_mA']:.4f}" if "ema_val_mA" in row else ""
                    say(
                        f"epoch {event.epoch:>{len(str(epochs))}}/{epochs}  {_parts(losses)}  "
                        f"val mA {row['val_mA']:.4f}  mAP {row['val_mAP']:.4f}{average}  "
                        f"{row['images_per_second']:.0f} img/s  {row['seconds']:.1f} s"
                        f"{'  best' if event.is_best else ''}"
                    )
                case TrainingWarning():
                    warn(event.message)
                case Stopped() | Finished():
                    return event
    raise AssertionError("training ends by saying so")


def _first_line(
    event: "Started", options: "TrainingOptions", prepared: "Prepared", group: ProcessGroup
) -> str:
    among = f", {group.world_size} processes" if group.world_size > 1 else ""
    return (
        f"{options.backbone}, {event.parameters / 1e6:.1f} M parameters, "
        f"{len(prepared.attributes)} attributes, "
        f"{len(prepared.splits['train']):,} pictures, on {event.compute}{among}"
    )


def _place(event: "Started | Stopped") -> str:
    """Where a training stands, in words."""
    if event.steps_done:
        return f"step {event.steps_done} of epoch {event.epochs_done + 1}"
    return f"epoch {event.epochs_done}"


def _tell_of_stop() -> None:
    # The signal may have come amidst a line on stderr, which cannot be broken into.
    with contextlib.suppress(RuntimeError):
        say("stopping after this step, to go on later; Ctrl-C again stops at once")


# What the loss's columns in log.csv begin with.
_LOSS_PARTS = ("loss", "primary", "attention_")


def _parts(losses: dict[str, float]) -> str:
    total, *parts = losses.items()
    return f"loss {total[1]:.3f} ({', '.join(f'{name} {value:.3f}' for name, value in parts)})"
