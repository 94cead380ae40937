"""Every colour model that is taken becomes sRGB, eight bits a channel, without transparency."""

from contextlib import suppress

import pyvips

from tessera.images.refusals import Reason, Refused

_COLOURS = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb": 3, "rgb16": 3, "cmyk": 4}
"""Channels of the interpretations of libvips that are taken, without extra ones."""
_MOST = {"uchar": 2**8 - 1, "ushort": 2**16 - 1}
"""By the types of libvips that are taken."""
_SRGB = b"sRGB IEC61966-2"
"""In the description of the profile that most cameras and editors embed."""


def checked(image: pyvips.Image, *, keep_alpha: bool) -> pyvips.Image:
    """The image with its colours, and one more channel if that is its transparency.

    Raises:
        Refused: unsupported-format, because nobody can know what these numbers look like.
    """
    if image.format not in _MOST:
        raise Refused(
            Reason.UNSUPPORTED_FORMAT,
            f"The pixels are of the type {image.format}. Save the image with 8 or 16 bits a "
            "channel, so that it looks as people should see it.",
        )
    colours = _COLOURS.get(image.interpretation)
    if colours is None or image.bands not in {colours, colours + 1}:
        raise Refused(
            Reason.UNSUPPORTED_FORMAT,
            f"The colours are of the kind {image.interpretation} with {image.bands} channels. "
            "Save the image as grey, RGB or CMYK.",
        )
    return image if keep_alpha or image.bands == colours else image.extract_band(0, n=colours)


def to_srgb(image: pyvips.Image) -> pyvips.Image:
    """Three channels of eight bits: transparency over white, the embedded profile applied."""
    if image.bands > _COLOURS[image.interpretation]:
        most = _MOST[image.format]
        # in CMYK no ink is white; and libvips takes 255 for opaque there, however deep it is
        white = 0 if image.interpretation == "cmyk" else most
        image = image.flatten(background=white, max_alpha=most)
    if _needs_conversion(image):
        # a profile that cannot be used is as good as none
        with suppress(pyvips.Error):
            image = image.icc_transform("srgb", embedded=True, intent="relative")
    image = image.colourspace("srgb")
    return image.cast("uchar") if image.format != "uchar" else image


def _needs_conversion(image: pyvips.Image) -> bool:
    """Whether there is a profile other than sRGB, whose conversion would cost half the speed."""
    name = "icc-profile-data"
    return bool(image.get_typeof(name)) and _SRGB not in image.get(name)
