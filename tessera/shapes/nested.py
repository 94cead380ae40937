"""Areas as they are written: nested lists of points, or arrays of those that are many.

An area is parts of rings of points [x, y], like the coordinates of a GeoJSON MultiPolygon but
without the repeated last point; a part's first ring is its outline, the others are its holes.
Pixels, y downwards.
"""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.shapes.boxes import Boxes, Indices, firsts

Areas = NDArray[Any]
"""Shape (N,), of shapely MultiPolygon."""
Points = NDArray[np.float64]
"""Shape (P, 2), of x and y."""
Measures = NDArray[np.float64]
Nested = list[list[list[list[float]]]]


class Ragged(NamedTuple):
    """Nested lists as arrays: members of group i are those from `offsets[i]` to `offsets[i + 1]`.

    Source:
        GeoArrow, "Memory layout"; but no last point repeats the first.
    """

    points: Points
    rings: Indices
    """Shape (R + 1,), offsets in points."""
    parts: Indices
    """Shape (Q + 1,), offsets in rings."""
    areas: Indices
    """Shape (N + 1,), offsets in parts."""


def ragged(nested: Sequence[Nested]) -> Ragged:
    """Nested lists in any order and direction."""
    parts = list(chain.from_iterable(nested))
    rings = list(chain.from_iterable(parts))
    flat = chain.from_iterable(chain.from_iterable(rings))
    points = np.fromiter(flat, dtype=np.float64).reshape(-1, 2)
    return Ragged(points, _offsets(rings), _offsets(parts), _offsets(nested))


def _offsets(groups: Sequence[Sequence[object]]) -> Indices:
    return np.fromiter(accumulate(map(len, groups), initial=0), dtype=np.int64)


def measured(of: Ragged) -> tuple[Boxes, Measures]:
    """The upright boxes around areas, and their square pixels; far faster than of geometries.

    Args:
        of: Areas of rings that do not cross; none of no parts, no part of no rings.
    """
    first = of.rings[of.parts[of.areas]]
    x, y = of.points.T.copy()
    left, top, right, bottom = (
        most.reduceat(axis, first[:-1])
        for most, axis in [(np.minimum, x), (np.minimum, y), (np.maximum, x), (np.maximum, y)]
    )
    x -= np.repeat(left, np.diff(first))  # the smaller the numbers, the less is lost below
    y -= np.repeat(top, np.diff(first))
    after = np.arange(1, len(x) + 1)
    after[of.rings[1:] - 1] = of.rings[:-1]
    within = np.abs(np.add.reduceat(x * y[after] - x[after] * y, of.rings[:-1])) / 2
    outline = np.zeros(len(within), dtype=bool)
    outline[of.parts[:-1]] = True
    area = np.add.reduceat(np.where(outline, within, -within), of.parts[of.areas[:-1]])
    return np.stack((left, top, right, bottom), axis=1), np.asarray(area)


def areas_of(nested: Sequence[Nested]) -> Areas:
    """Nested lists in any order and direction; rings of at least three points each."""
    of = ragged(nested)
    lines = np.asarray(shapely.linearrings(of.points, indices=_numbered(of.rings)))
    whole = len(of.rings) == len(of.parts)  # no part has a hole, which is quicker
    polygons = np.asarray(shapely.polygons(lines, indices=None if whole else _numbered(of.parts)))
    return parts_of(polygons, _numbered(of.areas), len(nested))


def _numbered(offsets: Indices) -> Indices:
    """For each member of each group, the number of the group."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def parts_of(polygons: NDArray[Any], number: Indices, count: int) -> Areas:
    """So many areas, of the polygons with the number of each; empty where there are none."""
    areas = np.full(count, shapely.MultiPolygon(), dtype=object)
    shapely.multipolygons(polygons, indices=number, out=areas)
    return areas


def lists_of(areas: Areas) -> list[Nested]:
    """The one way to write each area down, so that equal areas are equal lists.

    Outlines go clockwise on the screen, holes the other way, each from its topmost point (of
    several, the leftmost); parts, and holes of a part, are in the order of those points.

    Args:
        areas: On the grid of 1/100 px.
    """
    if not len(areas):
        return []
    turned = shapely.orient_polygons(areas, exterior_cw=False)  # y goes down here
    _, points, offsets = shapely.to_ragged_array(turned)
    ring_ends, part_ends, area_ends = (each.tolist() for each in offsets)
    points = _from_the_top(np.round(points, 2) + 0.0, offsets[0].astype(np.int64)).tolist()
    rings = [points[start : end - 1] for start, end in pairwise(ring_ends)]
    parts = [
        [rings[start], *sorted(rings[start + 1 : end], key=_place)]
        for start, end in pairwise(part_ends)
    ]
    return [sorted(parts[start:end], key=_outline) for start, end in pairwise(area_ends)]


def _outline(part: list[list[list[float]]]) -> tuple[float, float, list[list[float]]]:
    return _place(part[0])


def _place(ring: list[list[float]]) -> tuple[float, float, list[list[float]]]:
    return ring[0][1], ring[0][0], ring


def _from_the_top(points: Points, offsets: Indices) -> Points:
    """Closed rings turned to start with the topmost point, which ends up last but one as well."""
    start = offsets[:-1]
    counts = np.diff(offsets)
    ring = np.repeat(np.arange(len(counts)), counts)
    x, y = points.T
    x = np.where(y == np.minimum.reduceat(y, start)[ring], x, np.inf)
    leftmost = np.flatnonzero(x == np.minimum.reduceat(x, start)[ring])
    top = leftmost[firsts(ring[leftmost])] - start
    within = np.arange(len(points)) - start[ring]
    return np.asarray(points[start[ring] + (within + top[ring]) % (counts[ring] - 1)])
