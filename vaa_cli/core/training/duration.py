"""An estimate of how long a training takes on this processor, made without torch."""

import os
import time

import numpy as np

# Multiplications and additions of resnet101, the default, for one picture of 224 x 224 pixels
# (He et al., CVPR 2016, table 1: 7.6e9 of each), forward and twice as many backward.
_OPERATIONS, _SIDE = 7.6e9 * 2 * 3, 224
# The part of the speed of a matrix product that a training step of torch reaches on a CPU
# (0.69 on 2 cores of an Intel Xeon 2.5 GHz with torch 2.14, 2026-11-26; the heads take some more).
_REACHED = 0.6
_MEASURED = 1024
# Devices of GPU drivers: how fast these are is not known without torch.
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def training_seconds(
    pictures: int, epochs: int, image_size: tuple[int, int] = (_SIDE, _SIDE)
) -> float | None:
    """The seconds that a training of the default backbone takes, within a factor of two or so.

    Args:
        pictures: number of pictures in the training split.
        epochs: number of epochs.
        image_size: height and width.

    Returns:
        The seconds; None where there may be a GPU.
    """
    if any(os.path.exists(device) for device in _GPUS):
        return None
    height, width = image_size
    operations = _OPERATIONS * height * width / _SIDE**2
    return pictures * epochs * operations / (_REACHED * _operations_per_second())


def _operations_per_second() -> float:
    matrix = np.ones((_MEASURED, _MEASURED), dtype=np.float32)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        matrix @ matrix
        best = min(best, time.perf_counter() - started)
    return float(2 * _MEASURED**3 / best)


def duration_text(seconds: float) -> str:
    """A length of time in round numbers: `20 min`, `3 h`, `2 days`."""
    if seconds < 90 * 60:
        return f"{max(1, round(seconds / 60))} min"
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours < 36 else f"{hours / 24:.0f} days"
