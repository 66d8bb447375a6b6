"""The report of an evaluation: a web page in a folder, and the list of its mistakes."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vaa_cli.core.evaluation.bootstrap import bootstrap
from vaa_cli.core.evaluation.confusions import mistakes
from vaa_cli.core.evaluation.evaluation import Evaluation
from vaa_cli.core.labels.boxes import BOX_COLUMNS
from vaa_cli.core.prediction.decisions import DecisionRule
from vaa_cli.core.reports.evaluation_page import evaluation_page
from vaa_cli.core.reports.page_content import PageContent, worst_attributes
from vaa_cli.core.runs.log import read_log
from vaa_cli.core.system.csv_writer import Cell, number_text, write_csv
from vaa_cli.core.system.files import write_text
from vaa_cli.core.system.folders import whole_folder

REPORT, MISTAKES = "index.html", "mistakes.csv"
CONTENTS = (REPORT, MISTAKES)
# Pictures of each kind of mistake: of the worst attributes, and of the others where there are
# up to so many attributes; with more, one or none.
_WORST_EXAMPLES = 6
_EXAMPLES = {20: 3, 60: 2, 300: 1}
# Enlarged as large as this. All together leave room for the rest of a page below 10 MB.
_EXAMPLE_HEIGHT, _EXAMPLE_BYTES = 224, 8_000_000


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write the page of an evaluation into a folder, and a CSV of all mistakes beside it.

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
    count = len(card.attributes)
    each = next((number for most, number in _EXAMPLES.items() if count <= most), 0)
    numbers = [each] * count
    for c in worst_attributes(scores):
        numbers[c] = _WORST_EXAMPLES
    rule = DecisionRule.of(card)
    examples = choose_examples(probabilities, table.labels, rule, numbers, min(each, 2))
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
            at_half=evaluation.scores_at_half,
            rule=rule,
            draws=bootstrap([(probabilities, rule)], table.labels)[0],
            epochs=read_log(split.model.parent),
            calibration=evaluation.calibration,
            examples=render_examples(
                examples, evaluation.reader, table, _EXAMPLE_HEIGHT, _EXAMPLE_BYTES
            ),
            mistakes=MISTAKES,
            pointing=evaluation.pointing,
            groups=evaluation.groups,
        )
    )
    with whole_folder(folder, CONTENTS) as beside:
        write_text(beside / REPORT, page)
        write_csv(beside / MISTAKES, _mistakes(evaluation))


def _mistakes(evaluation: Evaluation) -> Iterator[Sequence[Cell]]:
    """A row a mistake, header first: attribute by attribute, the surest mistakes first."""
    split, table = evaluation.split, evaluation.split.table
    boxes = () if table.boxes is None else BOX_COLUMNS
    yield ("image", *boxes, "attribute", "mistake", "probability", "threshold")
    rule = DecisionRule.of(split.card)
    missed, wrongly = mistakes(evaluation.probabilities, table.labels, rule)
    for c, (name, threshold) in enumerate(
        zip(split.card.attributes, split.card.thresholds, strict=True)
    ):
        probabilities = evaluation.probabilities[:, c]
        wrong = np.flatnonzero(missed[:, c] | wrongly[:, c])
        surest = np.argsort(-np.abs(probabilities[wrong] - threshold), kind="stable")
        for row in wrong[surest].tolist():
            box = () if table.boxes is None else map(number_text, table.boxes[row].tolist())
            mistake = "missed" if missed[row, c] else "wrongly seen"
            probability = f"{probabilities[row]:.4f}"
            yield (table.row_images[row], *box, name, mistake, probability, number_text(threshold))
