"""A small copy of an image, made of its strips while they pass by."""

from typing import NamedTuple

import numpy as np
import pyvips

from tessera.images.decoder.encode import Pixels, jpeg
from tessera.images.decoder.strips import STRIP, Strip
from tessera.images.decoder.turning import turned
from tessera.images.policy import THUMBNAIL_SIDE

QUALITY = 80
ROWS_LOOKED_AT = 4
"""Of each block, which may be 30 rows high: a thumbnail is worth a twentieth of the time."""


class Encoded(NamedTuple):
    width: int
    height: int
    content: bytes


class Shrinker:
    """Averages blocks of pixels, down to two to four times the size of a thumbnail.

    The side of a block divides the height of a strip. Rows and columns that do not fill a block
    at the bottom and right are left out: less than a thousandth of the image.
    """

    def __init__(self, width: int, height: int) -> None:
        wanted = min(max(width, height) // (2 * THUMBNAIL_SIDE), width, height, STRIP)
        self._side = 1 << max(wanted.bit_length() - 1, 0)
        self._small: dict[int, Pixels] = {}

    def add(self, strip: Strip) -> None:
        """Take one strip; the order does not matter."""
        side = self._side
        across_all = strip.pixels.shape[1]
        height, width = len(strip.pixels) // side, across_all // side
        blocks = strip.pixels[: height * side].reshape(height, side, 3 * across_all)
        looked_at = blocks[:, :: max(1, side // ROWS_LOOKED_AT)]
        down = looked_at.sum(axis=1, dtype=np.uint16).reshape(height, across_all, 3)
        down = down[:, : width * side]
        across = down.reshape(height, width, side, 3).sum(axis=2, dtype=np.uint32)
        count = looked_at.shape[1] * side
        self._small[strip.top] = ((across + count // 2) // count).astype(np.uint8)

    def finish(self, orientation: int) -> Encoded:
        """The upright thumbnail, a JPEG that is never larger than the image."""
        small = turned(
            np.concatenate([self._small[top] for top in sorted(self._small)]), orientation
        )
        image = pyvips.Image.new_from_array(np.ascontiguousarray(small), interpretation="srgb")
        if max(image.width, image.height) > THUMBNAIL_SIDE:
            image = image.thumbnail_image(THUMBNAIL_SIDE, height=THUMBNAIL_SIDE, size="down")
        return Encoded(image.width, image.height, jpeg(image.numpy(), QUALITY))
