"""Open lines: how far they run alongside, what several come to, and how runs of one are joined.

Lines are shapely LineStrings of at least two points, in pixels; their direction means nothing.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from shapely.ops import substring

from tessera.shapes.boxes import Boxes, Indices

Lines = NDArray[np.object_]
"""Shape (N,)."""
Measures = NDArray[np.float64]
Points = NDArray[np.float64]
STATIONS = 24
"""Places of a line, in equal steps, that stand for all of it where two are compared."""
STEP = 4.0
"""Pixels at most between the points of a line that is bent to the middle of several."""
FINE = 1.0
"""The same, of a line that is cut where one tile ends and the next begins."""
MOST_PLACES = 2_000
"""Of one line, besides its points: a scribble of kilometres is given longer steps."""
TURN = 2.0
"""Pixels that a right angle counts where pieces are joined: at a crossing four ends meet."""
FLAT = 0.5
"""Pixels that a point may lie off a straight line and be left out."""
_TINY = 1e-6


def as_lines(rows: Sequence[Sequence[Sequence[float]]]) -> Lines:
    at = np.array([point for row in rows for point in row], dtype=np.float64).reshape(-1, 2)
    return _lines(at, np.repeat(np.arange(len(rows)), [len(row) for row in rows]))


def within(lines: Lines, boxes: Boxes) -> tuple[Lines, Indices]:
    """The runs of lines inside boxes, row by row, edges included, in their order along each.

    Segment by segment (Liang & Barsky 1984): an intersection of the whole falls apart where a line
    crosses itself.

    Returns:
        The runs, shape (R,), and which line each of them is of.
    """
    at, of = shapely.get_coordinates(lines, return_index=True)
    real = (of[1:] == of[:-1]) & (at[1:] != at[:-1]).any(axis=1)
    start, way, of = at[:-1][real], (at[1:] - at[:-1])[real], of[:-1][real]
    low, high = boxes[of, :2] - start, boxes[of, 2:] - start
    level, ahead = way == 0, way > 0
    step = np.where(level, 1, way)
    enter = np.where(level, np.where(low > 0, np.inf, -np.inf), np.where(ahead, low, high) / step)
    leave = np.where(level, np.where(high < 0, -np.inf, np.inf), np.where(ahead, high, low) / step)
    begin, end = np.maximum(enter.max(axis=1), 0), np.minimum(leave.min(axis=1), 1)
    inside = begin < end
    start, way, of, begin, end = (each[inside] for each in (start, way, of, begin, end))
    new = np.ones(len(of), dtype=bool)
    new[1:] = (of[1:] != of[:-1]) | (end[:-1] < 1) | (begin[1:] > 0)
    ends = start[:, None] + np.stack((begin, end), axis=1)[..., None] * way[:, None]
    kept = np.stack((new, np.ones_like(new)), axis=1)
    run = np.repeat(np.cumsum(new) - 1, 2).reshape(-1, 2)
    return _lines(ends[kept], run[kept]), of[new]


def _lines(points: Points, of: Indices) -> Lines:
    return np.asarray(shapely.linestrings(points, indices=of))


def apart(lines: Lines, others: Lines) -> Measures:
    """How far the places along each line are from another one, row by row; shape (N, STATIONS)."""
    # a line is in many pairs, and finding its places takes longer than anything else
    names = np.fromiter(map(id, lines), dtype=np.int64, count=len(lines))
    _, which, row = np.unique(names, return_index=True, return_inverse=True)
    steps = (np.arange(STATIONS) + 0.5) / STATIONS
    places = shapely.line_interpolate_point(lines[which, None], steps, normalized=True)
    return np.asarray(shapely.distance(places[row], others[:, None]))


def closeness(off: Measures, near: float) -> Measures:
    """1 for what is not off, 0.88 at a quarter of `near`, 0.61 at half of it, 0.14 there."""
    return np.asarray(np.exp(-2 * (off / near) ** 2))


def shared(first: Lines, second: Lines, worth: Callable[[Measures], Measures]) -> Measures:
    """Of the length of both lines, the share that is there in both, row by row.

    A buffer around each tells what of the other one is also there (Goodchild & Hunter 1997), and
    the lesser of the two lengths counts: of a line drawn three times to and fro only one is right.

    Args:
        worth: What a place counts that is so many pixels from the other line, in [0, 1].
    """
    one, other = shapely.length(first), shapely.length(second)
    there = np.minimum(
        one * worth(apart(first, second)).mean(axis=1),
        other * worth(apart(second, first)).mean(axis=1),
    )
    return np.asarray(2 * there / (one + other))


def middle(lines: Lines, weights: Measures, near: float) -> Lines:
    """One line, shape (1,), of several drawings of one; their order and directions do not matter.

    The drawing that has most in common with the others is bent: each of its points goes to the
    weighted median of the closest points of all that pass it. It ends at the medians of where along
    it the drawings do; of two, medians are means.

    Args:
        weights: Shape (N,), positive.
        near: Pixels that a drawing may be off and still pass.
    """
    order = sorted(range(len(lines)), key=lambda i: shapely.get_coordinates(lines[i]).tolist())
    lines, weights = lines[order], weights[order]
    one, other = np.triu_indices(len(lines), 1)
    long = shapely.length(lines)
    common = shared(lines[one], lines[other], lambda off: closeness(off, near))
    common *= long[one] + long[other]
    central = np.bincount(one, common * weights[other], len(lines))
    central += np.bincount(other, common * weights[one], len(lines))
    unusual = np.abs(long - np.median(long))  # decides if they have equally much
    guide = lines[np.lexsort((long, -np.round(unusual, 6), np.round(central, 6)))[-1]]
    spans = np.sort(shapely.line_locate_point(guide, shapely.get_point(lines[:, None], [0, -1])))
    begin, end = _medians(spans, weights, np.ones(spans.shape, dtype=bool))
    if end - begin < guide.length / 2:  # a ring: where it is open says nothing
        begin, end = 0.0, guide.length
    at, _ = _places(np.array([substring(guide, begin, end)]), STEP)
    feet, passing = _closest(at, lines, near)
    bent = np.stack([_medians(feet[..., axis].T, weights, passing.T) for axis in (0, 1)], axis=1)
    return np.asarray(shapely.simplify([shapely.LineString(bent)], FLAT, preserve_topology=False))


def _places(lines: Lines, step: float) -> tuple[Points, Indices]:
    """The points of lines and more, at most a step apart; (P, 2), and which line each is of."""
    steps = np.maximum(step, shapely.length(lines) / MOST_PLACES)
    return shapely.get_coordinates(shapely.segmentize(lines, steps), return_index=True)


def _closest(points: Points, lines: Lines, near: float) -> tuple[Points, NDArray[np.bool_]]:
    """The closest point of each line to each of P points, (P, N, 2), and whether it is near."""
    between = np.asarray(shapely.shortest_line(np.asarray(shapely.points(points))[:, None], lines))
    feet = shapely.get_coordinates(between)[1::2].reshape(*between.shape, 2)
    return feet, np.asarray(shapely.length(between) <= near)


def _medians(values: Measures, weights: Measures, there: NDArray[np.bool_]) -> Measures:
    """Weighted median of each column of what is there, at least one; of two, the weighted mean.

    Args:
        values: Shape (N, S), as `there`.
        weights: Shape (N,).
    """
    counted = there * weights[:, None]
    order = np.argsort(values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    below = np.cumsum(np.take_along_axis(counted, order, axis=0), axis=0) / counted.sum(axis=0)
    low, high = (
        np.take_along_axis(ranked, (below >= half).argmax(axis=0)[None], axis=0)[0]
        for half in (0.5 - 1e-9, 0.5 + 1e-9)
    )
    mean = (values * counted).sum(axis=0) / counted.sum(axis=0)
    return np.asarray(np.where(there.sum(axis=0) > 2, (low + high) / 2, mean))  # noqa: PLR2004


def joined(runs: Lines, tiles: Indices, cores: Boxes, near: float) -> shapely.LineString:
    """One line of the overlapping runs that several tiles show of it.

    Each place is taken from the tile whose core holds it, or from the first that shows it. As
    drawings of one place differ, it is held to be where all who show it have it in the mean: of a
    line along a seam both tiles would otherwise give all, or neither. What is taken is put end to
    end, closest ends first; of several such lines, as at a fork, the longest is it.

    Args:
        tiles: Shape (N,). Which tile each run is from.
        cores: Shape (N, 4). The core of that tile.
        near: Pixels that drawings of one place may be apart.
    """
    _, which, tile = np.unique(tiles, return_index=True, return_inverse=True)
    by_tile = np.argsort(tile, kind="stable")
    shown = np.asarray(shapely.multilinestrings(runs[by_tile], indices=tile[by_tile]))
    pieces = []
    for each, all_of_it in enumerate(shown):
        others = np.flatnonzero(shapely.dwithin(shown, all_of_it, near))
        others = others[others != each]
        at, of = _places(runs[tile == each], FINE)
        feet, passing = _closest(at, shown[others], near)
        ends = shapely.boundary(shown[others])  # beyond them the other tile does not show it
        passing &= ~(shapely.distance(shapely.points(feet), ends) <= _TINY)
        mean = (at + (feet * passing[..., None]).sum(axis=1)) / (1 + passing.sum(axis=1))[:, None]
        own, theirs = (_holds(cores[which[those]], mean) for those in ([each], others))
        kept = own[:, 0] | ~(passing & (theirs | (others < each))).any(axis=1)
        new = np.flatnonzero((np.diff(of, prepend=-1) != 0) | np.diff(kept, prepend=False))
        pieces += [at[a:b] for a, b in pairwise([*new.tolist(), len(at)]) if kept[a] and b > a + 1]
    lines = [*_chained(pieces, near), *runs]  # of a line of a pixel or two nothing may be taken
    longest: shapely.LineString = lines[int(np.argmax(np.round(shapely.length(lines), 2)))]
    return longest


def _holds(cores: Boxes, points: Points) -> NDArray[np.bool_]:
    """Shape (P, C)."""
    inside = (cores[:, :2] <= points[:, None]) & (points[:, None] < cores[:, 2:])
    return np.asarray(inside.all(axis=2))


def _chained(pieces: Sequence[Points], gap: float) -> Lines:
    """Lines of pieces put end to end, closest ends first, and those that go straight on.

    Piece k has the ends 2 k and 2 k + 1.
    """
    ends = np.array([each[[0, -1]] for each in pieces]).reshape(-1, 2)
    way = ends - np.array([each[[1, -2]] for each in pieces]).reshape(-1, 2)
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    pairs = cKDTree(ends).query_pairs(gap, output_type="ndarray")
    off = np.linalg.norm(ends[pairs[:, 0]] - ends[pairs[:, 1]], axis=1)
    off += TURN * (1 + (way[pairs[:, 0]] * way[pairs[:, 1]]).sum(axis=1))
    joins: dict[int, int] = {}
    opposite = [end ^ 1 for end in range(len(ends))]  # of the line that each end is an end of
    for one, other in pairs[np.lexsort((pairs[:, 1], pairs[:, 0], off))].tolist():
        if one not in joins and other not in joins and opposite[one] != other:
            joins |= {one: other, other: one}
            first, last = opposite[one], opposite[other]
            opposite[first], opposite[last] = last, first
    lines = []
    for end, other_end in enumerate(opposite):
        if end not in joins and end < other_end:
            parts: list[Points] = []
            following: int | None = end
            while following is not None:
                parts.append(pieces[following // 2][:: -1 if following % 2 else 1])
                following = joins.get(following ^ 1)
            lines.append(shapely.LineString(np.vstack(parts)))
    return np.asarray(shapely.simplify(lines, _TINY))
