"""Predictions of pictures together with the attention maps behind them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.images.decoding_pool import DecodingPool
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import apply_model, probabilities_of
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.prediction.predictor import Prediction

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StageAttention:
    """The maps of one stage for one picture; they cover all that the model sees of it.

    Attributes:
        attention: a of eq. 2, `[c x h x w]`; each attribute's map sums to 1.
        confidence: sigmoid of the confidence branch, `[c x h x w]`.
    """

    attention: Floats
    confidence: Floats

    @property
    def weighted(self) -> Floats:
        """The confidence-weighted maps `[c x h x w]`, the input of the attention classifier."""
        return self.attention * self.confidence


@dataclass(frozen=True)
class Explanation:
    """The prediction of a picture, and the attention maps that it comes from.

    Attributes:
        prediction: the prediction.
        stages: the maps of each stage, by its number; empty for a broken picture.
    """

    prediction: Prediction
    stages: dict[int, StageAttention]


class AttentionReader:
    """A model whose attention maps are read; computed by torch, since engines do not give maps.

    Args:
        model: the model.
        card: its card.
        compute: device and precision.
        batch_size: pictures in a batch.
        workers: number of decoding processes.
    """

    def __init__(
        self, model: VAA, card: ModelCard, compute: Compute, batch_size: int, workers: int
    ) -> None:
        self.card, self._compute = card, compute
        self._model = model.to(compute.device).to(memory_format=torch.channels_last)
        self._pool = DecodingPool(card.image_size, batch_size, workers, card.box_margin)

    @classmethod
    def open(cls, path: Path, compute: Compute, batch_size: int, workers: int) -> "AttentionReader":
        """Read a model file.

        Raises:
            VAAError: the file is not a model that vaa trained.
        """
        return cls(*load_model(path), compute, batch_size, workers)

    def read(self, requests: Iterable[Request]) -> Iterator[Explanation]:
        """Explain a stream of pictures.

        Yields:
            An explanation for each request, in order; that of a broken picture has a problem.
        """
        for batch in self._pool.load(requests):
            count = len(batch.requests)
            pixels = torch.from_numpy(batch.pixels[:count])
            output = apply_model(self._model, self.card, self._compute, pixels)
            probabilities = probabilities_of(output.logits, self.card).cpu().numpy()
            stages = {
                stage: StageAttention(
                    maps.attention.float().cpu().numpy(),
                    maps.confidence.float().sigmoid().cpu().numpy(),
                )
                for stage, maps in zip(self.card.stages, output.maps, strict=True)
            }
            more_frames = set(batch.more_frames)
            for position, request in enumerate(batch.requests):
                if position in batch.problems:
                    yield Explanation(Prediction(request, None, batch.problems[position]), {})
                    continue
                yield Explanation(
                    Prediction(request, probabilities[position], None, position in more_frames),
                    {
                        stage: StageAttention(maps.attention[position], maps.confidence[position])
                        for stage, maps in stages.items()
                    },
                )
