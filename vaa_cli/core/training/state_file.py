"""Nested values with tensors as a file: safetensors, with the structure as JSON beside them."""

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from vaa_cli.core.errors import VAAError, one_line
from vaa_cli.core.system.files import whole_path
from vaa_cli.core.system.input_files import opened_file, parse_json

# The one key of the file's metadata, which keeps strings only.
_STRUCTURE = "vaa-state"
_PLAIN = (str, int, float, bool, type(None))
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write nested dicts, lists and tuples of tensors and plain values, whole or not at all.

    Raises:
        VAAError: the file cannot be written.
        TypeError: there is a value of another type.
    """
    encoder = _Encoder()
    structure = json.dumps(encoder.encoded(state))
    with whole_path(path) as beside:
        try:
            save_file(encoder.tensors, beside, {_STRUCTURE: structure})
        except SafetensorError as error:
            number = _OS_ERROR.search(str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, or a checkpoint of an earlier version; tensors on the CPU.

    Raises:
        VAAError: the file cannot be read, or is no such file.
    """
    with opened_file(path) as file:
        is_zip = file.read(2) == b"PK"
    try:
        if is_zip:  # torch.save's, which version 0.1 wrote
            return dict(torch.load(path, map_location="cpu", weights_only=True))
        with safe_open(path, "pt") as tensors:
            structure = parse_json((tensors.metadata() or {})[_STRUCTURE])
            return dict(_decoded(structure, tensors))
    except OSError as error:
        raise VAAError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a broken file raises many kinds
        raise VAAError(f"{path} is not the state of a training: {one_line(error, 120)}") from error


class _Encoder:
    """Turns nested values into JSON, with names in the places of tensors.

    Attributes:
        tensors: the tensors by these names, on the CPU, each with memory of its own.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._storages: set[int] = set()

    def encoded(self, value: Any) -> Any:
        """A value as JSON."""
        if isinstance(value, Tensor):
            name = f"{len(self.tensors):06d}"
            self.tensors[name] = self._apart(value.detach().cpu().contiguous())
            return {"tensor": name}
        if isinstance(value, dict):
            return {"dict": [[_plain(key), self.encoded(item)] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            kind = "tuple" if isinstance(value, tuple) else "list"
            return {kind: [self.encoded(item) for item in value]}
        return _plain(value)

    def _apart(self, value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        is_part = storage.nbytes() != value.numel() * value.element_size()
        if is_part or storage.data_ptr() in self._storages:
            return value.clone()
        self._storages.add(storage.data_ptr())
        return value


def _plain(value: Any) -> Any:
    if type(value) not in _PLAIN:
        raise TypeError(f"a {type(value).__name__} cannot be kept in a checkpoint")
    return value


def _decoded(value: Any, tensors: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors.get_tensor(content)
    if kind == "dict":
        return {key: _decoded(item, tensors) for key, item in content}
    items = [_decoded(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
