"""Labels that a model contradicts, the likeliest errors first.

With probabilities of models that were not trained on the rows, a label is suspect by the criterion
of confident learning (Northcutt et al., Confident Learning, JAIR 2021), attribute by attribute:
where the probability of the other side is at least the mean probability that rows labelled as the
other side have of it. Half of the errors of a rare attribute fall short of that mean, since they
make it; so those of which the other side is likelier than their own are listed, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from vaa_cli.core.evaluation.calibration import FEWEST, fit_platt, logits_of
from vaa_cli.core.evaluation.confusions import mistakes
from vaa_cli.core.labels.boxes import BOX_COLUMNS
from vaa_cli.core.labels.table import ABSENT, PRESENT, UNSPECIFIED, LabelTable
from vaa_cli.core.prediction.decisions import Limits, margins, thresholds_of
from vaa_cli.core.system.csv_writer import Cell, number_text


@dataclass(frozen=True)
class LabelErrors:
    """Labels that are contradicted, the surest first.

    Attributes:
        rows: `[k]` positions of rows.
        attributes: `[k]` positions of attributes.
        probabilities: `[k]` of the attribute.
        labels: `[k]` 1 present, 0 absent.
        suspect: `[k]` whether confident learning suspects it; None where it was not asked.
    """

    rows: NDArray[np.int64]
    attributes: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int8]
    suspect: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.rows)


def contradicted(probabilities: ArrayLike, labels: NDArray[np.int8], limits: Limits) -> LabelErrors:
    """The labels that a model decides otherwise, those first that are furthest from its threshold.

    Args:
        probabilities: `[n x c]`.
        labels: `[n x c]`: 1 present, 0 absent, -1 unspecified.
        limits: how it is decided: a rule, or thresholds `[c]`.
    """
    found = np.asarray(probabilities, dtype=np.float64)
    missed, wrongly = mistakes(found, labels, limits)
    return _sorted(missed | wrongly, np.abs(margins(found, thresholds_of(limits))), found, labels)


def calibrated_on_labels(probabilities: ArrayLike, labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """Probabilities that fit how often each attribute is labelled, by Platt scaling.

    Models of several folds, each calibrated on few pictures, become comparable: without it, 53 % of
    5 % flipped labels of Clothing Co-Parsing were among the first as many, with it 55 %.

    Args:
        probabilities: `[n x c]`, of models that were not trained on these rows.
        labels: `[n x c]`: 1 present, 0 absent, -1 unspecified.
    """
    logits = logits_of(probabilities)
    found = np.asarray(probabilities, dtype=np.float64).copy()
    for c in range(found.shape[1]):
        known = labels[:, c] != UNSPECIFIED
        present = labels[known, c] == PRESENT
        if min(present.sum(), (~present).sum()) >= FEWEST:
            platt = fit_platt(logits[known, c], present)
            found[:, c] = expit(logits[:, c] / platt.temperature + platt.shift)
    return found


def likely_errors(probabilities: ArrayLike, labels: NDArray[np.int8]) -> LabelErrors:
    """The labels whose other side is suspected or likelier, the likeliest errors first.

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
    suspect = (absent & (found >= of_present)) | (present & (1 - found >= of_absent))
    other_side = np.where(present, 1 - found, found)
    wrong = suspect | ((present | absent) & (other_side > 0.5))
    errors = _sorted(wrong, other_side, found, labels)
    return replace(errors, suspect=suspect[errors.rows, errors.attributes])


def _sorted(
    wrong: NDArray[np.bool_],
    sureness: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int8],
) -> LabelErrors:
    rows, columns = np.nonzero(wrong)
    order = np.argsort(-sureness[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    return LabelErrors(rows, columns, probabilities[rows, columns], labels[rows, columns])


def label_error_cells(
    errors: LabelErrors, table: LabelTable, splits: Sequence[str]
) -> Iterator[Sequence[Cell]]:
    """The errors as a table, header first: picture, box, split, attribute, label, probability.

    Where confident learning was asked, a last column has 1 for what it suspects.

    Args:
        errors: the errors.
        table: the rows.
        splits: name of the split of each row.
    """
    boxes = () if table.boxes is None else BOX_COLUMNS
    last = () if errors.suspect is None else ("suspect",)
    yield ("image", *boxes, "split", "attribute", "label", "probability", *last)
    for number, (row, attribute, probability, label) in enumerate(
        zip(
            errors.rows.tolist(),
            errors.attributes.tolist(),
            errors.probabilities.tolist(),
            errors.labels.tolist(),
            strict=True,
        )
    ):
        box = () if table.boxes is None else map(number_text, table.boxes[row].tolist())
        name = table.attributes[attribute]
        mark = () if errors.suspect is None else (str(int(errors.suspect[number])),)
        cells = (splits[row], name, str(label), f"{probability:.4f}", *mark)
        yield (table.row_images[row], *box, *cells)
