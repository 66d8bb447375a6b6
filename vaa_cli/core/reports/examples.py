"""Pictures that a model is most right, wrong and unsure about, as small JPEGs."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from vaa_cli.core.images.decode import open_picture
from vaa_cli.core.images.overlay import overlay, side_by_side
from vaa_cli.core.images.requests import table_requests
from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED, LabelTable
from vaa_cli.core.prediction.decisions import Limits, decided, thresholds_of

if TYPE_CHECKING:
    from vaa_cli.core.prediction.attention import AttentionReader  # which loads torch

_QUALITY = 60
# Below this scale nothing would be seen on them.
_SMALLEST = 0.2


class Example(NamedTuple):
    """A picture that stands for an attribute.

    Attributes:
        kind: one of `KINDS`.
        row: row of the table.
        attribute: position of the attribute.
    """

    kind: str
    row: int
    attribute: int


KINDS = {
    "missed": "surest wrong: missed",
    "wrongly seen": "surest wrong: wrongly seen",
    "unsure": "least sure",
    "right": "surest right",
}
MISTAKES = ("missed", "wrongly seen")


@dataclass(frozen=True)
class RenderedExample:
    """An example as a picture: the photo and the maps of each stage, side by side.

    Attributes:
        example: the example.
        name: name of the picture, with the person's box if there is one.
        source: a `data:` address with a JPEG.
        size: its width and height.
    """

    example: Example
    name: str
    source: str
    size: tuple[int, int]


def choose_examples(
    probabilities: ArrayLike,
    targets: ArrayLike,
    limits: Limits,
    mistakes: Sequence[int],
    others: int,
) -> list[Example]:
    """The surest wrong, the least sure and the surest right pictures of each attribute.

    Args:
        probabilities: `[n x c]`.
        targets: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        limits: how it is decided: a rule, or thresholds `[c]`.
        mistakes: `c` numbers of each kind of mistake.
        others: number of each other kind.
    """
    probs = np.asarray(probabilities, dtype=np.float64)
    truth, present, thresholds = np.asarray(targets), decided(probs, limits), thresholds_of(limits)
    chosen: list[Example] = []
    for c in range(probs.shape[1]):
        p, label = probs[:, c], truth[:, c]
        seen = present[:, c]
        # By how sure, the surest first; of those right only positives, which are the rarer.
        kinds = {
            "missed": ((label == PRESENT) & ~seen, p),
            "wrongly seen": ((label == ABSENT) & seen, -p),
            "unsure": (label != UNSPECIFIED, np.abs(p - thresholds[c])),
            "right": ((label == PRESENT) & seen, -p),
        }
        for kind, (rows, order) in kinds.items():
            number = mistakes[c] if kind in MISTAKES else others
            among = np.flatnonzero(rows)
            first = among[np.argsort(order[among], kind="stable")[:number]]
            chosen += [Example(kind, row, c) for row in first.tolist()]
    return chosen


def render_examples(
    examples: Sequence[Example],
    reader: "AttentionReader",
    table: LabelTable,
    height: int,
    most_bytes: int,
) -> list[RenderedExample]:
    """Draw examples, in their order; those whose pictures broke meanwhile are left out.

    Args:
        examples: the examples.
        reader: the model.
        table: their pictures.
        height: height of each, in pixels.
        most_bytes: length of all addresses together; pictures are made smaller to keep it.
    """
    wanted: dict[int, list[int]] = {}
    for place, example in enumerate(examples):
        wanted.setdefault(example.row, []).append(place)
    rows = sorted(wanted)
    sheets: dict[int, Image.Image] = {}
    for row, explanation in zip(rows, reader.read(table_requests(table, rows)), strict=True):
        if explanation.prediction.problem is not None:
            continue
        pixels = _scaled(table, row, height, reader.card.box_margin)
        for place in wanted[row]:
            attribute = examples[place].attribute
            maps = (stage.weighted[attribute] for stage in explanation.stages.values())
            sheet = side_by_side([pixels, *(overlay(pixels, heat) for heat in maps)], axis=1)
            sheets[place] = Image.fromarray(sheet)
    addresses = _addresses(sheets, most_bytes)
    return [
        RenderedExample(
            examples[place], _name(table, examples[place].row), address, sheets[place].size
        )
        for place, address in sorted(addresses.items())
    ]


def _name(table: LabelTable, row: int) -> str:
    box = table.box(row)
    return table.row_images[row] if box is None else f"{table.row_images[row]} {box}"


def _scaled(table: LabelTable, row: int, height: int, margin: float) -> NDArray[np.uint8]:
    picture = open_picture(table.path(row), table.box(row), (2 * height, 2 * height), margin)
    # Very wide ones are drawn lower, so that no example fills the page.
    scale = min(height / picture.height, 1.5 * height / picture.width)
    size = (max(1, round(scale * picture.width)), max(1, round(scale * picture.height)))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def _addresses(sheets: Mapping[int, Image.Image], most_bytes: int) -> dict[int, str]:
    """The addresses of sheets, drawn with fewer pixels where all would be too long."""
    scale = 1.0
    while True:
        addresses = {place: _jpeg(sheet, scale) for place, sheet in sheets.items()}
        length = sum(map(len, addresses.values()))
        if length <= most_bytes or scale < _SMALLEST:
            return addresses
        scale *= 0.9 * (most_bytes / length) ** 0.5


def _jpeg(sheet: Image.Image, scale: float) -> str:
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in sheet.size)
        sheet = sheet.resize((width, height))
    file = BytesIO()
    sheet.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
