"""The pictures that are most useful to label: those nearest to the thresholds of the model."""

import heapq
from collections.abc import Iterator

import numpy as np

from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.prediction.decisions import margins
from vaa_cli.core.prediction.predictor import Prediction


class UncertainPictures:
    """Keeps the predictions that are least sure, each attribute with as many as all together.

    Attributes take turns, the rarest one first, so that a rare one has as many pictures as a common
    one, of which there are always more that are not sure.

    Args:
        card: the model's card.
        count: number of pictures.
    """

    def __init__(self, card: ModelCard, count: int) -> None:
        self._thresholds, self._count = np.asarray(card.thresholds), count
        priors = [1.0 if prior is None else prior for prior in card.priors]
        self._order = np.argsort(priors, kind="stable").tolist()
        # Of each attribute the nearest ones, the furthest of them on top.
        self._nearest: list[list[tuple[float, int]]] = [[] for _ in priors]
        self._kept: dict[int, tuple[Prediction, int]] = {}
        self._seen = 0

    def add(self, prediction: Prediction) -> None:
        """Take a prediction; one of a broken picture is left out."""
        if prediction.probabilities is None:
            return
        number, self._seen = self._seen, self._seen + 1
        distances = np.abs(margins(prediction.probabilities, self._thresholds)).tolist()
        uses = 0
        for heap, distance in zip(self._nearest, distances, strict=True):
            entry = (-distance, -number)
            if len(heap) < self._count:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                self._release(-heapq.heapreplace(heap, entry)[1])
            else:
                continue
            uses += 1
        if uses:
            self._kept[number] = (prediction, uses)

    def _release(self, number: int) -> None:
        prediction, uses = self._kept[number]
        if uses > 1:
            self._kept[number] = (prediction, uses - 1)
        else:
            del self._kept[number]

    def chosen(self) -> Iterator[Prediction]:
        """The pictures, the most useful ones first."""
        queues = [
            iter([-number for _, number in sorted(self._nearest[position], reverse=True)])
            for position in self._order
        ]
        taken: set[int] = set()
        while queues and len(taken) < self._count:
            for queue in list(queues):
                number = next((one for one in queue if one not in taken), None)
                if number is None:
                    queues.remove(queue)
                elif len(taken) < self._count:
                    taken.add(number)
                    yield self._kept[number][0]
