"""Numbers of bytes as people write them."""

import re

from vaa_cli.core.errors import VAAError

# Of a cache of files at URLs that a training reads again and again.
DEFAULT_CACHE_SIZE = "20GB"

_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3, "T": 1000**4}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", re.IGNORECASE)


def parse_size(text: str) -> int:
    """The number of bytes that a text means, such as `200GB`, `1.5 TB` or `512MiB`.

    Raises:
        VAAError: it is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise VAAError(f"{text!r} is no size; write 200GB, say")
    unit = _UNITS[match[2].upper()]
    if match[3]:
        unit = 1024 ** list(_UNITS.values()).index(unit)
    return int(float(match[1]) * unit)
