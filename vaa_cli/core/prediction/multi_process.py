"""Predicting with several processes, each a batch in turn, merged in order."""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import ImageSource, Request, batched, table_sources
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.prediction.predictor import NO_NUMBER, Prediction, Predictor
from vaa_cli.core.system.distributed import ProcessGroup

# The batches of one round, one of each rank; the last round may have fewer.
Round = list[list[ImageSource]]


@dataclass(frozen=True)
class _BatchReport:
    """The report of a process on its batch, beside the probabilities.

    Attributes:
        paths: paths of the pictures.
        problems: what is wrong with broken pictures, by position.
        more_frames: positions of the pictures that have several frames.
    """

    paths: list[str]
    problems: dict[int, str]
    more_frames: list[int]

    @classmethod
    def of(cls, predictions: list[Prediction]) -> "_BatchReport":
        return cls(
            [prediction.request.path for prediction in predictions],
            {i: p.problem for i, p in enumerate(predictions) if p.problem is not None},
            [i for i, prediction in enumerate(predictions) if prediction.more_frames],
        )

    @classmethod
    def from_json(cls, text: str) -> "_BatchReport":
        fields = json.loads(text)
        problems = {int(position): problem for position, problem in fields["problems"].items()}
        return cls(fields["paths"], problems, fields["more_frames"])


def predict_in_group(
    predictor: Predictor,
    sources: Iterable[ImageSource],
    padded: bool = False,
    expected: int | None = None,
) -> Iterator[Prediction]:
    """Predict pictures with all processes of a group.

    Args:
        predictor: the predictor, in each process.
        sources: the pictures, the same in each process, which reads its own part of them.
        padded: see `Predictor.predict`.
        expected: see `Predictor.predict`.

    Yields:
        In the first process, a prediction for each picture, in order; nothing in the others.

    Raises:
        VAAError: the processes do not have the same pictures.
    """
    group = predictor.group
    if group.world_size == 1:
        yield from predictor.predict(requests_ahead(sources), padded, expected)
        return
    import torch

    size, rounds = predictor.options.batch_size, deque[Round]()
    predictions = predictor.predict(_requests_of_rank(sources, size, group, rounds), padded)
    while True:
        mine = list(islice(predictions, size))
        batches = rounds.popleft() if rounds else []
        reports = _gather_reports(mine, batches, group)
        if not batches:
            return
        rows = torch.full((size, len(predictor.card.attributes)), math.nan)
        for position, prediction in enumerate(mine):
            if prediction.probabilities is not None:
                rows[position] = torch.from_numpy(prediction.probabilities)
        # The rows of the ranks alternate in what `all_gather` returns.
        world_size = group.world_size
        gathered = group.all_gather(rows, size * world_size).view(size, world_size, -1).numpy()
        if not group.is_main:
            continue
        for rank, (batch, report) in enumerate(zip(batches, reports, strict=False)):
            for position, source in enumerate(batch):
                problem = report.problems.get(position)
                yield Prediction(
                    Request(source.path, source.box),
                    None if problem else gathered[position, rank],
                    problem,
                    position in report.more_frames,
                )


def _requests_of_rank(
    sources: Iterable[ImageSource], size: int, group: ProcessGroup, rounds: deque[Round]
) -> Iterator[Request]:
    """The requests of this process's batches; appends all batches of each round to `rounds`."""
    # A picture in an archive can be read only until the next one is asked for.
    read = (
        (source, source.request(row) if row // size % group.world_size == group.rank else None)
        for row, source in enumerate(sources)
    )
    batches = batched(read, size)
    while round_ := list(islice(batches, group.world_size)):
        rounds.append([[source for source, _ in batch] for batch in round_])
        if group.rank < len(round_):
            yield from (request for _, request in round_[group.rank] if request is not None)


def _gather_reports(
    mine: list[Prediction], batches: Round, group: ProcessGroup
) -> list[_BatchReport]:
    """The reports of all ranks on one round.

    Raises:
        VAAError: the processes have different pictures.
    """
    report = json.dumps(asdict(_BatchReport.of(mine)))
    reports = [_BatchReport.from_json(text) for text in group.all_gather_texts(report)]
    expected = [[source.path for source in batch] for batch in batches]
    expected += [[]] * (group.world_size - len(batches))
    if [report.paths for report in reports] != expected:
        raise VAAError("the pictures changed while the processes listed them; try again")
    return reports


def table_probabilities(predictor: Predictor, table: LabelTable) -> NDArray[np.float32] | None:
    """Predict all rows of a table.

    Returns:
        Probabilities `[n x c]` in the first process of the predictor's group, None in the others.

    Raises:
        VAAError: a picture is missing or broken.
    """
    shape = (len(table), len(predictor.card.attributes))
    probabilities = np.full(shape, np.nan, dtype=np.float32)
    for row, prediction in enumerate(predict_in_group(predictor, table_sources(table))):
        if prediction.problem is not None:
            advice = "; put it back, or run vaa prepare again to leave it out"
            advice = "" if prediction.problem == NO_NUMBER else advice
            raise VAAError(f"{prediction.request.path}: {prediction.problem}{advice}")
        probabilities[row] = prediction.probabilities
    return probabilities if predictor.group.is_main else None
