"""Requests to pixels; nothing here needs torch, so that decoding processes start at once."""

from collections.abc import Callable

from PIL import Image

from vaa_cli.core.errors import PictureError
from vaa_cli.core.images import Decoded, decode_picture, part_of
from vaa_cli.core.requests import Request

# Twice the size in the decoder leaves the resampling enough to work with.
_ENOUGH = 2


class Decoder:
    """Decodes pictures to one size.

    Boxes of one picture often follow each other: it is decoded once for all of them.

    Args:
        size: height and width.
        box_margin: context around boxes, see `boxes.crop_region`.
    """

    def __init__(self, size: tuple[int, int], box_margin: float = 0.0) -> None:
        self.size, self.box_margin = size, box_margin
        self._last: tuple[str, Decoded] | None = None

    def decode(
        self, request: Request, scale: Callable[[Image.Image], Image.Image] | None = None
    ) -> Decoded:
        """The part of a picture that is meant, RGB, scaled.

        Args:
            request: the picture.
            scale: scales it another way than to the whole size.

        Raises:
            PictureError: it is missing or broken, or its box lies outside it.
        """
        if request.problem is not None:
            raise PictureError(request.problem)
        decoded = self._whole(request)
        picture = part_of(decoded.picture, request.box, self.box_margin)
        height, width = self.size
        if scale is not None:
            picture = scale(picture)
        else:
            picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        return Decoded(picture, decoded.has_more_frames)

    def _whole(self, request: Request) -> Decoded:
        source = request.path if request.content is None else request.content
        if request.box is None:
            height, width = self.size
            return decode_picture(source, enough=(_ENOUGH * height, _ENOUGH * width))
        if self._last is not None and self._last[0] == request.path and source is request.path:
            return self._last[1]
        self._last = None  # its memory is free before the next one takes as much
        decoded = decode_picture(source)
        self._last = (request.path, decoded)
        return decoded
