"""Files of the Hugging Face hub: from the cache that all its tools have, or downloaded."""

import logging
from pathlib import Path

from vaa_cli.core.errors import VAAError, one_line

_LOGGER = logging.getLogger(__name__)
_TIMEOUT = 10  # seconds for the first answer


def hub_file(repository: str, name: str) -> Path:
    """The path of a file of a repository on the hub.

    Args:
        repository: owner and name, such as `timm/convnext_tiny.in12k_ft_in1k`.
        name: name of the file.

    Raises:
        VAAError: it is not in the cache and cannot be downloaded.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(repository, name)
    if isinstance(cached, str):
        return Path(cached)
    _LOGGER.info("downloading %s of huggingface.co/%s …", name, repository)
    try:
        return Path(hf_hub_download(repository, name, etag_timeout=_TIMEOUT))
    except Exception as error:  # the hub's client has errors of its own and of what it works with
        raise VAAError(
            f"cannot download {name} of huggingface.co/{repository} ({_reason(error)}): put it "
            "into the hub's cache (HF_HOME), or give a file with `weights=FILE`, or start from "
            "scratch with `weights=none`"
        ) from error


def _reason(error: Exception) -> str:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError):
        return "it is not in the cache, and the hub cannot be reached"
    return one_line(error, 100)
