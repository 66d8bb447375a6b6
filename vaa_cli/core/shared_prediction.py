"""Predicting with several processes: a batch each in turn, put together in order."""

import json
import math
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from vaa_cli.core.errors import VAAError
from vaa_cli.core.inference import Prediction, Predictor
from vaa_cli.core.loading import batched
from vaa_cli.core.requests import Request
from vaa_cli.core.world import World


def predict_together(
    predictor: Predictor, requests: Iterable[Request], world: World
) -> Iterator[Prediction]:
    """A prediction for each request, in order, in the first process; none in the others.

    Args:
        predictor: the model, in each process.
        requests: the pictures, the same in each process.
        world: the processes.

    Raises:
        VAAError: the processes do not have the same requests.
    """
    if world.size == 1:
        yield from predictor.predict(requests)
        return
    size, rounds = predictor.batch_size, deque[list[list[Request]]]()
    predictions = predictor.predict(_own_requests(requests, size, world, rounds))
    while True:
        own = list(islice(predictions, size))
        asked = rounds.popleft() if rounds else []
        problems = _agreed_problems(own, asked, world)
        if not asked:
            return
        rows = torch.full((size, len(predictor.card.attributes)), math.nan)
        for place, prediction in enumerate(own):
            if prediction.probabilities is not None:
                rows[place] = torch.from_numpy(prediction.probabilities)
        # `together` deals like cards: a row of each process, then the next of each.
        probabilities = world.together(rows, size * world.size).view(size, world.size, -1).numpy()
        if not world.is_first:
            continue
        for rank, batch in enumerate(asked):
            for place, request in enumerate(batch):
                problem = problems[rank].get(str(place))
                found = None if problem else probabilities[place, rank]
                yield Prediction(request, found, problem)


def _own_requests(
    requests: Iterable[Request], size: int, world: World, rounds: deque[list[list[Request]]]
) -> Iterator[Request]:
    """This process's part of the requests; notes all batches of each round."""
    batches = batched(requests, size)
    while batches_of_round := list(islice(batches, world.size)):
        rounds.append(batches_of_round)
        yield from batches_of_round[world.rank] if world.rank < len(batches_of_round) else ()


def _agreed_problems(
    own: list[Prediction], asked: list[list[Request]], world: World
) -> list[dict[str, str]]:
    """What is wrong with which pictures of each process's batch, by place.

    Raises:
        VAAError: the processes were not asked for the same.
    """
    paths = [prediction.request.path for prediction in own]
    problems = {place: p.problem for place, p in enumerate(own) if p.problem is not None}
    texts = world.all_say(json.dumps({"paths": paths, "problems": problems}))
    everyone = [json.loads(text) for text in texts]
    expected = [[request.path for request in batch] for batch in asked]
    expected += [[]] * (world.size - len(asked))
    if [one["paths"] for one in everyone] != expected:
        raise VAAError("the pictures changed while the processes listed them; try again")
    return [one["problems"] for one in everyone]
