"""Areas bounded by rings, as object arrays of shapely MultiPolygons; pixels, y downwards.

An area may come in several parts, and each part may have holes; `shapes.nested` has how they are
written.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.shapes.boxes import Boxes, Indices, crossing, overlap, shared_by, sides
from tessera.shapes.boxes import areas as square
from tessera.shapes.nested import Areas, Measures, Points, parts_of
from tessera.shapes.seams import TOLERANCE

Geometries = NDArray[Any]
"""Shape (N,), of whatever an overlay makes of areas."""

GRID = 0.01
"""Pixels: the precision of every answer."""
LEAST_AREA = 1.0
"""Square pixels within a ring. Less is neither a part nor a hole."""
DETAIL = 0.5
"""Pixels by which a decided outline may be simplified: less than the steadiest hand's tremor."""
_TRACE = 2 * GRID
"""Pixels that rounding may leave as a step where two pieces met."""
_EVEN, _PLANE = 1e-9, 2
_OUTWARD = np.array((-1.0, -1.0, 1.0, 1.0))
_STEP = 1.0
"""Pixels between the points that stand for an outline, if they are not too many."""
_MEASURED, _DIVIDED = 256, 2_000
"""Points, about, to measure how close two outlines are, and to find the middle between two."""


def on_grid(areas: Areas) -> Areas:
    """To 1/100 px; where that makes rings cross or repeat points, the nearest valid areas."""
    rounded = np.asarray(shapely.transform(areas, lambda points: np.round(points, 2) + 0.0))
    off = ~(shapely.equals_exact(rounded, areas, _EVEN) & shapely.is_valid(rounded))
    if off.any():
        rounded[off] = _polygonal(shapely.set_precision(shapely.make_valid(areas[off]), GRID))
    return rounded


def solid(geometries: Geometries) -> Areas:
    """What has area, on a grid of 1/100 px, without the rings below the least; maybe empty."""
    areas = _polygonal(shapely.set_precision(shapely.make_valid(geometries), GRID))
    parts, area = shapely.get_parts(areas, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    large = ~too_small(rings)
    outline = np.diff(part, prepend=-1) > 0
    kept = large & large[outline][part]
    if kept.all():
        return areas
    none = np.full(len(parts), None, dtype=object)
    whole = np.asarray(shapely.polygons(rings[kept], indices=part[kept], out=none))
    left = np.flatnonzero(large[outline])
    return parts_of(whole[left], area[left], len(areas))


def too_small(rings: Geometries) -> NDArray[np.bool_]:
    """Which linear rings enclose less than the least area; the same wherever they lie."""
    return np.asarray(np.round(shapely.area(shapely.polygons(rings)), 4) < LEAST_AREA)


def _polygonal(geometries: Geometries) -> Areas:
    """Without the points and lines that overlays leave where areas only touch."""
    parts, number = shapely.get_parts(geometries, return_index=True)
    parts, within = shapely.get_parts(parts, return_index=True)  # a collection may hold several
    flat = (shapely.get_dimensions(parts) < _PLANE) | shapely.is_empty(parts)
    return parts_of(parts[~flat], number[within[~flat]], len(geometries))


def overlay(operation: Callable[..., Any], *areas: Any) -> Any:
    """A shapely overlay; of sound areas on the grid, where it cannot fail, if it failed."""
    try:
        return operation(*areas)
    except shapely.GEOSException:
        return operation(*map(shapely.make_valid, areas), grid_size=GRID)


def within(areas: Areas, boxes: Boxes) -> Geometries:
    """What boxes show of areas, row by row, far faster than by an overlay.

    Equal boxes in a row are faster still. What is shown may touch itself along the box.
    """
    out = (_OUTWARD * (shapely.bounds(areas) - boxes) > 0).any(axis=1)
    shown, cut, limits = np.array(areas), areas[out], boxes[out]
    starts = np.flatnonzero(np.diff(limits, axis=0, prepend=np.nan).any(axis=1)).tolist()
    for start, end in pairwise([*starts, len(cut)]):
        cut[start:end] = shapely.clip_by_rect(cut[start:end], *limits[start])
    shown[out] = cut
    return shown


def most_crossed(areas: Areas) -> int:
    """How many edges, at most, an upright or a level line crosses.

    If s is that of two areas of n and m edges, no more than s (n + m) of their edges cross: of two
    that do, one starts where the other already is, and there are at most s of those.
    """
    lines = shapely.get_rings(shapely.get_parts(areas))
    points, line = shapely.get_coordinates(lines, return_index=True)
    inner = np.flatnonzero(line[1:] == line[:-1])
    low = np.minimum(points[inner], points[inner + 1])
    high = np.maximum(points[inner], points[inner + 1])
    return max(_deepest(*ends) for ends in zip(low.T, high.T, strict=True))


def _deepest(low: Measures, high: Measures) -> int:
    """The most half-open intervals that hold any one value."""
    starts = np.sort(low)
    begun = np.searchsorted(starts, starts, side="right")
    return int((begun - np.searchsorted(np.sort(high), starts, side="right")).max())


def boundary_agreement(first: Areas, second: Areas, tolerance: Measures) -> Measures:
    """Boundary F-measure, row by row: how much of each outline lies close to the other.

    The harmonic mean of precision and recall, which are shares of the outlines' lengths.

    Args:
        tolerance: Shape (N,). Pixels apart that are still close.

    Source:
        Csurka et al. 2013, "What is a good evaluation measure for semantic segmentation?", with
        lengths of outlines for the pixels along them.
    """
    one, other = shapely.boundary(first), shapely.boundary(second)
    precision, recall = _close(one, other, tolerance), _close(other, one, tolerance)
    both = precision + recall
    product = 2 * precision * recall
    return np.asarray(np.divide(product, both, out=np.zeros_like(both), where=both > 0))


def _close(lines: Geometries, others: Geometries, tolerance: Any) -> Measures:
    """Share of each line's length that lies within the tolerance of another.

    Args:
        tolerance: Shape (N,); shapely takes that, but its types know of one for all only.
    """
    middles, lengths, line = _steps(lines, _MEASURED)
    shapely.prepare(others)
    near = shapely.dwithin(others[line], shapely.points(middles), tolerance[line])
    return np.bincount(line, lengths * near, len(lines)) / np.bincount(line, lengths, len(lines))


def _steps(lines: Geometries, most: int) -> tuple[Points, Measures, Indices]:
    """Lines in steps of a pixel, or about so many: the middle and length of each, and whose."""
    step = np.maximum(_STEP, shapely.length(lines) / most)
    pieces, line = shapely.get_parts(shapely.segmentize(lines, step), return_index=True)
    points, piece = shapely.get_coordinates(pieces, return_index=True)
    inner = np.flatnonzero(piece[1:] == piece[:-1])
    along = points[inner + 1] - points[inner]
    return points[inner] + along / 2, np.hypot(*along.T), line[piece[inner]]


def voted(areas: Areas, weights: Measures) -> Areas:
    """The ground that most of the weight covers, exactly, as one area of length 1; maybe empty.

    All outlines together divide the plane into faces, and each is won or lost as a whole. Faces at
    even odds are divided midway between won and lost ground.

    Args:
        weights: Shape (N,), positive.
    """
    lines = overlay(shapely.union_all, shapely.boundary(areas))
    faces = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inside = shapely.point_on_surface(faces)
    shapely.prepare(areas)
    share = weights @ shapely.contains(areas[:, None], inside[None]) / weights.sum()
    won, even = _joined(faces[share > 0.5 + _EVEN]), _joined(faces[np.abs(share - 0.5) <= _EVEN])
    if not even.is_empty:
        won = overlay(shapely.union, won, _nearer(even, won))
    return solid(shapely.simplify(np.array([won]), DETAIL))


def _nearer(ground: Any, won: Any) -> Any:
    """The part of some ground that lies nearer to what is won than to what is lost.

    By the Voronoi cells of the steps of its border, which is a border to either the one or the
    other. So a part, or a hole, that only one side drew is not there.
    """
    middles, _, _ = _steps(np.array([shapely.boundary(ground)]), _DIVIDED)
    middles = np.unique(middles, axis=0)
    shapely.prepare(border := shapely.boundary(won))
    near = shapely.dwithin(border, shapely.points(middles), GRID)
    if not near.any():
        return shapely.Polygon()
    sites = shapely.MultiPoint(middles)
    cells = shapely.get_parts(shapely.voronoi_polygons(sites, extend_to=ground, ordered=True))
    return overlay(shapely.intersection, ground, _joined(cells[near]))


def _joined(faces: Geometries) -> Any:
    """The union of faces of one subdivision of the plane, whose edges match exactly."""
    try:
        return shapely.coverage_union_all(faces)
    except shapely.GEOSException:  # of Voronoi cells that cross themselves, on sites in a lattice
        return shapely.union_all(shapely.make_valid(faces), grid_size=GRID)


def stitched(pieces: Areas, groups: Indices, windows: Boxes, cores: Boxes) -> Areas:
    """What several tiles saw of each area, put together: each speaks for its own core.

    Outside the cores of all others a piece counts as well, as nobody else saw an area there. Where
    windows end at the seam, people stop a little short of it, and the crack between is closed.

    Args:
        pieces: Shape (N,).
        groups: Shape (N,). The area that each is a piece of: 0 to G - 1.
        windows: Shape (N, 4). What the tile of each piece saw.
        cores: Shape (N, 4). What it owns.

    Returns:
        Shape (G,); maybe empty.
    """
    first, second = crossing(groups, windows[:, 0], windows[:, 2])
    own = _own(pieces, np.concatenate((first, second)), np.concatenate((second, first)), cores)
    whole = np.array([overlay(shapely.union_all, members) for _, members in _by_group(own, groups)])
    seams = shared_by(cores[first], cores[second])
    seen = shared_by(windows[first], windows[second])
    blind = (sides(seams)[0] >= 0) & (sides(seen)[0] < 2 * TOLERANCE)
    for group, lines in _by_group(seams[blind], groups[first[blind]]):
        whole[group] = shapely.union(whole[group], _crack(whole[group], lines), grid_size=GRID)
    return solid(shapely.simplify(whole, _TRACE))


def _by_group(values: NDArray[Any], groups: Indices) -> Iterator[tuple[int, NDArray[Any]]]:
    order = np.argsort(groups, kind="stable")
    numbers, starts = np.unique(groups[order], return_index=True)
    spans = pairwise([*starts, len(order)])
    for number, (start, end) in zip(numbers.tolist(), spans, strict=True):
        yield number, values[order[start:end]]


def _own(pieces: Areas, which: Indices, others: Indices, cores: Boxes) -> Geometries:
    """Pieces without the cores of others; `which` says of each of the others what it is next to."""
    around = shapely.bounds(pieces)
    taken = overlap(around[which], cores[others])
    rest = square(around) - overlap(around, cores) - np.bincount(which, taken, len(pieces))
    alone = rest <= GRID  # square pixels around it that are in nobody's core
    left = np.array(pieces)
    left[alone] = within(pieces[alone], cores[alone])
    cutting = np.flatnonzero((taken > 0) & ~alone[which])
    for turn in _turns(which[cutting]):
        piece, box = which[cutting[turn]], shapely.box(*cores[others[cutting[turn]]].T)
        left[piece] = overlay(shapely.difference, left[piece], box)
    return left


def _turns(numbers: Indices) -> list[Indices]:
    """Positions in turns, such that no number comes up twice in one."""
    order = np.argsort(numbers, kind="stable")
    _, starts, counts = np.unique(numbers[order], return_index=True, return_counts=True)
    rank = np.arange(len(numbers)) - np.repeat(starts, counts)
    return [order[rank == each] for each in range(counts.max(initial=0))]


def _crack(area: Any, seams: Boxes) -> Any:
    """What widening and narrowing an area by the tolerance adds to it close to seams."""
    strip = shapely.union_all(shapely.box(*(seams + TOLERANCE * _OUTWARD).T))
    near = overlay(shapely.intersection, area, shapely.buffer(strip, TOLERANCE, join_style="mitre"))
    wide = shapely.buffer(near, TOLERANCE, join_style="mitre")
    closed = shapely.buffer(wide, -TOLERANCE, join_style="mitre")
    return overlay(shapely.intersection, closed, strip)
