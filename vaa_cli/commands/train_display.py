"""A training on the terminal: a bar for the whole of it, and a line an epoch."""

from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn

from vaa_cli.commands.console import progress, say, warn
from vaa_cli.commands.train_plan import Plan
from vaa_cli.core.datasets.prepared import Prepared
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.events import (
    Calibrated,
    EpochReport,
    Event,
    Started,
    StepReport,
    Stopped,
    TrainingWarning,
)

# The prefixes of the loss's columns in log.csv.
_LOSS_PREFIXES = ("loss", "primary", "attention_")


class TrainDisplay:
    """Shows the events of a training while it is entered.

    Args:
        plan: what is trained.
        prepared: the dataset.
        group: the processes that train together.

    Attributes:
        run: the run folder; None before a new one is made.
    """

    def __init__(self, plan: Plan, prepared: Prepared, group: ProcessGroup) -> None:
        self._plan, self._prepared, self._group = plan, prepared, group
        self._steps = self._epochs = 0
        self.run = plan.run
        self._task = TaskID(0)
        self._bar = progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )

    def __enter__(self) -> "TrainDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Started():
                self._show_start(event)
            case StepReport():
                done = (event.epoch - 1) * self._steps + event.step
                figures = f"{_losses(event.losses)}  {event.images_per_second:.0f} img/s"
                epoch = f"{event.epoch}/{self._epochs}"
                self._bar.update(self._task, completed=done, epoch=epoch, figures=figures)
            case EpochReport():
                say(self._epoch_line(event))
            case TrainingWarning():
                warn(event.message)
            case Calibrated():
                say(
                    f"{event.path.name} calibrated on val: mA {event.mean_accuracy_before:.4f} at "
                    f"0.5, {event.mean_accuracy:.4f} at the thresholds that were fitted there"
                )
                if event.anchored:
                    say(f"  nothing of their own, for too few in val: {', '.join(event.anchored)}")

    def _show_start(self, event: Started) -> None:
        self._steps, self._epochs, self.run = event.steps, event.epochs, event.run
        processes = self._group.world_size
        among = f", {processes} processes" if processes > 1 else ""
        say(
            f"{self._plan.options.backbone}, {event.parameters / 1e6:.1f} M parameters, "
            f"{len(self._prepared.attributes)} attributes, "
            f"{len(self._prepared.splits['train']):,} pictures, on {event.compute}{among}"
        )
        if self._plan.checkpoint:
            say(f"going on with {event.run} after {position(event)}")
        else:
            say(f"in {event.run}; Ctrl-C saves and stops")
        self._task = self._bar.add_task(
            "",
            total=self._steps * self._epochs,
            completed=event.epochs_done * self._steps + event.steps_done,
            epoch=f"1/{self._epochs}",
            figures="",
        )

    def _epoch_line(self, event: EpochReport) -> str:
        row = event.row
        losses = {k: v for k, v in row.items() if k.startswith(_LOSS_PREFIXES)}
        average = f"  EMA mAP {row['ema_val_mAP']:.4f}" if "ema_val_mAP" in row else ""
        return (
            f"epoch {event.epoch:>{len(str(self._epochs))}}/{self._epochs}  {_losses(losses)}  "
            f"val mA {row['val_mA']:.4f}  mAP {row['val_mAP']:.4f}{average}  "
            f"{row['images_per_second']:.0f} img/s  {row['seconds']:.1f} s"
            f"{'  best' if event.is_best else ''}"
        )


def position(event: Started | Stopped) -> str:
    """The position of a training in words."""
    if event.steps_done:
        return f"step {event.steps_done} of epoch {event.epochs_done + 1}"
    return f"epoch {event.epochs_done}"


def _losses(losses: dict[str, float]) -> str:
    total, *parts = losses.items()
    return f"loss {total[1]:.3f} ({', '.join(f'{name} {value:.3f}' for name, value in parts)})"
