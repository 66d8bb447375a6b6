"""Reading a model's attention on the pictures of which places are known, and scoring it there."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.attribute_regions import AttributeRegions
from vaa_cli.core.evaluation.labelled_split import LabelledSplit
from vaa_cli.core.evaluation.pointing_game import PointingResult, Region, score_pointing
from vaa_cli.core.images.requests import Request
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.prediction.attention import AttentionReader


def score_regions(
    reader: AttentionReader, table: LabelTable, regions: AttributeRegions
) -> PointingResult:
    """Score the maps of all stages of a model.

    Args:
        reader: the model.
        table: the pictures, with the labels of the model's attributes.
        regions: of some of them.

    Returns:
        The scores of the confidence-weighted maps, as `stage 3` and so on, and of attention alone,
        as `stage 3, attention alone`.

    Raises:
        VAAError: a picture, or what tells its regions, is missing or broken.
    """
    requests = (Request(str(table.path(row)), table.box(row), row) for row in regions.rows)

    def seen() -> Iterator[tuple[Region, dict[str, NDArray[np.float32]]]]:
        for row, explanation in zip(regions.rows, reader.read(requests), strict=True):
            if explanation.prediction.problem is not None:
                raise VAAError(f"{table.path(row)}: {explanation.prediction.problem}")
            for place in regions.of(row):
                maps = {}
                for stage, found in explanation.stages.items():
                    attention = found.attention[place.attribute]
                    maps[f"stage {stage}"] = attention * found.confidence[place.attribute]
                    maps[f"stage {stage}, attention alone"] = attention
                yield place, maps

    return score_pointing(seen(), len(table.attributes))


def read_regions(
    split: LabelledSplit, boxes: Path | None, masks: Path | None
) -> "AttributeRegions | None":
    """Where attributes are, as boxes or masks tell; None where neither are given.

    Raises:
        VAAError: they are wrong, or of none of the split's pictures.
    """
    from vaa_cli.core.evaluation.attribute_regions import BoxRegions, MaskRegions

    card, table = split.card, split.table
    if boxes is not None:
        known = {image for part in split.dataset.splits.values() for image in part.row_images}
        return BoxRegions(boxes, table, known, card.attributes, card.box_margin)
    if masks is not None:
        return MaskRegions(masks, table, card.attributes, card.box_margin)
    return None


def score_attention(
    reader: "AttentionReader", table: "LabelTable", regions: "AttributeRegions"
) -> "PointingResult":
    """How the maps of a model score on regions.

    Raises:
        VAAError: a picture or a mask is missing or broken.
    """

    return score_regions(reader, table, regions)
