"""What `vaa evaluate` tells beside the figures: where the model looks, and the report."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from vaa_cli.core.evaluation.labelled_split import LabelledSplit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vaa_cli.core.evaluation.metrics import Scores
    from vaa_cli.core.evaluation.records import Record
    from vaa_cli.core.prediction.attention import AttentionReader

REPORT = "index.html"
# Pictures of each kind on the page, of all attributes together; it stays below 10 MB.
_EXAMPLES = 170
_EXAMPLE_HEIGHT = 112


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
    from vaa_cli.core.evaluation.bootstrap import bootstrap
    from vaa_cli.core.reports.evaluation_page import Evaluation, evaluation_page
    from vaa_cli.core.reports.examples import choose_examples, render_examples
    from vaa_cli.core.runs.log import read_log
    from vaa_cli.core.system.files import whole_folder, write_text

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
            examples=render_examples(examples, reader, table, _EXAMPLE_HEIGHT),
        )
    )
    with whole_folder(folder, [REPORT]) as beside:
        write_text(beside / REPORT, page)
