"""Conditions on predictions: `hat > 0.8`, to write the rows of the pictures that fulfil them."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vaa_cli.core.errors import VAAError
from vaa_cli.core.labels.attributes import positions_of
from vaa_cli.core.prediction.predictor import Prediction

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_FORM = re.compile(r"\s*(.+?)\s*(>=|<=|>|<)\s*(\d*\.?\d+)\s*")


@dataclass(frozen=True)
class Condition:
    """A bound of the probability of an attribute.

    Attributes:
        position: position of the attribute.
        operator: `>`, `>=`, `<` or `<=`.
        bound: the number that the probability is compared with.
    """

    position: int
    operator: str
    bound: float

    def is_fulfilled(self, prediction: Prediction) -> bool:
        """Whether a prediction fulfils it; a picture that cannot be read always does.

        Such a picture has a row, so that it is not lost without a word.
        """
        if prediction.probabilities is None:
            return True
        probability = float(prediction.probabilities[self.position])
        return _OPERATORS[self.operator](probability, self.bound)


def parse_condition(text: str, attributes: Sequence[str]) -> Condition:
    """Read a condition.

    Args:
        text: the name of an attribute, `>`, `>=`, `<` or `<=`, and a number from 0 to 1.
        attributes: the names of the model's attributes.

    Raises:
        VAAError: it is of another form, or the model has no such attribute.

    Example:
        >>> from vaa_cli.core.prediction.conditions import parse_condition
        >>> parse_condition("long hair >= 0.8", ["hat", "long hair"])
        Condition(position=1, operator='>=', bound=0.8)
    """
    match = _FORM.fullmatch(text)
    if match is None or not 0 <= float(match[3]) <= 1:
        raise VAAError(
            f"`where` {text[:80]!r}: write it as 'hat > 0.8', with a probability from 0 to 1"
        )
    name = match[1]
    # A name may have a comma in it; of another one, the message suggests the nearest.
    position = (
        attributes.index(name)
        if name in attributes
        else positions_of(name, attributes, "`where`")[0]
    )
    return Condition(position, match[2], float(match[3]))
