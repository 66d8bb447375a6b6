"""The trips that data makes through the code: modules entered, and calls between rooms.

Counts, under `sys.setprofile`, on the way of

- an image path in `vaa predict`, from the word on the command line to its row;
- a label, from `vaa prepare` to the loss;
- `--lr`, from the command line to the optimizer.

    python -m tests.helpers.trips
"""

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from tests.helpers.command import captured_streams, working_folder
from tests.helpers.figures import make_dataset

PACKAGE = f"{os.sep}vaa_cli{os.sep}"


@dataclass
class Trip:
    """What was entered on a trip.

    Attributes:
        modules: calls into each module of the package.
        crossings: calls from one room to another, by the two rooms.
    """

    modules: Counter[str] = field(default_factory=Counter)
    crossings: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __str__(self) -> str:
        calls = sum(self.crossings.values())
        return f"{len(self.modules)} modules, {len(self.crossings)} arrows, {calls} calls"


def room_of(module: str) -> str:
    """The room of a module; the flat core of before had none, so each module was one."""
    parts = module.split("/")
    if parts[0] != "core":
        return parts[0]
    return parts[1] if len(parts) > 2 else parts[-1].removesuffix(".py")


def traced(work: Callable[[], object], relevant: Callable[[FrameType], bool]) -> Trip:
    """Run some work, and count the calls whose frames are relevant."""
    trip = Trip()

    def module_of(frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        return name.split(PACKAGE, 1)[1].replace(os.sep, "/") if PACKAGE in name else None

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or frame.f_code.co_name.startswith("<"):
            return
        module = module_of(frame)
        if module is None or not relevant(frame):
            return
        trip.modules[module] += 1
        caller = frame.f_back
        while caller is not None and module_of(caller) is None:
            caller = caller.f_back
        origin = module_of(caller) if caller is not None else None
        if origin is not None and room_of(origin) != room_of(module):
            trip.crossings[room_of(origin), room_of(module)] += 1

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return trip


def holds(wanted: Callable[[Any], bool]) -> Callable[[FrameType], bool]:
    """Whether an argument of a call, or a field of one, is wanted."""

    def relevant(frame: FrameType) -> bool:
        code = frame.f_code
        count = code.co_argcount + code.co_kwonlyargcount
        names = list(code.co_varnames[: count + bool(code.co_flags & 0x0C) * 2])
        values = [frame.f_locals[name] for name in names if name in frame.f_locals]
        return any(_reaches(value, wanted, 3) for value in values)

    return relevant


def _reaches(value: Any, wanted: Callable[[Any], bool], depth: int) -> bool:
    try:
        if wanted(value):
            return True
    except Exception:
        return False
    if depth == 0 or isinstance(value, str | bytes | int | float):
        return False
    if isinstance(value, dict):
        return any(_reaches(item, wanted, depth - 1) for item in list(value.values())[:50])
    if isinstance(value, list | tuple):
        return any(_reaches(item, wanted, depth - 1) for item in list(value)[:50])
    if type(value).__module__.startswith("vaa_cli"):
        fields = getattr(value, "__dict__", {})
        return any(_reaches(item, wanted, depth - 1) for item in list(fields.values())[:50])
    return False


def run(*arguments: str) -> None:
    """Run `vaa` in this process."""
    from vaa_cli import app

    with captured_streams(None) as read:
        try:
            code: Any = app.run(list(arguments))
        except SystemExit as error:
            code = error.code
        texts = read()
    assert code in (0, None), texts


def trips() -> dict[str, Trip]:
    """The three trips, made in a new folder."""
    import numpy as np

    rate = 0.00123
    with tempfile.TemporaryDirectory() as name, working_folder(Path(name)):
        make_dataset(Path("people"), 24)
        quick = "--backbone resnet18 --weights none --image-size 64x32 --batch-size 8 --workers 0"
        train = ["train", *quick.split(), "--epochs", "1", "--no-tensorboard"]
        run("prepare", "people")
        run(*train, "--run", "warm")
        run("predict", "people/images/000.png", "--run", "warm", "--engine", "torch")

        def is_label(value: Any) -> bool:
            return isinstance(value, np.ndarray) and value.dtype == np.int8 and value.ndim == 2

        def labels() -> None:
            run("prepare", "people", "again")
            run(*train, "--data", "again", "--run", "labels")

        predict = ["predict", "people/images/000.png", "--run", "warm", "--engine", "torch"]
        return {
            "an image path in predict": traced(
                lambda: run(*predict, "--workers", "0"),
                holds(lambda value: isinstance(value, str) and value.endswith("images/000.png")),
            ),
            "a label, from prepare to the loss": traced(labels, holds(is_label)),
            "--lr, from the command line to the optimizer": traced(
                lambda: run(*train, "--lr", str(rate), "--run", "rate"),
                holds(lambda value: isinstance(value, float) and value == rate),
            ),
        }


if __name__ == "__main__":
    for name, trip in trips().items():
        print(f"{name}: {trip}")
        if "-v" in sys.argv:
            for (origin, target), count in sorted(trip.crossings.items()):
                print(f"    {origin} -> {target}: {count}")
            print("   ", ", ".join(sorted(trip.modules)))
