"""Failures of a training that the user can do something about, in one line each."""

from collections.abc import Iterator
from contextlib import contextmanager

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.models.devices import Compute, is_compiler_error, is_out_of_memory
from vaa_cli.core.system.distributed import ProcessGroup
from vaa_cli.core.training.options import TrainingOptions


@contextmanager
def explained_failures(
    options: TrainingOptions, compute: Compute, group: ProcessGroup, smallest: int
) -> Iterator[None]:
    """Explain errors of torch in the block.

    Args:
        options: the options of the training.
        compute: device and precision.
        group: the processes that train together.
        smallest: fewest images of a batch.

    Raises:
        VAAError: memory does not suffice, or the model cannot be compiled.
    """
    try:
        yield
    except RuntimeError as error:
        if is_out_of_memory(error):
            message = _out_of_memory(options, compute, group, smallest)
            raise VAAError(message) from error
        if options.compile and is_compiler_error(error):
            raise VAAError(
                f"torch cannot compile the model here ({one_line(error, 120)}); leave out `compile`"
            ) from error
        raise


def require_pictures(
    pictures: int, options: TrainingOptions, group: ProcessGroup, smallest: int
) -> None:
    """Check that there are enough training pictures for a batch.

    Raises:
        VAAError: there are not.
    """
    batch_size = options.resolved().batch_size
    if min(pictures, batch_size) >= smallest:
        return
    parts = f" in {options.accumulate} parts each" if options.accumulate > 1 else ""
    raise VAAError(
        f"{pictures} training pictures in batches of {batch_size}{_among(group)}{parts}: batch "
        f"normalisation needs two at a time, so {smallest} of each at least"
    )


def not_finite(position: str, pictures: str, kept: str, allowed: int) -> VAAError:
    """The error of a loss that is not finite.

    Args:
        position: epoch and step.
        pictures: names of pictures of the batch.
        kept: a clause on the last checkpoint; empty if there is none.
        allowed: number of such steps that are left out.
    """
    return VAAError(
        f"the loss is no longer a number in {position} (pictures: {pictures}){kept}; try a smaller "
        f"`lr` or `precision=fp32`, or `skip_bad_steps={allowed + 10}` to go on without such steps"
    )


def _out_of_memory(
    options: TrainingOptions, compute: Compute, group: ProcessGroup, smallest: int
) -> str:
    size, parts = options.resolved().batch_size, options.accumulate
    in_parts = f" in {parts} parts" if parts > 1 else ""
    half = max(smallest, size // 2)
    keeps = f", or `accumulate={2 * parts}`, which keeps the batch" if size >= 4 * parts else ""
    return (
        f"out of memory on {compute.device} with batches of {size}{_among(group)}{in_parts}; "
        f"try `batch_size={half}`{keeps}"
    )


def _among(group: ProcessGroup) -> str:
    return f" on {group.world_size} processes" if group.world_size > 1 else ""
