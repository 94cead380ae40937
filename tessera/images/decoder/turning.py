"""Stored pixels to upright ones."""

from tessera.images.decoder.encode import Pixels
from tessera.images.frames import TURNS


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Stored pixels as they are to be seen; a view, nothing is copied."""
    turn = TURNS[orientation]
    mirrored = pixels[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1]
    return mirrored.transpose(1, 0, 2) if turn.transpose else mirrored
