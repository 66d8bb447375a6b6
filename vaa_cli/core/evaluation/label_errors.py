"""Labels that a model contradicts, the likeliest errors first.

With probabilities of models that were not trained on the rows, the criterion is that of confident
learning (Northcutt et al., Confident Learning, JAIR 2021), attribute by attribute: a label is
suspect where the probability of the other side is at least the mean probability that rows labelled
as the other side have of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vaa_cli.core.labels.boxes import BOX_COLUMNS
from vaa_cli.core.labels.table import ABSENT, PRESENT, LabelTable
from vaa_cli.core.prediction.decisions import margins
from vaa_cli.core.system.csv_writer import Cell, number_text


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are contradicted, the surest first.

    Attributes:
        rows: `[k]` positions of rows.
        attributes: `[k]` positions of attributes.
        probabilities: `[k]` of the attribute.
        labels: `[k]` 1 present, 0 absent.
    """

    rows: NDArray[np.int64]
    attributes: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.rows)


def contradicted(
    probabilities: ArrayLike, labels: NDArray[np.int8], thresholds: ArrayLike
) -> LabelErrors:
    """The labels that a model decides otherwise, those first that are furthest from its threshold.

    Args:
        probabilities: `[n x c]`.
        labels: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        thresholds: `[c]`.
    """
    found = np.asarray(probabilities, dtype=np.float64)
    above = margins(found, thresholds)
    wrong = ((labels == PRESENT) & (above < 0)) | ((labels == ABSENT) & (above >= 0))
    return _sorted(wrong, np.abs(above), found, labels)


def suspected(probabilities: ArrayLike, labels: NDArray[np.int8]) -> LabelErrors:
    """The labels that confident learning suspects, the likeliest errors first.

    Args:
        probabilities: `[n x c]`, of models that were not trained on these rows.
        labels: `[n x c]`: 1 present, 0 absent, -1 unspecified.
    """
    found = np.asarray(probabilities, dtype=np.float64)
    present, absent = labels == PRESENT, labels == ABSENT
    with np.errstate(invalid="ignore", divide="ignore"):
        of_present = (found * present).sum(axis=0) / present.sum(axis=0)
        of_absent = ((1 - found) * absent).sum(axis=0) / absent.sum(axis=0)
    # NaN, where a side has no rows, compares as False.
    wrong = (absent & (found >= of_present)) | (present & (1 - found >= of_absent))
    other_side = np.where(present, 1 - found, found)
    return _sorted(wrong, other_side, found, labels)


def _sorted(
    wrong: NDArray[np.bool_],
    sureness: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int8],
) -> LabelErrors:
    rows, attributes = np.nonzero(wrong)
    order = np.argsort(-sureness[rows, attributes], kind="stable")
    rows, attributes = rows[order], attributes[order]
    return LabelErrors(rows, attributes, probabilities[rows, attributes], labels[rows, attributes])


def label_error_cells(
    errors: LabelErrors, table: LabelTable, splits: Sequence[str]
) -> Iterator[Sequence[Cell]]:
    """The errors as a table, header first: picture, box, split, attribute, label, probability.

    Args:
        errors: the errors.
        table: the rows.
        splits: name of the split of each row.
    """
    boxes = () if table.boxes is None else BOX_COLUMNS
    yield ("image", *boxes, "split", "attribute", "label", "probability")
    for row, attribute, probability, label in zip(
        errors.rows.tolist(),
        errors.attributes.tolist(),
        errors.probabilities.tolist(),
        errors.labels.tolist(),
        strict=True,
    ):
        box = () if table.boxes is None else map(number_text, table.boxes[row].tolist())
        name = table.attributes[attribute]
        yield (table.row_images[row], *box, splits[row], name, str(label), f"{probability:.4f}")
