"""Explanations as files: a figure a picture, or the arrays of all of them in one file."""

from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.attention import Explanation
from vaa_cli.core.reports.explanation_figure import ExplainedPicture, explanation_figure
from vaa_cli.core.system.files import write_bytes
from vaa_cli.core.system.folders import make_folder

# No picture that a model explains is called so by accident.
ENDING = ".attention.png"
# The most that a figure shows of a picture, width and height.
_SHOWN = (720, 360)


class Figures:
    """Figures in a folder, each called as its picture is, or sheets of several pictures.

    Args:
        folder: made when the first figure is written.
        card: the model's.
        per_sheet: number of pictures in a figure.
        has_all_stages: whether each stage has a row of maps.
    """

    def __init__(
        self, folder: Path, card: ModelCard, per_sheet: int = 1, has_all_stages: bool = False
    ) -> None:
        self._folder, self._card = folder, card
        self._per_sheet, self._has_all_stages = per_sheet, has_all_stages
        self._waiting: list[ExplainedPicture] = []
        self._names: set[str] = set()
        self._repeats: Counter[str] = Counter()
        self._sheets = 0

    def add(
        self, request: Request, explanation: Explanation, attributes: Sequence[int]
    ) -> Path | None:
        """Draw a picture that is not broken.

        Args:
            request: the picture.
            explanation: its explanation.
            attributes: positions of the attributes that have a map.

        Returns:
            The path of the figure that was written; None while a sheet has room.

        Raises:
            VAAError: it cannot be written, or matplotlib is not installed.
            PictureError: the picture broke since it was explained.
        """
        source = request.path if request.content is None else request.content
        width, height = _SHOWN
        picture = open_picture(source, request.box, (height, width), self._card.box_margin)
        picture.thumbnail(_SHOWN)
        self._waiting.append(ExplainedPicture(picture, explanation, attributes))
        return self.finish() if len(self._waiting) == self._per_sheet else None

    def finish(self) -> Path | None:
        """Write what waits for a sheet to be full; the path of the figure, None if there is none.

        Raises:
            VAAError: it cannot be written, or matplotlib is not installed.
        """
        pictures, self._waiting = self._waiting, []
        if not pictures:
            return None
        make_folder(self._folder)
        path = self._folder / self._name(pictures[0].explanation.prediction.request.path)
        write_bytes(path, explanation_figure(pictures, self._card, self._has_all_stages))
        return path

    def _name(self, picture: str) -> str:
        if self._per_sheet > 1:
            self._sheets += 1
            return f"sheet-{self._sheets}{ENDING}"
        stem = Path(picture).stem
        name = f"{stem}{ENDING}"
        while name in self._names:
            self._repeats[stem] += 1
            name = f"{stem}-{1 + self._repeats[stem]}{ENDING}"
        self._names.add(name)
        return name


def has_arrays(start: bytes) -> bool:
    """Whether a file that begins with some bytes is one that `Arrays` writes."""
    return start.startswith(b"PK\x03\x04") and b"images.npy" in start[:64]


class Arrays:
    """Explanations as NumPy arrays in one .npz file.

    With `n` pictures that are not broken, `c` attributes and stages `i`:

    - `images` `[n]`: text, as the pictures were named;
    - `boxes` `[n x 4]` float64: left, top, width, height, NaN for the whole picture;
    - `attributes` `[c]`: text;
    - `probabilities` `[n x c]` float32, of the aggregated prediction;
    - `attention_i` `[n x c x h_i x w_i]` float32: a of eq. 2, each map sums to 1;
    - `confidence_i` `[n x c x h_i x w_i]` float32, in [0, 1]; their product is what the attention
      classifier of the stage reads.

    Maps cover what the model sees of a picture: all of it, or its box with the model's margin.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._explanations: list[Explanation] = []

    def add(self, explanation: Explanation) -> None:
        """Keep the explanation of a picture that is not broken."""
        self._explanations.append(explanation)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            VAAError: it cannot be written.
        """
        predictions = [explanation.prediction for explanation in self._explanations]
        requests = [prediction.request for prediction in predictions]
        nowhere = (np.nan,) * 4
        arrays: dict[str, np.ndarray] = {
            "images": np.array([request.path for request in requests], dtype=str),
            "boxes": np.array([request.box or nowhere for request in requests]).reshape(-1, 4),
            "attributes": np.array(self._card.attributes, dtype=str),
            "probabilities": np.array([p.probabilities for p in predictions], dtype=np.float32),
        }
        for stage in self._card.stages:
            maps = [explanation.stages[stage] for explanation in self._explanations]
            arrays[f"attention_{stage}"] = np.array([m.attention for m in maps])
            arrays[f"confidence_{stage}"] = np.array([m.confidence for m in maps])
        file = BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        write_bytes(path, file.getvalue())
