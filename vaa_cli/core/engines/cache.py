"""Models converted for another engine, kept so that the next prediction starts at once."""

import contextlib
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from vaa_cli.core.engines.formats import ModelFormat
from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.file_cache import cache_folder
from vaa_cli.core.system.files import (
    content_digest,
    content_parts,
    reading_errors,
    sync_tree,
    write_text,
)
from vaa_cli.core.system.folders import remove_abandoned_folders, temporary_folder
from vaa_cli.core.system.locks import exclusive
from vaa_cli.core.system.process_folder import process_folder

_LOGGER = logging.getLogger(__name__)
# The number of converted models that are kept; the oldest are removed.
_KEPT = 8
# Part of their names; a new number leaves those of earlier conversions.
_CONVERSION = 2
# Pictures on which a converted model is compared with the original.
_COMPARED = 3
# A folder of digests beside them, and how many of these are kept.
_DIGESTS, _KEPT_DIGESTS = ".digests", 64


@contextmanager
def converted_model(path: Path, format: ModelFormat) -> Iterator[Path]:
    """A model converted to another format, to open in the block: from the cache, or converted now.

    A cached model was converted from a file of exactly this content by exactly these versions.
    Where the cache cannot be written, the converted model is there for the block only.

    Args:
        path: a model file of vaa.
        format: the format to convert to.

    Yields:
        The converted file.

    Raises:
        VAAError: the model cannot be read or converted, or be written anywhere.
    """
    versions = "-".join(version(package) for package in ("vaa-cli", "torch", format.name))
    name = f"{format.name}-{model_digest(path)[:24]}-{_CONVERSION}-{versions}"
    try:
        cached = _cached(path, name, format)
    except (OSError, VAAError) as error:
        if not isinstance(error if isinstance(error, OSError) else error.__cause__, OSError):
            raise
        _LOGGER.warning(
            "the converted model cannot be kept (%s), so the next prediction converts it again; "
            "VAA_CACHE=DIR names another folder for it",
            one_line(error),
        )
        with _unkept(path, format) as file:
            yield file
        return
    yield cached


def model_digest(path: Path) -> str:
    """The digest of a model file's content, kept for as long as the file does not change.

    To read a large model only for this would take longer than all else before the first row.

    Raises:
        VAAError: the file cannot be read.
    """
    state: list[object] = [os.path.realpath(path)]
    for part in content_parts(path):
        with reading_errors(part):
            status = part.stat()
        state += [status.st_dev, status.st_ino, status.st_size]
        state += [status.st_mtime_ns, status.st_ctime_ns]
    name = hashlib.blake2b(repr(state).encode(errors="surrogateescape"), digest_size=16).hexdigest()
    try:
        kept = cache_folder() / _DIGESTS / name
        if kept.is_file():
            return kept.read_text()
        digest = content_digest(path)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, digest)
        _remove_older(kept.parent, _KEPT_DIGESTS)
    except (OSError, VAAError):  # without a cache it is read each time
        return content_digest(path)
    return digest


def _cached(path: Path, name: str, format: ModelFormat) -> Path:
    target = cache_folder() / name
    file = target / f"model{format.suffix}"
    if not file.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Another process may be converting it; then this one takes what that one made.
        with exclusive(target.with_name(f".{name}.lock"), target.parent, "", wait=True):
            if not file.is_file():
                remove_abandoned_folders(target)
                _LOGGER.info("converting the model for %s, once …", format.name)
                _convert_into(target, path, format)
        _remove_older(target.parent, _KEPT)
    with contextlib.suppress(OSError):  # a cache that can only be read
        os.utime(target)
    return file


def _convert_into(target: Path, path: Path, format: ModelFormat) -> None:
    with temporary_folder(target) as beside:
        _convert(path, beside / f"model{format.suffix}", format)
        sync_tree(beside)
        beside.rename(target)


@contextmanager
def _unkept(path: Path, format: ModelFormat) -> Iterator[Path]:
    """A converted model in a temporary folder, which is gone after the block."""
    try:
        folder = Path(tempfile.mkdtemp(dir=process_folder()))
        try:
            file = folder / f"model{format.suffix}"
            _LOGGER.info("converting the model for %s …", format.name)
            _convert(path, file, format)
            yield file
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise VAAError(
            f"the converted model cannot be written ({one_line(error)}); name a folder for it with "
            "VAA_CACHE=DIR, or use `engine=torch`"
        ) from error


def _convert(path: Path, file: Path, format: ModelFormat) -> None:
    from vaa_cli.core.engines.parity import compare, noise
    from vaa_cli.core.models.model_file import load_model

    model, card = load_model(path)
    format.write(file, model, card)
    assert format.open is not None
    engine = format.open(file, "fp32", None)
    parity = compare(engine, model, card, noise(card, _COMPARED))
    parity.require(format.name, "predict with `engine=torch`")


def _remove_older(folder: Path, kept: int) -> None:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
    for entry in entries[kept:]:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
