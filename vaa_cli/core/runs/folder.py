"""Run folders: the files in them, and the lock of the process that trains there."""

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import (
    is_temporary,
    whole_file,
    write_text,
    writing_errors,
)
from vaa_cli.core.system.folders import make_folder, require_folders_above
from vaa_cli.core.system.input_files import parse_json, read_file
from vaa_cli.core.system.interruption import cleanup, uninterrupted
from vaa_cli.core.system.locks import exclusive, is_held

CONFIG = "config.json"
BEST = "best.safetensors"
LAST = "last.ckpt"
LOG = "log.csv"
FAULTS = "faults.csv"
TRAINING_ROWS = "train_rows.csv"
RUNS = Path("runs")
LATEST = "latest"

LOCK = ".lock"
_EARLIER = re.compile(r"step-(\d+)\.ckpt")


def new_run(backbone: str) -> Path:
    """A name for a run folder that is not there yet: runs/BACKBONE-TIME."""
    return _unused(RUNS / f"{backbone}-{time.strftime('%Y%m%d-%H%M%S')}")


def _unused(path: Path) -> Path:
    """A path that is not there yet: this one, or with a number behind it."""
    free, count = path, 1
    while free.exists():
        count += 1
        free = path.with_name(f"{path.name}-{count}")
    return free


def create_run(run: Path, config: dict[str, Any]) -> None:
    """Make a run folder with its config.json.

    Raises:
        VAAError: it cannot be written.
    """
    make_folder(run)
    write_text(run / CONFIG, json.dumps(config, indent=2, ensure_ascii=False))


def update_config(run: Path, changes: dict[str, Any]) -> None:
    """Change entries of a run's config.json; a missing one is left so.

    Args:
        run: the run folder.
        changes: new values by name; a dictionary changes the entries that it has.

    Raises:
        VAAError: it cannot be written.
    """
    path = run / CONFIG
    if not path.is_file():
        return
    config = parse_json(read_file(path))
    changed = dict(config)
    for name, value in changes.items():
        changed[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    if changed != config:
        write_text(path, json.dumps(changed, indent=2, ensure_ascii=False))


def is_free(run: Path) -> bool:
    """Whether a run folder can be made at a place: all that is there, a killed start left."""
    if not run.is_dir():
        return not run.exists()
    return all(path.name == LOCK or is_temporary(path.name) for path in run.iterdir())


def has_begun(run: Path) -> bool:
    """Whether a place is a run folder that a training can go on from."""
    return (run / CONFIG).is_file() or (run / LAST).is_file()


def kept_config(run: Path) -> tuple[dict[str, Any], str]:
    """The options that a run was started with, by name, and the path or URL of its prepared folder.

    Raises:
        VAAError: its config.json is missing or broken.
    """
    path = run / CONFIG
    content = read_file(path)
    try:
        config = parse_json(content)
        data = config["data"]
        if not isinstance(data, str):
            raise TypeError(f"data is {data!r}")
        return {**config["options"]}, data
    except (ValueError, KeyError, TypeError) as error:
        raise VAAError(f"{path} is broken ({error!r}); start a new run") from error


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Keep other trainings out of a run folder, and clear what a killed one left half-written.

    The lock goes with the process, however that ends. The folder is made if it is not there, and
    is gone again if there is nothing in it to go on from when the block ends.

    Raises:
        VAAError: another process is training there, or the folder cannot be written.
    """
    with exclusive(run / LOCK, run, _in_use(run)):
        with writing_errors(run):
            for path in run.iterdir():
                if is_temporary(path.name):
                    path.unlink(missing_ok=True)
        begun = has_begun(run)
        try:
            yield
        finally:
            if not begun and not is_kept(run):
                _discard(run)


@contextmanager
def locked_new_run(backbone: str) -> Iterator[Path]:
    """A run folder with a name that no other process has taken, locked while the block runs.

    Raises:
        VAAError: the folder cannot be made.
    """
    run: Path | None = None
    with cleanup():
        try:
            with uninterrupted():
                run = _claimed(backbone)
            with locked(run):
                yield run
        finally:
            with contextlib.suppress(OSError):  # something is in it
                if run is not None:
                    run.rmdir()
                RUNS.rmdir()


def _claimed(backbone: str) -> Path:
    """A run folder that was just made; of two processes, one makes it."""
    make_folder(RUNS)
    while True:
        run = new_run(backbone)
        with writing_errors(run), contextlib.suppress(FileExistsError):
            run.mkdir()
            return run


def require_usable(run: Path) -> None:
    """Check that a training can have a run folder, before anything is loaded for it.

    Raises:
        VAAError: another process is training there, or a file stands in the way.
    """
    require_folders_above(run)
    with writing_errors(run):
        held = is_held(run / LOCK)
    if held:
        raise VAAError(_in_use(run))


def _in_use(run: Path) -> str:
    return (
        f"{run} is being trained by another process; wait for it or stop it, or name another `run`"
    )


def is_kept(run: Path) -> bool:
    """Whether a run folder has anything that one can go on from or predict with."""
    return (run / BEST).exists() or bool(checkpoints(run))


def _discard(run: Path) -> None:
    with contextlib.suppress(OSError):
        for path in run.iterdir():
            is_ours = path.name in (CONFIG, LOG, FAULTS, TRAINING_ROWS)
            if is_ours or path.name.startswith("events.out.tfevents."):
                path.unlink()


def keep_earlier(run: Path, step: int, keep: int) -> None:
    """Give the last checkpoint a name of its own before a newer one takes its place.

    Args:
        run: the run folder.
        step: the steps that the last checkpoint has done.
        keep: number of checkpoints after the next one; older ones are removed.

    Raises:
        VAAError: the folder cannot be written.
    """
    with writing_errors(run):
        if keep > 1 and (run / LAST).exists():
            name = run / f"step-{step:08d}.ckpt"
            name.unlink(missing_ok=True)
            try:
                os.link(run / LAST, name)
            except OSError:  # a disk without hard links: for a moment there is no last.ckpt
                os.replace(run / LAST, name)
        earlier = earlier_checkpoints(run)
        for path in earlier[: max(0, len(earlier) - (keep - 1))]:
            path.unlink(missing_ok=True)


def go_back(run: Path, checkpoint: Path) -> Path | None:
    """Make an earlier checkpoint the last one, if it is not, and set aside those after it.

    Returns:
        The folder in the run's where they are now; None if the checkpoint is the last one.

    Raises:
        VAAError: the folder cannot be written.
    """
    if checkpoint.name == LAST:
        return None
    with writing_errors(run):
        later = [path for path in earlier_checkpoints(run) if path.name > checkpoint.name]
        aside = _unused(run / f"aside-{time.strftime('%Y%m%d-%H%M%S')}")
        set_aside(aside, [*later, run / LAST])
        with whole_file(run / LAST) as file, checkpoint.open("rb") as kept:
            shutil.copyfileobj(kept, file)
    return aside


def set_aside(folder: Path, files: Iterable[Path]) -> None:
    """Move files, as far as they are there, into a folder."""
    folder.mkdir(exist_ok=True)
    for path in files:
        if path.exists():
            os.replace(path, folder / path.name)


def earlier_checkpoints(run: Path) -> list[Path]:
    """The checkpoints before the last one, oldest first."""
    return sorted(path for path in run.iterdir() if _EARLIER.fullmatch(path.name))


def checkpoints(run: Path) -> list[Path]:
    """All checkpoints of a run, the last one last."""
    return [*earlier_checkpoints(run), *filter(Path.is_file, [run / LAST])]
