"""What the commands that apply a model have in common."""

from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.commands.console import say
from vaa_cli.core.world import World

if TYPE_CHECKING:
    from vaa_cli.core.engine import Engine


def open_with_workers(
    path: Path, engine: str, precision: str, device: str, workers: int | None, world: World
) -> tuple["Engine", int]:
    """Open a model, and meanwhile let start what decoding processes are forked from.

    Args:
        path: the model file.
        engine: one of `engine.ENGINES`.
        precision: one of `engine.PRECISIONS`.
        device: `auto`, or what torch calls it.
        workers: decoding processes; None chooses for the machine.
        world: the processes that work together.

    Returns:
        The engine, and how many processes decode for it.

    Raises:
        VAAError: it is no model file, or the choice is not possible here.
    """
    from vaa_cli.core.decoding_pool import MODULES
    from vaa_cli.core.engine import EngineChoice, open_engine
    from vaa_cli.core.parallel import decoding_workers, start_early

    workers = decoding_workers(world.local_size) if workers is None else workers
    if workers:
        start_early(["vaa_cli.app", *MODULES])
    choice = EngineChoice(engine, precision, device, world.local_rank, world.local_size)
    model = open_engine(path, choice, lambda name: say(f"converting the model for {name}, once …"))
    say(f"{path}: {model.name}")
    return model, workers
