"""The prediction history H and its deviation (method section 3.2, equation 5)."""

import torch
from torch import Tensor

# Probabilities are kept as 16-bit fixed point: twice as compact as float32 and, unlike float16,
# equally exact (8e-6) over all of [0, 1].
_STEPS = 65535
_OFFSET = 32768


class PredictionHistory:
    """The most recent predicted probabilities of every training sample, H in eq. 5.

    Holds `samples x length x attributes` probabilities of 2 bytes each, and a byte a sample.

    Args:
        samples: number of training samples N.
        attributes: number of attributes C.
        length: number of epochs that are held, 2 to 100; the paper's 5.
        device: device of the history; that of the model, so that no step waits for a copy.

    Raises:
        ValueError: the length is out of range.
    """

    def __init__(
        self, samples: int, attributes: int, length: int = 5, device: torch.device | str = "cpu"
    ) -> None:
        if not 2 <= length <= 100:  # a variance needs 2; the counter below fits a byte up to 127
            raise ValueError(f"history length {length} is not between 2 and 100")
        self.length = length
        self._values = torch.zeros(samples, length, attributes, dtype=torch.int16, device=device)
        # Counts 0, 1, …, length, then goes round length … 2·length − 1: it holds both how many
        # probabilities there are and, modulo length, which one is the oldest.
        self._cursor = torch.zeros(samples, dtype=torch.uint8, device=device)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._values.nbytes + self._cursor.nbytes

    def update(self, indices: Tensor, probabilities: Tensor) -> None:
        """Add the probabilities of one epoch for some samples, in place of their oldest.

        Args:
            indices: `[n]`, positions of the training samples, without repeats.
            probabilities: `[n x c]`, of the aggregated logits.
        """
        fixed = (probabilities.detach().float().clamp(0, 1) * _STEPS).round() - _OFFSET
        cursor = self._cursor[indices].long()
        self._values[indices, cursor % self.length] = fixed.to(torch.int16)
        cursor += 1
        cursor = torch.where(cursor == 2 * self.length, self.length, cursor)
        self._cursor[indices] = cursor.to(torch.uint8)

    def std(self, indices: Tensor) -> Tensor:
        """Standard deviation with the small-sample correction (eq. 5).

        Args:
            indices: `[n]`, positions of the training samples.

        Returns:
            `[n x c]`, float32; 0 for a sample with fewer than two remembered probabilities.
        """
        held = self._cursor[indices].clamp(max=self.length).float()[:, None]
        values = (self._values[indices].float() + _OFFSET) / _STEPS
        slots = torch.arange(self.length, device=values.device)
        present = (slots < held)[:, :, None]
        count = held.clamp(min=1)
        mean = (values * present).sum(dim=1) / count
        # Deviations from the mean, not E[p²] − E[p]²: that difference cancels to nothing.
        deviation = (values - mean[:, None]) * present
        variance = deviation.square().sum(dim=1) / count
        corrected = variance + variance.square() / (held - 1).clamp(min=1)
        return corrected.sqrt()

    def state_dict(self) -> dict[str, Tensor]:
        """All that a resumed training needs, as tensors."""
        return {"values": self._values, "cursor": self._cursor}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what `state_dict` gave.

        Raises:
            ValueError: it belongs to another number of samples, epochs or attributes.
        """
        if state["values"].shape != self._values.shape:
            raise ValueError(
                f"the history is for {tuple(state['values'].shape)} "
                f"(samples, epochs, attributes), not {tuple(self._values.shape)}"
            )
        self._values.copy_(state["values"])
        self._cursor.copy_(state["cursor"])
