"""Failures amidst a block that writes."""

from vaa_cli.core.errors import VAAError


class Stop(Exception):
    """Something that goes wrong half-way."""


FAILURES: tuple[type[BaseException], ...] = (Stop, KeyboardInterrupt, OSError)


def raised(failure: type[BaseException]) -> type[BaseException]:
    """What comes out of a block in which a failure happens."""
    return VAAError if failure is OSError else failure
