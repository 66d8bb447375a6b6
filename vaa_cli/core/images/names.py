"""The names of the ways to augment pictures; nothing else, so that help answers at once."""

from typing import Literal

AugmentName = Literal["pad-crop", "resize-crop", "none"]
