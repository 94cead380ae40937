"""Pixels to the bytes of a tile. The same pixels give the same bytes, and nothing but pixels."""

import numpy as np
import pyvips
import simplejpeg
from numpy.typing import NDArray

from tessera.images.policy import TileFormat

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB."""

FULL_COLOUR_FROM = 90
WEBP_SIDE = 16_383
"""What the format can hold."""


def encode(pixels: Pixels, form: TileFormat, quality: int) -> bytes:
    if form is TileFormat.JPEG:
        return jpeg(pixels, quality)
    image = pyvips.Image.new_from_array(pixels, interpretation="srgb")
    if form is TileFormat.WEBP:
        return bytes(image.webpsave_buffer(Q=quality, keep="none"))
    return bytes(image.pngsave_buffer(keep="none"))


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """Encode with libjpeg-turbo, which is faster here than through libvips.

    The rule for colour resolution is that of libvips, too.
    """
    colours = "444" if quality >= FULL_COLOUR_FROM else "420"
    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality, "RGB", colorsubsampling=colours
    )
    return encoded
