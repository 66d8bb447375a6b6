"""Exports: a model written in another format, read back, and compared with the original."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.engines.base import Engine
from vaa_cli.core.engines.convert import quantise
from vaa_cli.core.engines.formats import FORMATS
from vaa_cli.core.errors import PictureError, VAAError
from vaa_cli.core.images.decode import Decoder
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.inference import Normalisation, probabilities_of
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.system.files import sync_tree, writing_errors
from vaa_cli.core.system.folders import make_folder, temporary_folder

# Different orders of the same float32 sums stay well below.
TOLERANCE = 1e-3
# Pictures that are compared, where none were named; and that a quantisation is calibrated with.
_COMPARED, CALIBRATED = 16, 300


@dataclass(frozen=True)
class Parity:
    """The differences between an exported model and the original.

    Attributes:
        pictures: number of pictures that were compared.
        worst: largest difference of a probability.
        agreeing: fraction of (picture, attribute) pairs with the same decision at 0.5.
    """

    pictures: int
    worst: float
    agreeing: float


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
    pictures = _noise(card) if calibration is None else _decoded(calibration, card)
    make_folder(out.parent)
    with writing_errors(out), temporary_folder(out) as beside:
        written = beside / f"{out.stem}{format.suffix}"
        format.write(written, model, card)
        if calibration is not None:
            written = quantise(written, pictures)
        precision = "fp32" if calibration is None else "auto"
        engine = format.open(written, precision, None) if format.open else _Program(written)
        parity = _compare(engine, model, card, pictures)
        if calibration is None and not parity.worst <= TOLERANCE:
            raise VAAError(
                f"the {kind} model differs from the original by up to {parity.worst:.2g} in "
                "probability; nothing was written; please report this"
            )
        sync_tree(beside)
        # The weights first: an .xml file without them would be no model.
        for path in sorted(beside.iterdir(), key=lambda path: path.suffix != ".bin"):
            os.replace(path, out.with_suffix(path.suffix))
    return parity


def _noise(card: ModelCard) -> NDArray[np.uint8]:
    """Smooth coloured noise, which exercises a model as pictures do."""
    rng = np.random.default_rng(0)
    height, width = card.image_size
    coarse = torch.from_numpy(rng.uniform(0, 255, (_COMPARED, 3, 8, 8)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth.round().to(torch.uint8).numpy()


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


@torch.no_grad()
def _compare(engine: Engine, model: VAA, card: ModelCard, pictures: NDArray[np.uint8]) -> Parity:
    normalise = Normalisation(card.mean, card.std)
    worst, agreeing, count = 0.0, 0, 0
    for start in range(0, len(pictures), _COMPARED):
        batch = pictures[start : start + _COMPARED]
        images = normalise(torch.from_numpy(batch))
        expected = probabilities_of(model(images).logits, card).numpy()
        found = engine.probabilities(np.ascontiguousarray(batch))
        worst = max(worst, float(np.abs(found - expected).max()))
        agreeing += int(((found >= 0.5) == (expected >= 0.5)).sum())
        count += expected.size
    return Parity(len(pictures), worst, agreeing / count)
