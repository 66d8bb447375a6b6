"""Predicting with several processes: a batch each in turn, put together in order."""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.requests import ImageSource, Request, batched
from vaa_cli.core.labels.table import LabelTable
from vaa_cli.core.prediction.predictor import Prediction, Predictor
from vaa_cli.core.system.distributed import ProcessGroup


def predict_together(
    predictor: Predictor, found: Iterable[ImageSource], group: ProcessGroup
) -> Iterator[Prediction]:
    """A prediction for each picture, in order, in the first process; none in the others.

    Args:
        predictor: the model, in each process.
        found: the pictures, the same in each process, which reads its own ones alone.
        group: the processes.

    Raises:
        VAAError: the processes do not have the same pictures.
    """
    if group.world_size == 1:
        yield from predictor.predict(picture.request(row) for row, picture in enumerate(found))
        return
    import torch

    size, rounds = predictor.batch_size, deque[list[list[ImageSource]]]()
    predictions = predictor.predict(_own_requests(found, size, group, rounds))
    while True:
        own = list(islice(predictions, size))
        asked = rounds.popleft() if rounds else []
        everyone = _everyones(own, asked, group)
        if not asked:
            return
        rows = torch.full((size, len(predictor.card.attributes)), math.nan)
        for place, prediction in enumerate(own):
            if prediction.probabilities is not None:
                rows[place] = torch.from_numpy(prediction.probabilities)
        # `together` deals like cards: a row of each process, then the next of each.
        probabilities = (
            group.all_gather(rows, size * group.world_size).view(size, group.world_size, -1).numpy()
        )
        if not group.is_main:
            continue
        for rank, batch in enumerate(asked):
            for place, picture in enumerate(batch):
                problem = everyone[rank]["problems"].get(str(place))
                yield Prediction(
                    Request(picture.path, picture.box),
                    None if problem else probabilities[place, rank],
                    problem,
                    place in everyone[rank]["more_frames"],
                )


def _own_requests(
    found: Iterable[ImageSource],
    size: int,
    group: ProcessGroup,
    rounds: deque[list[list[ImageSource]]],
) -> Iterator[Request]:
    """This process's part of the pictures; notes all batches of each round."""
    batches = _with_own_read(found, size, group)
    while round_ := list(islice(batches, group.world_size)):
        rounds.append([[picture for picture, _ in batch] for batch in round_])
        if group.rank < len(round_):
            yield from (request for _, request in round_[group.rank] if request is not None)


def _with_own_read(
    found: Iterable[ImageSource], size: int, group: ProcessGroup
) -> Iterator[list[tuple[ImageSource, Request | None]]]:
    """Batches of pictures, with requests for those of this process.

    A picture in an archive can be read only until the next one is asked for.
    """
    turns = (
        (picture, picture.request(row) if row // size % group.world_size == group.rank else None)
        for row, picture in enumerate(found)
    )
    return batched(turns, size)


def _everyones(
    own: list[Prediction], asked: list[list[ImageSource]], group: ProcessGroup
) -> list[dict[str, Any]]:
    """What each process says of its batch beside the probabilities, by place.

    Raises:
        VAAError: the processes were not asked for the same.
    """
    said = {
        "paths": [prediction.request.path for prediction in own],
        "problems": {place: p.problem for place, p in enumerate(own) if p.problem is not None},
        "more_frames": [place for place, prediction in enumerate(own) if prediction.more_frames],
    }
    everyone = [json.loads(text) for text in group.all_gather_texts(json.dumps(said))]
    expected = [[picture.path for picture in batch] for batch in asked]
    expected += [[]] * (group.world_size - len(asked))
    if [one["paths"] for one in everyone] != expected:
        raise VAAError("the pictures changed while the processes listed them; try again")
    return everyone


def table_probabilities(
    predictor: Predictor, table: LabelTable, group: ProcessGroup
) -> NDArray[np.float32]:
    """The probabilities of all rows of a table, `[n x c]`; in the first process only.

    Raises:
        VAAError: a picture is missing or broken.
    """
    found = (ImageSource(str(table.path(row)), table.box(row)) for row in range(len(table)))
    probabilities = np.full((len(table), len(predictor.card.attributes)), np.nan, dtype=np.float32)
    for row, prediction in enumerate(predict_together(predictor, found, group)):
        if prediction.problem is not None:
            raise VAAError(
                f"{prediction.request.path}: {prediction.problem}; put it back, or run "
                "vaa prepare again to leave it out"
            )
        probabilities[row] = prediction.probabilities
    return probabilities
