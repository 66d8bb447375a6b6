"""Seeds that follow from the position in a training, so that no generator's state is saved."""

import os
import random

import numpy as np
import torch


def seed_all(seed: int, *place: int) -> None:
    """Seed every generator there is: Python's, NumPy's, torch's on the CPU and on GPUs.

    Done at every step with the epoch, step and process, it makes a resumed training draw what an
    uninterrupted one draws, whatever was drawn before.

    Args:
        seed: seed of the training.
        position: numbers of the position in the training, each 0 or more.
    """
    words = np.random.SeedSequence(seed, spawn_key=place).generate_state(4)
    random.seed(int(words[0]))
    np.random.seed(words[1])
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


def require_deterministic() -> None:
    """Use only algorithms that give the same numbers each time; an operation without one fails."""
    # cuBLAS reads it when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
