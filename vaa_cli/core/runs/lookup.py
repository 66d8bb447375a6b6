"""Finding a run: the newest, the one to resume, the model file in it."""

import contextlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs.folder import BEST, CONFIG, LAST, LATEST, RUNS, checkpoints, has_begun
from vaa_cli.core.system.cached_files import cached_file, is_cached
from vaa_cli.core.system.files import temporary_name
from vaa_cli.core.system.storage import is_url

_LOGGER = logging.getLogger(__name__)
# The run folder of the model that comes with vaa, and the name that it goes by.
STARTER, STARTER_NAME = Path(__file__).parent / "starter", "starter"
# By which a URL is one of a file; what is at another one is a run folder.
_MODEL_ENDINGS = (".safetensors", ".onnx", ".xml", ".pt2")
_ABOUT_STARTER = (
    "starter: clothing attributes, trained on 1,298 street photos of fashion bloggers (Clothing "
    "Co-Parsing, 2014); to try vaa with, not to decide about people; see docs/starter.md"
)


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
    found = checkpoints(target)
    return ResumePoint(target, found[-1] if found else None)


def _last_written(run: Path) -> float:
    return max((run / name).stat().st_mtime for name in (CONFIG, LAST) if (run / name).exists())


def model_file(run: Path | str | None, has_starter: bool = False) -> Path:
    """The model file of a run.

    Args:
        run: a run folder, a model file, the URL of either, `starter` for the model that comes with
            vaa, or None for the newest run of this folder.
        has_starter: whether None may mean the starter, where there is no run.

    Returns:
        The file; of one at a URL, what the cache of this machine has of it.

    Raises:
        VAAError: there is none.
    """
    if isinstance(run, str) and is_url(run):
        is_file = run.lower().endswith(_MODEL_ENDINGS)
        return cached_file(run if is_file else f"{run.rstrip('/')}/{BEST}")
    if run is None:
        run = _newest_trained()
        if run is None and has_starter:
            run = STARTER_NAME
            _LOGGER.info("no trained run in ./%s: the starter model that comes with vaa", RUNS)
        elif run is None:
            raise VAAError(
                f"no trained run in ./{RUNS}; train one with: vaa train, or name one with `run`"
            )
    run = Path(run)
    if str(run) == STARTER_NAME and not run.exists():
        _LOGGER.info(_ABOUT_STARTER)
        return STARTER / BEST
    if run.is_dir():
        if not (run / BEST).is_file():
            raise VAAError(f"{run} has no {BEST}; name a run folder that vaa train made")
        return run / BEST
    if not run.exists():
        raise VAAError(f"{run}: no such run folder or model file")
    return run


def runs_at(path: Path) -> list[Path]:
    """The runs at a place: a run, or the runs in a folder of several, in the order of their names.

    Raises:
        VAAError: there is none.
    """
    if path.is_dir() and not (path / BEST).is_file():
        inside = sorted(file.parent for file in path.glob(f"*/{BEST}") if file.is_file())
        runs = [run for run in inside if not run.is_symlink()]
        if not runs:
            raise VAAError(
                f"{path} has no {BEST}, and no folder in it has; name a run folder that vaa train "
                "made, or a folder of such"
            )
        return runs
    return [path]


def require_changeable(path: Path) -> None:
    """Check that a model file may be changed.

    Raises:
        VAAError: it is the model that comes with vaa, or what the cache has of one at a URL.
    """
    if path.resolve() == (STARTER / BEST).resolve():
        raise VAAError("the starter model comes with vaa and stays as it is; name a run of yours")
    if is_cached(path):
        raise VAAError("a model at a URL stays as it is; copy it to this machine, and name that")


def _newest_trained() -> Path | None:
    """The run in ./runs that runs/latest names, or else the one with the newest model; or None.

    There is no link where the file system has none, and it may lead to a run that was deleted.
    """
    link = RUNS / LATEST
    if link.is_symlink() and (link / BEST).is_file():
        return RUNS / link.resolve().name  # messages name the run itself
    found = [path for path in RUNS.glob(f"*/{BEST}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None


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
