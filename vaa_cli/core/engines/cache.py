"""Models converted for another engine, kept so that the next prediction starts at once."""

import logging
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

from vaa_cli.core.engines.formats import ModelFormat
from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import content_digest, sync_tree

_LOGGER = logging.getLogger(__name__)
# The number of converted models that are kept; the oldest are removed.
_KEPT = 8


def converted_model(path: Path, format: ModelFormat) -> Path:
    """A model converted to another format: from the cache, or converted now.

    A cached model was converted from a file of exactly this content by exactly these versions.

    Args:
        path: a model file of vaa.
        format: the format to convert to.

    Returns:
        The converted file.

    Raises:
        VAAError: the model cannot be read or converted, or the cache cannot be written.
    """
    folder = cache_folder()
    versions = "-".join(version(package) for package in ("vaa-cli", "torch", format.name))
    target = folder / f"{format.name}-{content_digest(path)[:24]}-{versions}"
    file = target / f"model{format.suffix}"
    if not file.is_file():
        _LOGGER.info("converting the model for %s, once …", format.name)
        _convert(path, file, format)
        _remove_older(folder)
    os.utime(target)
    return file


def cache_folder() -> Path:
    """The folder of converted models; the environment variable VAA_CACHE names another one."""
    named = os.environ.get("VAA_CACHE")
    return Path(named) if named else user_cache_path("vaa", appauthor=False)


def _convert(path: Path, file: Path, format: ModelFormat) -> None:
    from vaa_cli.core.models.model_file import load_model

    model, card = load_model(path)
    target = file.parent
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        try:
            format.write(beside / file.name, model, card)
            sync_tree(beside)
            # Another process may have converted it meanwhile; then this one is not needed.
            if not target.exists():
                beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise VAAError(
            f"the converted model cannot be kept in {target.parent} ({error.strerror or error}); "
            "name another folder with VAA_CACHE=DIR, or use `engine=torch`"
        ) from error


def _remove_older(folder: Path) -> None:
    models = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    models.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for model in models[_KEPT:]:
        shutil.rmtree(model, ignore_errors=True)
