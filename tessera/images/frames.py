"""How the pixels of a file lie in the upright image, which everything else is about.

Tile pixels: origin at the top left of the tile's window; what earners answer in.
Image pixels: the upright image, after its EXIF orientation; what datasets are written in.
Original pixels: the file's own rows and columns, before its EXIF orientation; nobody sees these.

Coordinates are continuous: pixel i covers [i, i + 1), so a mirrored x is `width - x`, for points
and for the edges of boxes alike. `kinds` takes shapes from tiles to images; here windows of images
are taken to the file.
"""

from typing import NamedTuple

from tessera.images.tiling import Rect


class Turn(NamedTuple):
    """From original to upright: mirror first, then exchange rows and columns."""

    mirror_x: bool
    mirror_y: bool
    transpose: bool


TURNS = {
    1: Turn(mirror_x=False, mirror_y=False, transpose=False),
    2: Turn(mirror_x=True, mirror_y=False, transpose=False),
    3: Turn(mirror_x=True, mirror_y=True, transpose=False),
    4: Turn(mirror_x=False, mirror_y=True, transpose=False),
    5: Turn(mirror_x=False, mirror_y=False, transpose=True),
    6: Turn(mirror_x=False, mirror_y=True, transpose=True),
    7: Turn(mirror_x=True, mirror_y=True, transpose=True),
    8: Turn(mirror_x=True, mirror_y=False, transpose=True),
}
"""By EXIF orientation (tag 0x0112), 1 to 8."""


class Upright(NamedTuple):
    """How a file's pixels become the upright image.

    Attributes:
        orientation: EXIF, 1 to 8.
        width: Of the file as stored, pixels; likewise height.
    """

    orientation: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image."""
        if TURNS[self.orientation].transpose:
            return self.height, self.width
        return self.width, self.height


def window_in_file(window: Rect, upright: Upright) -> Rect:
    """Where in the file a window of the upright image lies; original pixels."""
    turn = TURNS[upright.orientation]
    left, top, right, bottom = window
    if turn.transpose:
        left, top, right, bottom = top, left, bottom, right
    if turn.mirror_x:
        left, right = upright.width - right, upright.width - left
    if turn.mirror_y:
        top, bottom = upright.height - bottom, upright.height - top
    return Rect(left, top, right, bottom)
