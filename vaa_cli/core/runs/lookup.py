"""Finding a run: the newest, the one to resume, the model file in it."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs.folder import BEST, CONFIG, LAST, LATEST, RUNS, _checkpoints, has_begun
from vaa_cli.core.system.files import temporary_name


@dataclass(frozen=True)
class ResumePoint:
    """The point that a training is resumed from.

    Attributes:
        run: its run folder.
        checkpoint: the state to load; None where it was stopped before the first one was saved.
    """

    run: Path
    checkpoint: Path | None


def resume_point(target: Path | None) -> ResumePoint:
    """The run that a user means to resume.

    Args:
        target: a run folder or a checkpoint in one, or None for the newest run of this folder.

    Raises:
        VAAError: there is none.
    """
    if target is None:
        begun = [run for run in RUNS.iterdir() if has_begun(run)] if RUNS.is_dir() else []
        begun = [run for run in begun if not run.is_symlink()]
        if not begun:
            raise VAAError(f"no run to resume in ./{RUNS}; start one with: vaa train")
        target = max(begun, key=_last_written)
    if target.is_symlink():  # runs/latest may come to mean another one
        target = target.parent / target.resolve().name
    if target.is_file():
        run = target.parent
        if target.suffix != ".ckpt":
            raise VAAError(f"{target} is no checkpoint; name a run folder or a {LAST}")
        return ResumePoint(run, target)
    if not target.exists():
        raise VAAError(f"{target}: no such run folder")
    if not has_begun(target):
        raise VAAError(f"{target} is no run folder (no {CONFIG}); name one that vaa train made")
    checkpoints = _checkpoints(target)
    return ResumePoint(target, checkpoints[-1] if checkpoints else None)


def _last_written(run: Path) -> float:
    return max((run / name).stat().st_mtime for name in (CONFIG, LAST) if (run / name).exists())


def model_file(run: Path | str | None) -> Path:
    """The model file of a run.

    Args:
        run: a run folder, a model file, or None for the newest run of this folder.

    Raises:
        VAAError: there is none.
    """
    if run is None:
        run = _newest_trained()
    run = Path(run)
    if run.is_dir():
        if not (run / BEST).is_file():
            raise VAAError(f"{run} has no {BEST}; name a run folder that vaa train made")
        return run / BEST
    if not run.exists():
        raise VAAError(f"{run}: no such run folder or model file")
    return run


def _newest_trained() -> Path:
    """The run in ./runs that runs/latest names, or else the one with the newest model.

    There is no link where the file system has none, and it may lead to a run that was deleted.

    Raises:
        VAAError: there is no trained run.
    """
    link = RUNS / LATEST
    if link.is_symlink() and (link / BEST).is_file():
        return RUNS / link.resolve().name  # messages name the run itself
    found = [path for path in RUNS.glob(f"*/{BEST}") if path.is_file()]
    if not found:
        raise VAAError(
            f"no trained run in ./{RUNS}; train one with: vaa train, or name one with `run`"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


def mark_latest(run: Path) -> None:
    """Make runs/latest a link to a run in there; runs elsewhere are named when they are used.

    Nothing happens where the file system has no links, or something else has that name: the newest
    run is then found by the time of its model.
    """
    if run.resolve().parent != RUNS.resolve():
        return
    link = RUNS / LATEST
    if os.path.lexists(link) and not link.is_symlink():
        return
    beside = temporary_name(link)
    try:
        beside.symlink_to(run.resolve().name, target_is_directory=True)
        os.replace(beside, link)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
