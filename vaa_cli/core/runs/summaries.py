"""The runs of a folder at a glance, and the removal of one."""

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.runs.folder import (
    BEST,
    CONFIG,
    FAULTS,
    LAST,
    LATEST,
    LOCK,
    LOG,
    RUNS,
    TRAINING_ROWS,
    has_begun,
    is_kept,
    kept_config,
    locked,
)
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.system.files import is_temporary, writing_errors

# What a training writes into its folder, and exports of its model.
_OURS = re.compile(
    rf"{re.escape(CONFIG)}|{re.escape(BEST)}|{re.escape(LAST)}|{LOG}"
    rf"|{FAULTS}|{re.escape(TRAINING_ROWS)}|{re.escape(LOCK)}|step-\d+\.ckpt|events\.out\.tfevents\..*|aside-\d+-\d+(-\d+)?"
    r"|best(-ema)?(-int8)?\.(onnx|xml|bin|pt2|safetensors)"  # -ema of earlier versions
)


@dataclass(frozen=True)
class RunSummary:
    """A run at a glance.

    Attributes:
        path: its folder.
        backbone: name of the backbone; empty where config.json is missing or broken.
        data: path of the prepared folder that it was trained on.
        epochs: number of epochs that are done.
        best: figures of the best epoch on val, by name; empty before the first one is done.
        has_model: whether it has a model to predict with.
        size: bytes that its files take.
    """

    path: Path
    backbone: str
    data: str
    epochs: int
    best: dict[str, float]
    has_model: bool
    size: int


def run_summaries(folder: Path = RUNS) -> list[RunSummary]:
    """The runs in a folder, the one that was changed last first."""
    if not folder.is_dir():
        return []
    runs = [run for run in folder.iterdir() if run.is_dir() and not run.is_symlink()]
    runs = [run for run in runs if has_begun(run) or is_kept(run)]
    runs.sort(key=lambda run: run.stat().st_mtime, reverse=True)
    return [_summary(run) for run in runs]


def _summary(run: Path) -> RunSummary:
    backbone = data = ""
    by = "mA"
    with contextlib.suppress(VAAError):
        options, prepared = kept_config(run)
        backbone, data = str(options.get("backbone", "")), str(prepared)
        by = str(options.get("best_by", by))
    log = read_log(run)
    best = max(log, key=lambda row: row.get(f"val_{by}", float("-inf")), default={})
    figures = {name: best[f"val_{name}"] for name in ("mA", "mAP") if f"val_{name}" in best}
    size = sum(path.lstat().st_size for path in run.rglob("*") if not path.is_dir())
    return RunSummary(run, backbone, data, len(log), figures, (run / BEST).is_file(), size)


def delete_run(run: Path) -> None:
    """Remove a run folder with all that is in it.

    Raises:
        VAAError: it is no run folder, holds files that no training writes, is being trained, or
            cannot be removed.
    """
    if run.is_symlink():
        run = run.parent / run.resolve().name
    if not run.is_dir():
        raise VAAError(f"{run}: no such run folder")
    if not (has_begun(run) or is_kept(run)):
        raise VAAError(f"{run} is no run folder (no {CONFIG}), so it stays")
    foreign = [
        path.name
        for path in sorted(run.iterdir())
        if not (_OURS.fullmatch(path.name) or is_temporary(path.name))
    ]
    if foreign:
        raise VAAError(f"{run} holds other files ({foreign[0]}), so it stays; move them away first")
    with locked(run), writing_errors(run):
        for path in run.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError):
        run.rmdir()  # where the lock did not
    link = run.parent / LATEST
    if link.is_symlink() and not link.exists():
        with contextlib.suppress(OSError):
            link.unlink()
