"""TensorBoard's files as TensorBoard reads them, and that failing to write them ends nothing."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.helpers.command import limited_file_size
from vaa_cli.core.errors import VAAError
from vaa_cli.core.training.tensorboard import TensorBoardLog, require_tensorboard


def read(run: Path) -> Any:
    events: Any = EventAccumulator(str(run))
    return events.Reload()


def test_scalars_and_pictures_are_read_back(tmp_path: Path) -> None:
    board = TensorBoardLog(tmp_path)
    board.scalars(3, {"loss": 0.5, "mA": math.nan})
    board.scalars(4, {"loss": 0.25, "mA": 0.75})
    board.picture(4, "attention", np.zeros((6, 9, 3), dtype=np.uint8))
    board.close()
    assert board.problem == ""
    events = read(tmp_path)
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 0.5), (4, 0.25)]
    assert [(e.step, e.value) for e in events.Scalars("mA")] == [(4, 0.75)]
    (picture,) = events.Images("attention")
    assert (picture.step, picture.width, picture.height) == (4, 9, 6)


def test_a_resumed_training_takes_back_what_came_after(tmp_path: Path) -> None:
    board = TensorBoardLog(tmp_path)
    for step in range(1, 7):
        board.scalars(step, {"loss": 1.0})
    board.close()
    board = TensorBoardLog(tmp_path, from_step=4)
    for step in range(4, 6):
        board.scalars(step, {"loss": 2.0})
    board.close()
    found = [(e.step, e.value) for e in read(tmp_path).Scalars("loss")]
    assert found == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0)]


def test_a_full_disk_ends_the_files_not_the_training(tmp_path: Path) -> None:
    board = TensorBoardLog(tmp_path)
    with limited_file_size(2000):
        for step in range(2000):
            board.scalars(step, {"loss": 1.0})
            if board.problem:
                break
        board.close()
    assert board.problem == "File too large"


def test_asked_for_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(VAAError, match="tensorboard, which is not installed"):
        require_tensorboard()
