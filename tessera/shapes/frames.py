"""Frames of reference: pixels of an image, and pixels of the window of it that a tile shows.

Both have their origin at the top left corner of the top left pixel; x goes right, y down.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Size(NamedTuple):
    width: int
    height: int


class Window(NamedTuple):
    """Half-open rectangle of whole pixels in the image frame."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> Size:
        return Size(self.right - self.left, self.bottom - self.top)


@dataclass(frozen=True, slots=True)
class TileFrame:
    """Where a tile lies in its image; tile pixels start at the window's top left corner."""

    window: Window
    core: Window
    """The part no other tile has: cores partition the image."""
    image: Size
