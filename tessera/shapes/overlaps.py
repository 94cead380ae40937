"""How much areas overlap, row by row, without making what they share; square pixels.

At any x, the points of an area are those below an odd number of its edges. With w = 1 for edges
that bound it from below and -1 from above, of each pair of edges a of the one and b of the other,
over the x that both span, the sum of w_a w_b |y_a - y_b| / -2 is the length that both areas share:
in twice the lower of two values, their sum less their difference, the sums cancel each other out.
An integral of that is the area. It needs no crossings, cannot fail, and takes arrays; but there are
as many pairs as edges times edges, so areas of many edges are left to an overlay.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.shapes.boxes import Indices, firsts
from tessera.shapes.rings import Geometries, Measures, overlay

_FEW = 2_500
"""Pairs of edges that cost about as much as an overlay."""
_TOGETHER = 2**15
"""Pairs of edges in arrays at once: some such arrays fit into a processor's cache."""


def ious(first: Geometries, second: Geometries) -> Measures:
    """Intersection over union, row by row; exactly 1 of equals, nothing of two without area."""
    shared = shared_areas(first, second)
    either = shapely.area(first) + shapely.area(second) - shared
    share = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return np.asarray(np.round(share, 9))


def shared_areas(first: Geometries, second: Geometries) -> Measures:
    """Area of the intersection, row by row."""
    counts = shapely.get_num_coordinates(first) * shapely.get_num_coordinates(second)
    shared = np.zeros(len(first))
    many = counts > _FEW
    shared[many] = shapely.area(overlay(shapely.intersection, first[many], second[many]))
    few = np.flatnonzero(~many)
    one, other = _edges(first[few]), _edges(second[few])
    pairs = np.cumsum(np.diff(one.offsets) * np.diff(other.offsets))
    for start, end in pairwise([*firsts(pairs // _TOGETHER).tolist(), len(few)]):
        shared[few[start:end]] = _summed(one, other, start, end)
    return shared


class _Edges(NamedTuple):
    """Of some areas, without upright ones; each from left to right."""

    offsets: Indices
    """Shape (N + 1,). Which edges are those of each area."""
    left: NDArray[np.float64]
    right: NDArray[np.float64]
    top: NDArray[np.float64]
    """y at the left end."""
    slope: NDArray[np.float64]
    weight: NDArray[np.float64]


def _edges(areas: Geometries) -> _Edges:
    parts, area = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    x, y = points.T.copy()
    across, down, inner = np.diff(x), np.diff(y), ring[1:] == ring[:-1]
    turn = np.bincount(ring[1:], (across * (y[1:] + y[:-1]) * inner), len(rings))
    outline = np.diff(part, prepend=-1) > 0
    way = np.sign(turn) * np.where(outline, 1.0, -1.0)
    kept = np.flatnonzero(inner & (across != 0))
    across, down, of = across[kept], down[kept], ring[kept]
    left = np.where(across > 0, kept, kept + 1)
    return _Edges(
        np.searchsorted(area[part[of]], np.arange(len(areas) + 1)),
        x[left],
        x[left] + np.abs(across),
        y[left],
        down / across,
        way[of] * np.sign(across),
    )


def _summed(one: _Edges, other: _Edges, start: int, end: int) -> Measures:
    """What the areas from `start` to `end` share."""
    edges = np.diff(one.offsets[start : end + 1])
    against = np.diff(other.offsets[start : end + 1])
    row = np.repeat(np.arange(end - start), edges * against)
    a = np.repeat(np.arange(one.offsets[start], one.offsets[end]), np.repeat(against, edges))
    begins = np.cumsum(edges * against) - edges * against
    b = (np.arange(len(row)) - begins[row]) % against[row] + other.offsets[start:end][row]
    low = np.maximum(one.left[a], other.left[b])
    high = np.minimum(one.right[a], other.right[b])
    both = np.flatnonzero(low < high)
    low, high, a, b, row = low[both], high[both], a[both], b[both], row[both]
    slope = one.slope[a] - other.slope[b]
    above = one.top[a] - other.top[b]
    above += one.slope[a] * (low - one.left[a]) - other.slope[b] * (low - other.left[b])
    below = above + slope * (high - low)
    apart = np.abs(above) + np.abs(below)  # twice the mean of |y_a - y_b|, if they do not cross
    cross = above * below < 0
    apart[cross] = (above[cross] ** 2 + below[cross] ** 2) / apart[cross]
    weighted = one.weight[a] * other.weight[b] * apart * (high - low)
    return np.maximum(np.bincount(row, weighted, end - start) / -4, 0)
