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
from tessera.shapes.nested import Measures
from tessera.shapes.rings import Geometries, overlay

_FEW = 2_500
"""Pairs of edges that cost about as much as an overlay, of outlines that cross often."""
_TOGETHER = 2**15
"""Pairs of edges in arrays at once: some such arrays fit into a processor's cache."""


def ious(first: Geometries, second: Geometries) -> Measures:
    """Intersection over union, row by row; exactly 1 of equals, nothing of two without area."""
    shared = shared_areas(first, second)
    either = shapely.area(first) + shapely.area(second) - shared
    share = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0)
    return np.asarray(np.round(share, 9))


def shared_areas(first: Geometries, second: Geometries) -> Measures:
    """Area of the intersection, row by row.

    Args:
        first: Of rings that do not cross, though they may touch; collections without another in
            them. What is no area has none.
    """
    pairs = _counts(first) * _counts(second)
    shared = np.zeros(len(first))
    many = pairs > _FEW
    shared[many] = shapely.area(overlay(shapely.intersection, first[many], second[many]))
    few = np.flatnonzero(~many)
    batches = firsts(np.cumsum(pairs[few]) // _TOGETHER).tolist()
    for start, end in pairwise([*batches, len(few)]):
        rows = few[start:end]
        shared[rows] = _summed(_edges(first[rows]), _edges(second[rows]))
    return shared


def _counts(areas: Geometries) -> Indices:
    return np.asarray(shapely.get_num_coordinates(areas), dtype=np.int64)


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
        x[2 * kept + 1 - left],
        y[left],
        down / across,
        way[of] * np.sign(across),
    )


def _summed(one: _Edges, other: _Edges) -> Measures:
    """What areas share, by the sums over the pairs of their edges."""
    edges, against = np.diff(one.offsets), np.diff(other.offsets)
    row = np.repeat(np.arange(len(edges)), edges * against)
    a = np.repeat(np.arange(one.offsets[-1]), np.repeat(against, edges))
    begins = np.cumsum(edges * against) - edges * against
    b = (np.arange(len(row)) - begins[row]) % against[row] + other.offsets[row]
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
    return np.maximum(np.bincount(row, weighted, len(edges)) / -4, 0)
