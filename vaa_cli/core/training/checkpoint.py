"""The state of a training: saved, and loaded without unpickling any object."""

from pathlib import Path
from typing import Any

import torch

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import whole_file
from vaa_cli.core.training.progress import Progress
from vaa_cli.core.training.train_state import TrainState

SCHEMA = 1


def load_checkpoint(
    path: Path, about: dict[str, Any], train_state: TrainState
) -> tuple[Progress, int]:
    """Load a checkpoint.

    Args:
        path: the checkpoint.
        about: the entries of `RunWriter`, of the data and options of now.
        train_state: the state to load it into.

    Returns:
        The position of the training, and its steps in all.

    Raises:
        VAAError: the file cannot be read, is no checkpoint, or is of other data.
    """
    state = load_state(path)
    try:
        if state["schema"] != SCHEMA:
            raise VAAError(f"{path} has schema {state['schema']}, this vaa reads {SCHEMA}")
        if state["data"] != about["data"]:
            raise VAAError(
                f"{path} was trained on other pictures or labels than the prepared folder has now; "
                "prepare it as it was, or start a new run"
            )
        _require_same_pictures(path, state.get("pictures", {}), about.get("pictures", {}))
        train_state.load_state_dict(state)
        return Progress.from_state(state["progress"]), state["steps"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise VAAError(f"{path} does not fit this training ({error!r:.120})") from error


def _require_same_pictures(path: Path, before: dict[str, str], now: dict[str, str]) -> None:
    changed = [name for name, digest in now.items() if before.get(name, digest) != digest]
    if changed:
        raise VAAError(
            f"{path} was trained on other pictures: {changed[0]} has another content now "
            f"({len(changed)} of {len(now)} that were compared); put them back, or start a new run"
        )


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training, whole or not at all: plain values and tensors only.

    Raises:
        VAAError: the file cannot be written.
    """
    with whole_file(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # On a full disk torch's writer fails again as it closes; the first error is the reason.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> dict[str, Any]:
    """Read the state of a training, without unpickling any object.

    Raises:
        VAAError: the file cannot be read, or is no state of a training.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # torch and its unpickler raise many kinds for a broken file
        raise VAAError(f"{path} is not the state of a training: {type(error).__name__}") from error
    return state
