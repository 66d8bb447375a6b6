"""A predictor that is kept at work by several callers at once, such as the calls of a Ray actor."""

import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from vaa_cli.core.images.read_ahead import requests_ahead
from vaa_cli.core.images.requests import ImageSource
from vaa_cli.core.prediction.predictor import Prediction, Predictor

# What fills a batch up, so that none waits for the next call's pictures.
_FILLING = ImageSource("", problem="no picture")


class PredictionStream:
    """Predicts lists of pictures in one pass that does not end between them.

    While one list is computed, the next one is read and decoded already, in decoding processes that
    stay. Each batch has the pictures of one list alone, so that a picture's row does not depend on
    what else is asked for.

    Args:
        predictor: the predictor.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._batch_size = predictor.options.batch_size
        self._sources: queue.SimpleQueue[ImageSource] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[tuple[int, int, Future[list[Prediction]]]] = (
            queue.SimpleQueue()
        )
        self._adding = threading.Lock()
        threading.Thread(target=self._work, args=(predictor,), daemon=True).start()

    def predict(self, sources: Sequence[ImageSource]) -> list[Prediction]:
        """Predict pictures; may be called from several threads.

        Raises:
            VAAError: the model cannot be loaded or computed.
        """
        filling = -len(sources) % self._batch_size
        future: Future[list[Prediction]] = Future()
        with self._adding:
            self._asked.put((len(sources), filling, future))
            for source in (*sources, *[_FILLING] * filling):
                self._sources.put(source)
        return future.result()

    def _work(self, predictor: Predictor) -> None:
        predictions = predictor.predict(requests_ahead(self._endless()), padded=True)
        error: BaseException | None = None
        while True:
            count, filling, future = self._asked.get()
            try:
                if error is not None:
                    raise error
                found = [next(predictions) for _ in range(count + filling)]
                future.set_result(found[:count])
            except BaseException as raised:  # whoever asked gets it, and each one after
                error = raised
                future.set_exception(raised)

    def _endless(self) -> Iterator[ImageSource]:
        while True:
            yield self._sources.get()
