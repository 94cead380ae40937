"""Rectangles at an angle: rows of (left, top, right, bottom, angle), pixels and degrees.

The edges are those before turning; the angle is clockwise on the screen, about the centre, in
[-45, 45). Any rectangle has one such row: a quarter turn more is the same with its sides swapped.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.shapes.boxes import Boxes

Turned = NDArray[np.float64]
"""Shape (N, 5)."""
QUARTER = 90.0


def normal(boxes: Turned) -> Turned:
    """The same rectangles with angles in [-45, 45)."""
    quarters = np.floor(boxes[:, 4] / QUARTER + 0.5)
    return _quarter_turned(boxes, -quarters)


def nearest(boxes: Turned, angle: float) -> Turned:
    """The same rectangles with angles as close to this one as quarter turns bring them."""
    return _quarter_turned(boxes, np.round((angle - boxes[:, 4]) / QUARTER))


def _quarter_turned(boxes: Turned, quarters: NDArray[np.float64]) -> Turned:
    """Written with so many quarters more."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]) / 2
    half = np.where((quarters % 2 == 1)[:, None], half[:, ::-1], half)
    angle = boxes[:, 4] + QUARTER * quarters
    return np.column_stack((centre - half, centre + half, angle))


def corners(boxes: Turned) -> NDArray[np.float64]:
    """Shape (N, 4, 2): what was left top, right top, right bottom, left bottom before turning."""
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]) / 2
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    return centre[:, None] + _turned(half[:, None] * signs, boxes[:, 4])


def bounds(boxes: Turned) -> Boxes:
    """Upright boxes around them."""
    at = corners(boxes)
    around = np.hstack((at.min(axis=1), at.max(axis=1)))
    return np.where(boxes[:, 4:] == 0, boxes[:, :4], around)


def ious(first: Turned, second: Turned) -> NDArray[np.float64]:
    """Intersection over union, row by row."""
    one, other = shapely.polygons(corners(first)), shapely.polygons(corners(second))
    shared = shapely.area(shapely.intersection(one, other))
    either = shapely.area(one) + shapely.area(other) - shared
    return np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)


def clipped(boxes: Turned, windows: Boxes) -> Turned:
    """What lies in windows, row by row, in each one's own axes; without area where nothing does."""
    inside = shapely.intersection(
        shapely.polygons(corners(boxes)), shapely.box(*windows.T.reshape(4, -1))
    )
    at, of = shapely.get_coordinates(inside, return_index=True)
    centre = ((boxes[:, :2] + boxes[:, 2:4]) / 2)[of]
    own = _turned((at - centre)[:, None], -boxes[of, 4])[:, 0]
    return np.column_stack((_extent(own, of, boxes), boxes[:, 4]))


def hull(boxes: Turned, angle: float) -> Turned:
    """The smallest rectangle at an angle around all; shape (1, 5)."""
    at = corners(boxes).reshape(-1, 2)
    own = _turned((at - at.mean(axis=0))[:, None], np.full(len(at), -angle))[:, 0]
    low, high = own.min(axis=0), own.max(axis=0)
    centre = at.mean(axis=0) + _turned(((low + high) / 2)[None, None], np.array([angle]))[0, 0]
    half = (high - low) / 2
    return np.concatenate((centre - half, centre + half, [angle]))[None]


def _extent(own: NDArray[np.float64], of: NDArray[np.int64], boxes: Turned) -> Boxes:
    """Rectangles from points in their own axes, about their own old centres."""
    count = len(boxes)
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    np.minimum.at(low, of, own)
    np.maximum.at(high, of, own)
    empty = ~np.isfinite(low).all(axis=1)
    low[empty] = high[empty] = 0
    middle = (boxes[:, :2] + boxes[:, 2:4]) / 2
    centre = middle + _turned(((low + high) / 2)[:, None], boxes[:, 4])[:, 0]
    half = (high - low) / 2
    return np.hstack((centre - half, centre + half))


def _turned(vectors: NDArray[np.float64], degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Vectors (N, K, 2) turned clockwise by so many degrees each (N,); y goes down."""
    cos, sin = np.cos(np.radians(degrees))[:, None], np.sin(np.radians(degrees))[:, None]
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack((x * cos - y * sin, x * sin + y * cos), axis=-1)
