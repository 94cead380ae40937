"""Open lines of points: how far they run alongside, what several come to, and how pieces chain."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from tessera.shapes.robust import weighted_median

Line = NDArray[np.float64]
"""Shape (K, 2), K >= 2; pixels."""
Measures = NDArray[np.float64]
STEP = 2.0
"""Pixels between the places at which two lines are compared."""
MOST_STEPS = 500
_TINY = 1e-9
STATIONS = 64
"""Places at which the distance between two lines is measured, each at its share of the length."""


def length(line: Line) -> float:
    return float(np.hypot(*np.diff(line, axis=0).T).sum())


def at(line: Line, along: Measures) -> Line:
    """Points so many pixels along a line; shape (S, 2)."""
    where = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
    return np.stack([np.interp(along, where, line[:, axis]) for axis in (0, 1)], axis=1)


def stations(line: Line) -> Measures:
    """Places in equal steps from end to end, as lengths along it; shape (S,)."""
    whole = length(line)
    return np.linspace(0, whole, int(np.clip(whole / STEP, 1, MOST_STEPS)) + 1)


def alongside(line: Line, other: Line, near: float) -> float:
    """Share of a line's length that lies at most so many pixels from another one."""
    points = at(line, stations(line))
    apart = shapely.distance(shapely.points(points), shapely.linestrings(other))
    return float((apart <= near).mean())


def overlap(first: Line, second: Line, near: float) -> float:
    """Harmonic mean of completeness and correctness in a buffer (Wiedemann et al. 1998)."""
    one, other = alongside(first, second, near), alongside(second, first, near)
    return 2 * one * other / (one + other) if one + other else 0.0


def apart(first: Line, second: Line, near: float) -> float:
    """Mean distance of two lines, in order, where they run alongside; at most `near`.

    Each is cut to where it runs alongside the other one, and then the two are walked at the same
    pace, as for the Fréchet distance (Alt & Godau 1995), of which this is the mean. Which end is
    the first does not matter.
    """
    trimmed = [_trimmed(first, second, near), _trimmed(second, first, near)]
    shares = np.linspace(0, 1, STATIONS)
    walked = [at(each, shares * length(each)) for each in trimmed if each is not None]
    if len(walked) < len(trimmed):
        return near
    one, other = walked
    means = [np.hypot(*(one - way).T).mean() for way in (other, other[::-1])]
    return float(min(*means, near))


def _trimmed(line: Line, other: Line, near: float) -> Line | None:
    along = stations(line)
    close = shapely.distance(shapely.points(at(line, along)), shapely.linestrings(other)) <= near
    inside = np.flatnonzero(close)
    if len(inside) < 2:  # noqa: PLR2004
        return None
    return at(line, np.linspace(along[inside[0]], along[inside[-1]], STATIONS))


def middle(lines: Sequence[Line], weights: Measures, near: float) -> Line:
    """One curve of several drawings of one line; their order and directions do not matter.

    The drawing that is most like all others is walked in steps; each step becomes the weighted
    median of the closest points of all that run alongside there. The ends are the median of all
    ends. Of two drawings all medians are means.
    """
    likeness = np.array([[overlap(a, b, near) for b in lines] for a in lines])
    guide = lines[int(np.argmax(likeness @ weights))]
    facing = [_facing(each, guide) for each in lines]
    ends = [_median(np.stack([each[end] for each in facing]), weights) for end in (0, -1)]
    inner = at(guide, stations(guide))
    inner = inner[_between(guide, inner, ends)]
    curve = np.vstack([ends[0], *_pulled(inner, facing, weights, near), ends[1]])
    return without_repeats(shapely.get_coordinates(shapely.simplify(_string(curve), 0.5)))


def _facing(line: Line, guide: Line) -> Line:
    """The line in the direction of another one."""
    kept = np.hypot(*(line[[0, -1]] - guide[[0, -1]]).T).sum()
    turned = np.hypot(*(line[[-1, 0]] - guide[[0, -1]]).T).sum()
    return line if kept <= turned else line[::-1]


def _between(guide: Line, points: Line, ends: Sequence[Line]) -> NDArray[np.bool_]:
    string = _string(guide)
    along = shapely.line_locate_point(string, shapely.points(points))
    low, high = sorted(float(shapely.line_locate_point(string, shapely.Point(e))) for e in ends)
    return np.asarray((along > low + STEP) & (along < high - STEP))


def _pulled(points: Line, lines: Sequence[Line], weights: Measures, near: float) -> Sequence[Line]:
    """Each point to the median of the closest ones of the lines that pass it."""
    if not len(points):
        return []
    closest, passing = [], []
    for line in lines:
        string = _string(line)
        along = np.asarray(shapely.line_locate_point(string, shapely.points(points)))
        found = at(line, along)
        inside = (along > 0) & (along < length(line))
        closest.append(found)
        passing.append(inside & (np.hypot(*(found - points).T) <= near))
    there, places = np.stack(passing), np.stack(closest)
    pulled = points.copy()
    for i in range(len(points)):
        mine = there[:, i]
        if mine.any():
            pulled[i] = _median(places[mine, i], weights[mine])
    return [pulled]


def _median(points: Line, weights: Measures) -> Line:
    if len(points) < 3:  # noqa: PLR2004
        return np.asarray(np.average(points, axis=0, weights=weights))
    return np.array([weighted_median(column, weights) for column in points.T])


def chained(pieces: Sequence[Line], gap: float) -> Line:
    """Pieces put end to end, closest ends first; of several chains the longest.

    Args:
        gap: Pixels that two ends may be apart.
    """
    chains = [without_repeats(each) for each in pieces]
    while len(chains) > 1:
        best = min(
            (
                (float(np.hypot(*(one[end] - other[start]))), i, j, end, start)
                for i, one in enumerate(chains)
                for j, other in enumerate(chains)
                if i < j
                for end in (0, -1)
                for start in (0, -1)
            ),
        )
        distance, i, j, end, start = best
        if distance > gap:
            break
        one = chains[i] if end == -1 else chains[i][::-1]
        other = chains[j] if start == 0 else chains[j][::-1]
        joined = without_repeats(np.vstack((one, other)))
        chains = [each for k, each in enumerate(chains) if k not in (i, j)] + [joined]
    return max(chains, key=length)


def without_repeats(line: Line) -> Line:
    """Without points that repeat the one before; at least two are left."""
    new = np.concatenate(([True], (np.diff(line, axis=0) != 0).any(axis=1)))
    return line[new] if new.sum() > 1 else line[:2]


def parts_within(line: Line, area: shapely.Geometry) -> list[Line]:
    """The runs of a line inside an area, in their order along it.

    Segment by segment: as a whole, a line that crosses itself would fall apart where it does.
    """
    starts, ends = line[:-1], line[1:]
    inside = shapely.intersection(shapely.linestrings(np.stack((starts, ends), axis=1)), area)
    parts, segment = shapely.get_parts(inside, return_index=True)
    real = shapely.length(parts) > 0
    parts, segment = parts[real], segment[real]
    if not len(parts):
        return []
    begin = shapely.get_coordinates(shapely.get_point(parts, 0))
    end = shapely.get_coordinates(shapely.get_point(parts, -1))
    way = (ends - starts)[segment]
    along, along_end = (((p - starts[segment]) * way).sum(axis=1) for p in (begin, end))
    turned = along > along_end
    begin[turned], end[turned] = end[turned].copy(), begin[turned].copy()
    order = np.lexsort((np.minimum(along, along_end), segment))
    begin, end = begin[order], end[order]
    new = np.flatnonzero((np.abs(begin[1:] - end[:-1]) > _TINY).any(axis=1)) + 1
    return [
        without_repeats(np.vstack((first, rest)))
        for first, rest in zip(
            (each[:1] for each in np.split(begin, new)), np.split(end, new), strict=True
        )
    ]


def meeting(line: Line, area: shapely.Geometry) -> list[Line]:
    """The first and the last point of a line that are closest to an area; shape (1, 2) each."""
    points = at(line, stations(line))
    apart = shapely.distance(shapely.points(points), area)
    near = apart <= apart.min() + _TINY
    return [
        points[i][None]
        for i in sorted({int(np.argmax(near)), len(near) - 1 - int(np.argmax(near[::-1]))})
    ]


def _string(line: Line) -> shapely.LineString:
    return shapely.LineString(line)
