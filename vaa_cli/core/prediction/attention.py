"""What a model says of pictures, and where it looks for each attribute."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.images.decoding_pool import DecodingPool
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import apply_model, probabilities_of
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.prediction.predictor import Prediction

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StageAttention:
    """Where one stage looks in a picture; both cover all that the model sees of it.

    Attributes:
        attention: a of eq. 2, `[c x h x w]`; each attribute's sums to 1.
        confidence: sigmoid of the confidence branch, `[c x h x w]`.
    """

    attention: Floats
    confidence: Floats

    @property
    def weighted(self) -> Floats:
        """The confidence-weighted map `[c x h x w]`, which the attention classifier reads."""
        return self.attention * self.confidence


@dataclass(frozen=True)
class Explanation:
    """What is said of a picture, and where the model looked.

    Attributes:
        prediction: of the picture; None of its fields says where.
        stages: by number; none for a broken picture.
    """

    prediction: Prediction
    stages: dict[int, StageAttention]


class AttentionReader:
    """A model whose attention is read; torch computes it, since engines do not give the maps.

    Args:
        path: the model file.
        compute: device and precision.
        batch_size: pictures a step.
        workers: processes that decode.

    Raises:
        VAAError: it is no model file that vaa trained.
    """

    def __init__(self, path: Path, compute: Compute, batch_size: int, workers: int) -> None:
        model, self.card = load_model(path)
        self._compute = compute
        self._model = model.to(compute.device).to(memory_format=torch.channels_last)
        self._pool = DecodingPool(self.card.image_size, batch_size, workers, self.card.box_margin)

    def read(self, requests: Iterable[Request]) -> Iterator[Explanation]:
        """An explanation for each request, in order; of broken pictures what is wrong with them."""
        for batch in self._pool.load(requests):
            count = len(batch.requests)
            output = apply_model(
                self._model, self.card, self._compute, torch.from_numpy(batch.pixels[:count])
            )
            probabilities = probabilities_of(output.logits, self.card).cpu().numpy()
            stages = {
                stage: StageAttention(
                    maps.attention.float().cpu().numpy(),
                    maps.confidence.float().sigmoid().cpu().numpy(),
                )
                for stage, maps in zip(self.card.stages, output.maps, strict=True)
            }
            more_frames = set(batch.more_frames)
            for place, request in enumerate(batch.requests):
                if place in batch.problems:
                    yield Explanation(Prediction(request, None, batch.problems[place]), {})
                    continue
                yield Explanation(
                    Prediction(request, probabilities[place], None, place in more_frames),
                    {
                        stage: StageAttention(maps.attention[place], maps.confidence[place])
                        for stage, maps in stages.items()
                    },
                )
