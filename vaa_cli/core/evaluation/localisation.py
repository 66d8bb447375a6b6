"""Whether the attention maps of a model lie on the regions of the attributes."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.evaluation.attribute_regions import AttributeRegions, BoxRegions, MaskRegions
from vaa_cli.core.evaluation.labelled_split import LabelledSplit
from vaa_cli.core.evaluation.pointing_game import PointingResult, Region, score_pointing
from vaa_cli.core.images.requests import table_requests
from vaa_cli.core.labels.table import LabelTable

if TYPE_CHECKING:
    from vaa_cli.core.prediction.attention import AttentionReader  # which loads torch

# The name of the map that explanations draw: the mean of the stages that are fine enough.
EXPLAINED = "explained"


def read_regions(
    split: LabelledSplit, boxes: Path | None, masks: Path | None
) -> AttributeRegions | None:
    """Read the regions of attributes from boxes or from masks.

    Args:
        split: the pictures.
        boxes: a CSV of boxes, see `BoxRegions`.
        masks: a folder of masks, see `MaskRegions`.

    Returns:
        The regions; None if neither boxes nor masks are given.

    Raises:
        VAAError: both are given, the files are wrong, or they are of none of the pictures.
    """
    card, table = split.card, split.table
    if boxes is not None and masks is not None:
        raise VAAError("`boxes` and `masks` both say where attributes are; give one of them")
    if boxes is not None:
        known = {image for part in split.dataset.splits.values() for image in part.row_images}
        return BoxRegions(boxes, table, known, card.attributes, card.box_margin)
    if masks is not None:
        return MaskRegions(masks, table, card.attributes, card.box_margin)
    return None


def score_attention(
    reader: "AttentionReader", table: LabelTable, regions: AttributeRegions
) -> PointingResult:
    """Score the attention maps of all stages of a model.

    Args:
        reader: the model.
        table: the pictures, with the labels of the model's attributes.
        regions: regions of attributes in some of the pictures.

    Returns:
        The scores of the map that explanations draw, named `EXPLAINED`, of the confidence-weighted
        maps, named `stage 3` and so on, and of attention without confidence, named `stage 3,
        attention alone`.

    Raises:
        VAAError: a picture, or the file of its regions, is missing or broken; or the model has no
            attention.
    """
    if not reader.card.stages:
        raise VAAError("the model has no attention maps: it was trained with `stages` none")

    def maps_of_regions() -> Iterator[tuple[Region, dict[str, NDArray[np.float32]]]]:
        explanations = reader.read(table_requests(table, regions.rows))
        for row, explanation in zip(regions.rows, explanations, strict=True):
            if explanation.prediction.problem is not None:
                raise VAAError(f"{table.path(row)}: {explanation.prediction.problem}")
            for region in regions.of(row):
                maps = {EXPLAINED: explanation.combined(region.attribute)}
                for stage, found in explanation.stages.items():
                    attention = found.attention[region.attribute]
                    maps[f"stage {stage}"] = attention * found.confidence[region.attribute]
                    maps[f"stage {stage}, attention alone"] = attention
                yield region, maps

    return score_pointing(maps_of_regions(), len(table.attributes))
