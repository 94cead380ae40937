"""Stored pixels to upright ones, and windows of the upright image to windows of the stored one."""

from tessera.images.decoder.encode import Pixels
from tessera.images.frames import TURNS, Box, BoxInImage, Upright, image_box_to_original
from tessera.images.tiling import Rect


def stored_rect(rect: Rect, upright: Upright) -> Rect:
    """Where in the file a window of the upright image lies."""
    box = image_box_to_original(BoxInImage(Box(*rect)), upright)
    return Rect(int(box.left), int(box.top), int(box.right), int(box.bottom))


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Stored pixels as they are to be seen; a view, nothing is copied."""
    turn = TURNS[orientation]
    mirrored = pixels[:: -1 if turn.mirror_y else 1, :: -1 if turn.mirror_x else 1]
    return mirrored.transpose(1, 0, 2) if turn.transpose else mirrored
