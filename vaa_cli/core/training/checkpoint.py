"""Loading a checkpoint into a training."""

from pathlib import Path
from typing import Any

from vaa_cli.core.errors import VAAError
from vaa_cli.core.training.progress import Progress
from vaa_cli.core.training.state_file import read_state
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
    state = read_state(path)
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
