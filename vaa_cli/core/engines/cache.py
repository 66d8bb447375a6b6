"""Models converted for another engine, kept so that the next prediction starts at once."""

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

from vaa_cli.core.errors import VAAError
from vaa_cli.core.system.files import content_digest, sync_tree

# Of older ones, the cache keeps so many.
_KEPT = 8
_FILES = {"openvino": "model.xml", "onnx": "model.onnx"}


def converted_model(
    path: Path, kind: str, on_convert: Callable[[str], None] = lambda _: None
) -> Path:
    """A model converted for an engine: from the cache, or made now.

    What is there was made from a file of exactly this content by these versions.

    Args:
        path: a model file of vaa.
        kind: `openvino` or `onnx`.
        on_convert: called with the kind before it is made, which takes a while.

    Raises:
        VAAError: it cannot be read or converted, or nothing can be kept.
    """
    folder = cache_folder()
    versions = "-".join(version(package) for package in ("vaa-cli", "torch", kind))
    place = folder / f"{kind}-{content_digest(path)[:24]}-{versions}"
    file_name = _FILES[kind]
    if not (place / file_name).is_file():
        on_convert(kind)
        _make(place, path, kind)
        _forget_older(folder)
    os.utime(place)
    return place / file_name


def cache_folder() -> Path:
    """Where converted models are kept; $VAA_CACHE names another place."""
    named = os.environ.get("VAA_CACHE")
    return Path(named) if named else user_cache_path("vaa", appauthor=False)


def _make(place: Path, path: Path, kind: str) -> None:
    from vaa_cli.core.engines.convert import WRITERS
    from vaa_cli.core.models.model_file import load_model

    model, card = load_model(path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=".", dir=place.parent))
        try:
            WRITERS[kind](beside / _FILES[kind], model, card)
            sync_tree(beside)
            # Another process may have made it meanwhile; then this one is not needed.
            if not place.exists():
                beside.rename(place)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise VAAError(
            f"the converted model cannot be kept in {place.parent} ({error.strerror or error}); "
            "name another folder with VAA_CACHE=DIR, or use --engine torch"
        ) from error


def _forget_older(folder: Path) -> None:
    places = [place for place in folder.iterdir() if not place.name.startswith(".")]
    places.sort(key=lambda place: place.stat().st_mtime, reverse=True)
    for place in places[_KEPT:]:
        shutil.rmtree(place, ignore_errors=True)
