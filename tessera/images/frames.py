"""The three frames a shape can be in, and the only code that converts between them.

Tile pixels: origin at the top left of the tile's window; what earners answer in.
Image pixels: the upright image, after its EXIF orientation; what datasets are written in.
Original pixels: the file's own rows and columns, before its EXIF orientation.

Coordinates are continuous: pixel i covers [i, i + 1), so a mirrored x is `width - x`, for points
and for the edges of boxes alike.
"""

from typing import NamedTuple, NewType

from tessera.images.tiling import Rect


class Point(NamedTuple):
    x: float
    y: float


class Box(NamedTuple):
    """Half-open, left <= right and top <= bottom."""

    left: float
    top: float
    right: float
    bottom: float


PointInTile = NewType("PointInTile", Point)
PointInImage = NewType("PointInImage", Point)
PointInOriginal = NewType("PointInOriginal", Point)
BoxInTile = NewType("BoxInTile", Box)
BoxInImage = NewType("BoxInImage", Box)
BoxInOriginal = NewType("BoxInOriginal", Box)


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


def tile_point_to_image(point: PointInTile, window: Rect) -> PointInImage:
    return PointInImage(Point(point.x + window.left, point.y + window.top))


def image_point_to_tile(point: PointInImage, window: Rect) -> PointInTile:
    return PointInTile(Point(point.x - window.left, point.y - window.top))


def tile_box_to_image(box: BoxInTile, window: Rect) -> BoxInImage:
    return BoxInImage(_moved(box, window.left, window.top))


def image_box_to_tile(box: BoxInImage, window: Rect) -> BoxInTile:
    """The box as the tile sees it; it may reach outside the window."""
    return BoxInTile(_moved(box, -window.left, -window.top))


def original_point_to_image(point: PointInOriginal, upright: Upright) -> PointInImage:
    turn = TURNS[upright.orientation]
    x = upright.width - point.x if turn.mirror_x else point.x
    y = upright.height - point.y if turn.mirror_y else point.y
    return PointInImage(Point(y, x) if turn.transpose else Point(x, y))


def image_point_to_original(point: PointInImage, upright: Upright) -> PointInOriginal:
    turn = TURNS[upright.orientation]
    x, y = (point.y, point.x) if turn.transpose else point
    return PointInOriginal(
        Point(
            upright.width - x if turn.mirror_x else x,
            upright.height - y if turn.mirror_y else y,
        )
    )


def original_box_to_image(box: BoxInOriginal, upright: Upright) -> BoxInImage:
    corners = (PointInOriginal(Point(box.left, box.top)), PointInOriginal(Point(*box[2:])))
    return BoxInImage(_around(*(original_point_to_image(corner, upright) for corner in corners)))


def image_box_to_original(box: BoxInImage, upright: Upright) -> BoxInOriginal:
    corners = (PointInImage(Point(box.left, box.top)), PointInImage(Point(*box[2:])))
    return BoxInOriginal(_around(*(image_point_to_original(corner, upright) for corner in corners)))


def _moved(box: Box, right: float, down: float) -> Box:
    return Box(box.left + right, box.top + down, box.right + right, box.bottom + down)


def _around(one: Point, other: Point) -> Box:
    return Box(min(one.x, other.x), min(one.y, other.y), max(one.x, other.x), max(one.y, other.y))
