"""The report of an evaluation: one web page in a folder."""

import time
from pathlib import Path

from vaa_cli.core.evaluation.bootstrap import bootstrap
from vaa_cli.core.evaluation.evaluation import Evaluation
from vaa_cli.core.reports.evaluation_page import PageContent, evaluation_page
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.system.files import write_text
from vaa_cli.core.system.folders import whole_folder

REPORT = "index.html"
# Pictures of each kind on the page, of all attributes together; the page stays below 10 MB.
_EXAMPLES = 170
_EXAMPLE_HEIGHT = 112


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write the page of an evaluation into a folder.

    Args:
        folder: the folder; replaced if it holds a report and nothing else.
        evaluation: the evaluation, with its attention reader.

    Raises:
        VAAError: the folder cannot be written, or holds other files.
        ValueError: the evaluation has no attention reader.
    """
    from vaa_cli.core.reports.examples import choose_examples, render_examples  # they load torch

    if evaluation.reader is None:
        raise ValueError("a report needs an evaluation with its attention reader")
    split, scores = evaluation.split, evaluation.scores
    card, table, probabilities = split.card, split.table, evaluation.probabilities
    each = max(1, min(3, _EXAMPLES // len(card.attributes)))
    examples = choose_examples(probabilities, table.labels, card.thresholds, each)
    page = evaluation_page(
        PageContent(
            title=f"{split.model.parent.name or split.model.name} on {split.name}",
            about={
                "model": split.model,
                "backbone": card.backbone,
                "data": split.folder,
                "pictures": f"{len(table):,} ({split.name})",
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
            calibration=evaluation.calibration,
            examples=render_examples(examples, evaluation.reader, table, _EXAMPLE_HEIGHT),
        )
    )
    with whole_folder(folder, [REPORT]) as beside:
        write_text(beside / REPORT, page)
