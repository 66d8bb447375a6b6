"""A connection to a Ray cluster, and the size of the actors that it has place for."""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vaa_cli.core.errors import VAAError, one_line

# No report is sent, stderr keeps to what concerns the user, and nothing starts a cluster unasked.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
}
_CONNECTION_LIMIT = 10.0
# Cores of an actor at most: decoding and computing one model do not use more of them well.
_MOST_CORES = 16


@contextmanager
def ray_cluster(address: str) -> Iterator[Any]:
    """A connection to Ray.

    Args:
        address: `ray` for the cluster that RAY_ADDRESS names, or else for a new one on this
            machine, which ends with the block; or an address such as `ray://head:10001`.

    Yields:
        The module `ray`.

    Raises:
        VAAError: Ray is not installed, or there is no such cluster.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise VAAError("this needs Ray: pip install 'ray[data]'") from error
    was_connected = ray.is_initialized()
    # Without an address Ray would look for a cluster of this machine, also one that is gone.
    named = (os.environ.get("RAY_ADDRESS") or "local") if address == "ray" else address
    if ":" in named:
        _require_listening(named)
    if not was_connected:
        try:
            with _without_stderr():
                ray.init(named, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # of gRPC, or of Ray's many own
            raise VAAError(f"no Ray cluster at {address}: {_last_line(error)}") from error
    try:
        yield ray
    finally:
        if not was_connected:
            ray.shutdown()


def _require_listening(address: str) -> None:
    """Check that something listens at an address, where Ray would try for minutes.

    Raises:
        VAAError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECTION_LIMIT).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise VAAError(f"no Ray cluster at {address}: {reason}") from error


def _last_line(error: Exception) -> str:
    """The message of an error; that of a server is the end of a traceback of its own."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    is_traceback = any(line.startswith("Traceback (most recent call last)") for line in lines)
    return one_line(Exception(lines[-1]) if is_traceback else error, 120)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """A block in which libraries print nothing: Ray reports its own log level, for one."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@dataclass(frozen=True)
class ActorSize:
    """The cores and GPUs of an actor, and the number of actors that a cluster has place for."""

    cores: int
    gpus: int
    count: int


def actor_size(nodes: Sequence[dict[str, Any]], device: str) -> ActorSize:
    """The size of actors: one for each GPU, or for each node, of the nodes that are there."""
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    with_gpu = [found for found in resources if found.get("GPU", 0) >= 1]
    if with_gpu and not device.startswith("cpu"):
        cores = min(int(found.get("CPU", 1) // found["GPU"]) for found in with_gpu)
        count = sum(int(found["GPU"]) for found in with_gpu)
        return ActorSize(max(1, min(_MOST_CORES, cores)), 1, count)
    sizes = [int(found["CPU"]) for found in resources if found.get("CPU", 0) >= 1]
    if not sizes:
        raise VAAError("the Ray cluster has no CPUs")
    cores = min(_MOST_CORES, *sizes)
    return ActorSize(cores, 0, sum(size // cores for size in sizes))
