"""The CSV of predictions: image, box columns where there are boxes, attributes, error."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from vaa_cli.core.csv_text import CSVFormatter, number
from vaa_cli.core.files import whole_file, writing_errors
from vaa_cli.core.inference import Prediction
from vaa_cli.core.label_csv import BOX_COLUMNS
from vaa_cli.core.model_card import ModelCard


@contextmanager
def output_file(path: Path | None) -> Iterator[TextIO]:
    """Where the CSV goes: a file that appears when it is whole, or stdout for None.

    File names that are no UTF-8 are written with the bytes that they have.

    Raises:
        VAAError: it cannot be written. A reader that closes the pipe is no error of ours:
            BrokenPipeError.
    """
    if path is None:
        # A descriptor of its own: what it could not write is gone with it, and the interpreter
        # does not try once more on its way out.
        with (
            writing_errors("stdout"),
            open(sys.stdout.fileno(), "wb", closefd=False) as raw,
            _as_text(raw) as file,
        ):
            yield file
    else:
        with whole_file(path) as target, _as_text(target) as file:
            yield file


@contextmanager
def _as_text(raw: BinaryIO) -> Iterator[TextIO]:
    file = io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
    yield file
    file.flush()
    file.detach()  # whoever opened it closes it


class PredictionWriter:
    """Writes predictions as they come.

    Args:
        file: where.
        card: the model's attributes and thresholds.
        boxes: write box columns.
        decisions: write 1 or 0 by the thresholds in place of probabilities.

    Attributes:
        rows: written so far.
        failed: how many of them have an error.
    """

    def __init__(self, file: TextIO, card: ModelCard, boxes: bool, decisions: bool) -> None:
        self.rows = self.failed = 0
        self._file = file
        self._formatter = CSVFormatter()
        self._boxes = BOX_COLUMNS if boxes else ()
        self._thresholds = np.array(card.thresholds)
        self._decisions = decisions
        self._header = ["image", *self._boxes, *card.attributes, "error"]

    def write(self, prediction: Prediction) -> None:
        """Write a row, the first time after the header."""
        if not self.rows:
            self._file.write(self._formatter.line(self._header))
        request, probabilities = prediction.request, prediction.probabilities
        sides = [number(side) for side in request.box or ()] or [""] * len(self._boxes)
        if probabilities is None:
            cells = [""] * len(self._thresholds)
        elif self._decisions:
            cells = [str(int(yes)) for yes in probabilities >= self._thresholds]
        else:
            cells = [f"{probability:.6f}" for probability in probabilities]
        row = [request.path, *sides[: len(self._boxes)], *cells, prediction.problem]
        self._file.write(self._formatter.line(row))
        self._file.flush()  # rows are few a second; who reads them sees them at once
        self.rows += 1
        self.failed += prediction.problem is not None

    def finish(self) -> None:
        """Write the header if there were no rows."""
        if not self.rows:
            self._file.write(self._formatter.line(self._header))
