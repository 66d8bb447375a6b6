"""Predictions of pictures together with the attention maps behind them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from vaa_cli.core.errors import VAAError
from vaa_cli.core.images.decoding_pool import DecodingPool
from vaa_cli.core.images.requests import Request
from vaa_cli.core.models.attention import AttentionMaps
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.devices import Compute
from vaa_cli.core.models.inference import apply_model, probabilities_of
from vaa_cli.core.models.model_file import load_model
from vaa_cli.core.models.vaa import VAA
from vaa_cli.core.prediction.decisions import by_margin
from vaa_cli.core.prediction.predictor import Prediction

Floats = NDArray[np.float32]

# With fewer cells on its shorter side, a map cannot show where an attribute is.
_FINE = 4


@dataclass(frozen=True)
class StageAttention:
    """The maps of one stage for one picture; they cover all that the model sees of it.

    Attributes:
        attention: a of eq. 2, `[c x h x w]`; each attribute's map sums to 1.
        confidence: sigmoid of the confidence branch, `[c x h x w]`; 1 where nothing weights the
            attention.
    """

    attention: Floats
    confidence: Floats

    @property
    def weighted(self) -> Floats:
        """The confidence-weighted maps `[c x h x w]`, the input of the attention classifier."""
        return self.attention * self.confidence

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the maps, in cells."""
        return self.attention.shape[1], self.attention.shape[2]

    def multiples(self, attribute: int) -> Floats:
        """The weighted map `[h x w]` of an attribute; 1 is a map that is even and sure."""
        multiples: Floats = self.weighted[attribute] * np.float32(np.prod(self.grid))
        return multiples


@dataclass(frozen=True)
class Explanation:
    """The prediction of a picture, and the attention maps that it comes from.

    Attributes:
        prediction: the prediction.
        stages: the maps of each stage, by its number; empty for a broken picture.
    """

    prediction: Prediction
    stages: dict[int, StageAttention]

    @property
    def fine_stages(self) -> tuple[int, ...]:
        """The stages whose maps have 4 cells or more on their shorter side; may be none."""
        return tuple(stage for stage, maps in self.stages.items() if min(maps.grid) >= _FINE)

    @property
    def finest_stage(self) -> int:
        """The stage whose maps have the most cells."""
        return max(self.stages, key=lambda stage: np.prod(self.stages[stage].grid))

    def combined(self, attribute: int) -> Floats:
        """The mean of an attribute's maps of all fine stages, on the grid of the finest stage.

        The prediction is the mean of the logits behind these maps (Sarafianos et al., section 3.1).
        Coarse stages are left out; where all are coarse, it is the map of the finest.

        Args:
            attribute: position of the attribute.

        Returns:
            `[h x w]`, 0 or more; 1 is a map that is even and sure.
        """
        height, width = self.stages[self.finest_stage].grid
        maps = [
            resized(self.stages[stage].multiples(attribute), (height, width))
            for stage in self.fine_stages or (self.finest_stage,)
        ]
        mean: Floats = np.mean(maps, axis=0, dtype=np.float32)
        return mean


def shown_attributes(
    explanation: Explanation, thresholds: Sequence[float], chosen: Sequence[int] | None, top: int
) -> Sequence[int]:
    """The attributes to show of a picture that is not broken.

    Args:
        explanation: the explanation of the picture.
        thresholds: the model's thresholds.
        chosen: positions of the attributes; None for those furthest above their thresholds.
        top: number of these.
    """
    if chosen is not None:
        return chosen
    probabilities = explanation.prediction.probabilities
    assert probabilities is not None
    return by_margin(probabilities, thresholds)[:top]


def resized(heat: Floats, size: tuple[int, int]) -> Floats:
    """A map `[h x w]` on a finer grid of a height and width, interpolated between cells."""
    picture = Image.fromarray(np.asarray(heat, dtype=np.float32))
    return np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))


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
            VAAError: the file is not a model that vaa trained, or has no attention maps.
        """
        model, card = load_model(path)
        if not card.stages:
            raise VAAError(f"{path} has no attention maps: it was trained with `stages` none")
        return cls(model, card, compute, batch_size, workers)

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
                stage: _stage_attention(maps)
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


def _stage_attention(maps: AttentionMaps) -> StageAttention:
    """The maps of a stage as arrays."""
    weight = torch.ones_like(maps.attention)
    if maps.confidence is not None and maps.is_weighted:
        weight = maps.confidence.float().sigmoid()
    return StageAttention(maps.attention.float().cpu().numpy(), weight.cpu().numpy())
