"""Exports: a model written in another format, read back, and compared with the original."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.engines.convert import quantise
from vaa_cli.core.engines.formats import FORMATS
from vaa_cli.core.engines.parity import Parity, compare, noise
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.system.files import sync_tree, writing_errors
from vaa_cli.core.system.folders import make_folder, temporary_folder

# Pictures that a quantisation is calibrated with.
CALIBRATED = 300


def export_model(
    model_path: Path, kind: str, out: Path, calibration: Iterable[ImageSource] | None = None
) -> Parity:
    """Write a model in another format, whole or not at all, once it computes the same.

    Args:
        model_path: a model file of vaa.
        kind: name of the format: `onnx`, `openvino` or `torch`.
        out: the file to write; OpenVINO's weights are written beside it, as .bin.
        calibration: pictures to calibrate with; the model is then quantised to int8.

    Raises:
        VAAError: it cannot be converted or written, computes something else, or no picture can be
            decoded.
    """
    format = FORMATS[kind]
    model, card = load_model(model_path)
    pictures = noise(card) if calibration is None else _decoded(calibration, card)
    make_folder(out.parent)
    with writing_errors(out), temporary_folder(out) as beside:
        written = beside / f"{out.stem}{format.suffix}"
        format.write(written, model, card)
        if calibration is not None:
            written = quantise(written, pictures)
        precision = "fp32" if calibration is None else "auto"
        engine = format.open(written, precision, None) if format.open else _Program(written)
        parity = compare(engine, model, card, pictures)
        if calibration is None:
            parity.require(kind, "nothing was written")
        sync_tree(beside)
        # The weights first: an .xml file without them would be no model.
        for path in sorted(beside.iterdir(), key=lambda path: path.suffix != ".bin"):
            os.replace(path, out.with_suffix(path.suffix))
    return parity


def _decoded(found: Iterable[ImageSource], card: ModelCard) -> NDArray[np.uint8]:
    """The first pictures that can be decoded, `[n x 3 x h x w]`."""
    decoder = Decoder(card.image_size, card.box_margin)
    pictures: list[NDArray[np.uint8]] = []
    for picture in found:
        try:
            decoded = decoder.decode(picture.request())
        except PictureError:
            continue
        pictures.append(np.asarray(decoded.picture).transpose(2, 0, 1))
        if len(pictures) == CALIBRATED:
            break
    if not pictures:
        raise VAAError("none of the pictures to calibrate with can be decoded; name others")
    return np.stack(pictures)


class _Program:
    """A `torch.export` program that this process has just written itself."""

    def __init__(self, path: Path) -> None:
        # Loading unpickles, which is safe for this file alone: this process has just written it.
        extra = {"vaa.json": ""}
        program = torch.export.load(path, extra_files=extra)
        self.name, self.card = "torch.export", ModelCard.from_json(extra["vaa.json"])
        self._module = program.module()

    def prepare(self, count: int) -> None:
        """It is ready for any number of images."""

    @torch.no_grad()
    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._module(torch.from_numpy(pixels)).numpy()
        return found
