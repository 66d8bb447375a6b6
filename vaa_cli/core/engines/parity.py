"""Whether a converted model computes what the original does."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vaa_cli.core.engines.base import Engine
from vaa_cli.core.errors import VAAError
from vaa_cli.core.models.card import ModelCard
from vaa_cli.core.models.inference import Normalisation, probabilities_of
from vaa_cli.core.models.vaa import VAA

# Different orders of the same float32 sums stay well below.
TOLERANCE = 1e-3
# Pictures that are computed at once; more than one, since some faults need several.
_BATCH = 16


@dataclass(frozen=True)
class Parity:
    """The differences between a converted model and the original.

    Attributes:
        pictures: number of pictures that were compared.
        worst: largest difference of a probability.
        agreeing: fraction of (picture, attribute) pairs with the same decision at 0.5.
    """

    pictures: int
    worst: float
    agreeing: float

    def require(self, kind: str, advice: str) -> None:
        """Check that the models are the same.

        Args:
            kind: name of the format.
            advice: end of the message, before a request to report it.

        Raises:
            VAAError: they are not.
        """
        if not self.worst <= TOLERANCE:
            raise VAAError(
                f"the {kind} model differs from the original by up to {self.worst:.2g} in "
                f"probability; {advice}; please report this"
            )


def noise(card: ModelCard, count: int = _BATCH) -> NDArray[np.uint8]:
    """Smooth coloured noise, which exercises a model as pictures do."""
    rng = np.random.default_rng(0)
    height, width = card.image_size
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 8, 8)))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return smooth.round().to(torch.uint8).numpy()


@torch.no_grad()
def compare(engine: Engine, model: VAA, card: ModelCard, pictures: NDArray[np.uint8]) -> Parity:
    """Compare a converted model with the original, in float32.

    Args:
        engine: the converted model.
        model: the original, in evaluation mode.
        card: its card.
        pictures: `[n x 3 x h x w]`.
    """
    normalise = Normalisation(card.mean, card.std)
    worst, agreeing, count = 0.0, 0, 0
    for start in range(0, len(pictures), _BATCH):
        batch = pictures[start : start + _BATCH]
        images = normalise(torch.from_numpy(batch))
        expected = probabilities_of(model(images).logits, card).numpy()
        found = engine.probabilities(np.ascontiguousarray(batch))
        worst = max(worst, float(np.abs(found - expected).max()))
        agreeing += int(((found >= 0.5) == (expected >= 0.5)).sum())
        count += expected.size
    return Parity(len(pictures), worst, agreeing / count)
