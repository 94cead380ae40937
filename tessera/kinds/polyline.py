"""Polyline: an open line along each object, as a lane, a road or a crack.

Each object has `"line": [[x, y], ...]` in tile pixels, to 1/100 px. A line has no direction:
canonical is the one that begins at the higher end, of two as high at the left one. It may cross
itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import curves
from tessera.shapes.boxes import Boxes, Indices, as_boxes, tidy
from tessera.shapes.curves import Line
from tessera.shapes.frames import Size, Window
from tessera.shapes.seams import FAR, REACH, TOLERANCE

FIELDS = frozenset({"line"})
SAME = 0.5
ALIKE = 0.6
ALIKE_OF_TWO_CLASSES = 0.9
LEAST_VISIBLE = 0.1
"""Of its length, or the window's side if that is shorter."""
IN_PIECES = True

SLACK = 1.0
"""Pixels a point may lie beyond its tile, as pointers do; it is moved to the edge."""
NEAR = 8.0
"""Pixels apart that two drawings of one line may run: about a finger on a phone."""
SHORTEST = 1.0
MOST_POINTS, MOST_POINTS_TOGETHER = 2_000, 20_000
"""Of one object, and of all objects of an answer."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    if "line" not in found:
        raise InvalidAnswer(at, "field 'line' is missing")
    at = f"{at}.line"
    points = [
        _point(each, place, question.tile)
        for place, each in fields.items(found["line"], at, InvalidAnswer, most=MOST_POINTS)
    ]
    distinct = [each for i, each in enumerate(points) if i == 0 or each != points[i - 1]]
    if len(distinct) < 2 or curves.length(np.array(distinct)) < SHORTEST:  # noqa: PLR2004
        raise InvalidAnswer(at, "must be at least two points, a pixel apart")
    return {"line": _canonical(distinct)}


def _point(value: object, at: str, tile: Size) -> list[float]:
    listed = list(fields.items(value, at, InvalidAnswer, most=2))
    if len(listed) < 2:  # noqa: PLR2004
        raise InvalidAnswer(at, "must be x, y")
    point = []
    for (place, each), end in zip(listed, tile, strict=True):
        number = fields.number(each, place, InvalidAnswer)
        if not -SLACK <= number <= end + SLACK:
            raise InvalidAnswer(place, f"lies outside the tile, which ends at {end}")
        point.append(tidy(min(max(number, 0.0), end)))
    return point


def _canonical(points: list[list[float]]) -> list[list[float]]:
    """From the higher end; where the two ends are one, the way that goes up first."""
    return min(points, points[::-1], key=lambda line: [(y, x) for x, y in line])


def cost(place: Mapping[str, Any], question: Question) -> float:
    del question
    return len(place["line"]) / MOST_POINTS_TOGETHER


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,) of `curves.Line`."""
    del schema, origin
    return _as_array([np.array(each["line"], dtype=np.float64) for each in objects])


def _as_array(lines: Sequence[Line]) -> Shapes:
    shapes = np.empty(len(lines), dtype=object)
    for i, each in enumerate(lines):
        shapes[i] = each
    return shapes


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [{"line": _canonical(_rounded(each))} for each in shapes]


def _rounded(line: Line) -> list[list[float]]:
    points: list[list[float]] = (np.round(line, 2) + 0.0).tolist()
    kept = [each for i, each in enumerate(points) if i == 0 or each != points[i - 1]]
    return kept if len(kept) > 1 else points[:2]


def bounds(shapes: Shapes) -> Boxes:
    return as_boxes([[*each.min(axis=0), *each.max(axis=0)] for each in shapes])


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return _as_array([each + np.array([right, down]) for each in shapes])


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Each run of a line inside a window is an object of the tile."""
    area, across = shapely.box(*window), max(window.size)
    runs = [curves.parts_within(each, area) for each in shapes]
    kept = [(run, i) for i, of in enumerate(runs) for run in of if curves.length(run) >= SHORTEST]
    share = [curves.length(run) / min(curves.length(shapes[i]), across) for run, i in kept]
    source = np.array([i for _, i in kept], dtype=np.int64)
    return Clipped(_as_array([run for run, _ in kept]), source, np.array(share))


def likeness(first: Shapes, second: Shapes) -> Measures:
    """How much of both lies close to the other one."""
    return np.array(
        [curves.overlap(*pair, NEAR) for pair in zip(first, second, strict=True)], dtype=float
    )


def credit(first: Shapes, second: Shapes) -> Measures:
    """How much of both lies close to the other one, times how close that is in the mean."""
    far = [curves.apart(*pair, NEAR) for pair in zip(first, second, strict=True)]
    return np.asarray(likeness(first, second) * (1 - np.array(far, dtype=float) / NEAR))


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    return _as_array([shapes[0] if len(shapes) == 1 else curves.middle(list(shapes), trust, NEAR)])


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """The runs of each in a zone, a little widened. Shape (N,) of lists.

    Of a zone that is itself hardly more than a line, the points where each run comes to it: a line
    that meets it at a narrow angle has a long run on either side, and they share but a point.
    """
    wider = zones + np.array([-TOLERANCE, -TOLERANCE, TOLERANCE, TOLERANCE])
    thin = (zones[:, 2:] - zones[:, :2]).min(axis=1) <= 2 * REACH
    views = np.empty(len(shapes), dtype=object)
    for i, (each, zone) in enumerate(zip(shapes, wider, strict=True)):
        runs = curves.parts_within(each, shapely.box(*zone))
        seam = shapely.box(*zones[i])
        views[i] = [at for run in runs for at in curves.meeting(run, seam)] if thin[i] else runs
    return views


def alike(first: Shapes, second: Shapes) -> Measures:
    """Of the two runs that fit best, the share of the shorter one that lies close to the other."""
    return np.array([_alike(*pair) for pair in zip(first, second, strict=True)], dtype=float)


def _alike(one: list[Line], other: list[Line]) -> float:
    return max((_fit(a, b) for a in one for b in other), default=0.0)


def _fit(one: Line, other: Line) -> float:
    if len(one) == 1:
        return max(0.0, 1 - float(np.hypot(*(one[0] - other[0]))) / (4 * TOLERANCE))
    shorter, longer = sorted((one, other), key=curves.length)
    return curves.alongside(shorter, longer, 2 * TOLERANCE)


def together(seen: Seen, groups: Indices) -> Shapes:
    """Runs of one line end to end, each place as the tile has it whose core holds it."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return _as_array([_one(seen, members) for members in np.split(order, starts[1:])])


def _one(seen: Seen, members: Indices) -> Line:
    if len(members) == 1:
        only: Line = seen.shapes[members[0]]
        return only
    tiles = sorted(set(seen.tiles[members].tolist()))
    cores = {tile: shapely.box(*seen.frames[tile].core) for tile in tiles}
    owned = shapely.union_all(list(cores.values()))
    runs, before = [], shapely.Polygon()
    for tile in tiles:
        # what is in no core of theirs is taken from the first of them that sees it
        rest = shapely.box(*seen.frames[tile].window).difference(owned).difference(before)
        area = shapely.union(cores[tile], rest)
        before = before.union(shapely.box(*seen.frames[tile].window))
        for member in members[seen.tiles[members] == tile]:
            runs += curves.parts_within(seen.shapes[member], area)
    return curves.chained(runs, FAR) if runs else seen.shapes[members[0]]
