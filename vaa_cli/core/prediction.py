"""What is said of one picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaa_cli.core.requests import Request


@dataclass(frozen=True)
class Prediction:
    """What is said of one picture: its probabilities `[c]`, or what is wrong with it.

    Attributes:
        request: the picture.
        probabilities: of its attributes; None if it is broken.
        problem: what is wrong with it.
        more_frames: it has several frames, and this is said of the first.
    """

    request: Request
    probabilities: NDArray[np.float32] | None
    problem: str | None = None
    more_frames: bool = False
