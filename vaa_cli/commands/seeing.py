"""What `vaa evaluate` tells beside the figures: where the model looks, and the report."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.commands.scoring import Computation, LabelledSplit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaa_cli.core.attention import AttentionReader
    from vaa_cli.core.labels import LabelTable
    from vaa_cli.core.metrics import Scores
    from vaa_cli.core.places import Places
    from vaa_cli.core.pointing import Pointing
    from vaa_cli.core.report import Record

REPORT = "index.html"
# Pictures of each kind on the page, of all attributes together; it stays below 10 MB.
_EXAMPLES = 170
_EXAMPLE_HEIGHT = 112


def read_places(split: LabelledSplit, boxes: Path | None, masks: Path | None) -> "Places | None":
    """Where attributes are, as boxes or masks tell; None where neither are given.

    Raises:
        VAAError: they are wrong, or of none of the split's pictures.
    """
    from vaa_cli.core.places import BoxPlaces, MaskPlaces

    card, table = split.card, split.table
    if boxes is not None:
        known = {image for part in split.dataset.splits.values() for image in part.images}
        return BoxPlaces(boxes, table, known, card.attributes, card.box_margin)
    if masks is not None:
        return MaskPlaces(masks, table, card.attributes, card.box_margin)
    return None


def score_attention(reader: "AttentionReader", table: "LabelTable", places: "Places") -> "Pointing":
    """How the maps of a model score on places.

    Raises:
        VAAError: a picture or a mask is missing or broken.
    """
    from vaa_cli.core.place_scoring import score_places  # which loads torch

    return score_places(reader, table, places)


def write_report(
    folder: Path,
    split: LabelledSplit,
    name: str,
    probabilities: "NDArray[np.float32]",
    scores: "Scores",
    totals: "list[Record]",
    reader: "AttentionReader",
) -> None:
    """Write the page of an evaluation into a folder of its own.

    Args:
        folder: replaced if it holds a report and nothing else.
        split: what was scored.
        name: of the split.
        probabilities: `[n x c]`.
        scores: their figures.
        totals: with and without calibration; none if it is not calibrated.
        reader: the model, for where it looks.

    Raises:
        VAAError: the folder cannot be written, or is no report.
    """
    from vaa_cli.core.bootstrap import bootstrap
    from vaa_cli.core.evaluation_page import Evaluation, evaluation_page
    from vaa_cli.core.files import whole_folder, write_text
    from vaa_cli.core.report_examples import choose_examples, show_examples
    from vaa_cli.core.runs import read_log

    card, table = split.card, split.table
    each = max(1, min(3, _EXAMPLES // len(card.attributes)))
    examples = choose_examples(probabilities, table.labels, card.thresholds, each)
    page = evaluation_page(
        Evaluation(
            title=f"{split.model.parent.name or split.model.name} on {name}",
            about={
                "model": split.model,
                "backbone": card.backbone,
                "data": split.folder,
                "pictures": f"{len(table):,} ({name})",
                "attributes": len(card.attributes),
                "epoch": card.epoch,
                "written": time.strftime("%Y-%m-%d %H:%M"),
            },
            attributes=card.attributes,
            priors=card.priors,
            stages=card.stages,
            probabilities=probabilities,
            labels=table.labels,
            scores=scores,
            draws=bootstrap([(probabilities, card.thresholds)], table.labels)[0],
            epochs=read_log(split.model.parent),
            calibration=totals,
            examples=show_examples(examples, reader, table, _EXAMPLE_HEIGHT),
        )
    )
    with whole_folder(folder, [REPORT]) as beside:
        write_text(beside / REPORT, page)


def attention_reader(split: LabelledSplit, computation: Computation) -> "AttentionReader":
    """The model as torch computes it; an export gives no maps."""
    from vaa_cli.core.attention import AttentionReader
    from vaa_cli.core.devices import Compute
    from vaa_cli.core.parallel import decoding_workers

    workers = decoding_workers() if computation.workers is None else computation.workers
    compute = Compute.choose(computation.device, "fp32")
    return AttentionReader(split.model, compute, computation.batch_size, workers)
