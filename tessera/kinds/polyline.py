"""Polyline: an open line along each object, as a lane, a road or a crack.

Each object has `"line": [[x, y], ...]` in tile pixels, to 1/100 px. A line has no direction:
canonical is the one that begins at the higher end, of two as high at the left one. It may cross
itself.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely

from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.places import points
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import curves
from tessera.shapes.boxes import Boxes, Indices, as_boxes
from tessera.shapes.frames import Window
from tessera.shapes.seams import FAR, REACH

FIELDS = frozenset({"line"})
SAME = 0.5
ALIKE = 0.4
ALIKE_OF_TWO_CLASSES = 0.8
LEAST_VISIBLE = 0.1
"""Of its length, or the window's side if that is shorter."""
IN_PIECES = True

NEAR = 8.0
"""Pixels apart that two drawings of one line may run: about a finger on a phone."""
MOST_RUNS = 8
"""Of one line in one zone that are compared."""
SHORTEST = 1.0
MOST_POINTS, MOST_POINTS_TOGETHER = 2_000, 8_000
"""Of one object, and of all objects of an answer."""
POINTS_OF_NONE = 25
"""What a line takes to compare, in points, before it has any."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    if "line" not in found:
        raise InvalidAnswer(at, "field 'line' is missing")
    at = f"{at}.line"
    drawn = points(found["line"], at, question.tile, most=MOST_POINTS)
    distinct = [each for i, each in enumerate(drawn) if i == 0 or each != drawn[i - 1]]
    if math.fsum(math.dist(*each) for each in pairwise(distinct)) < SHORTEST:
        raise InvalidAnswer(at, "must be at least two points, a pixel apart")
    return {"line": _canonical(distinct)}


def _canonical(points: list[list[float]]) -> list[list[float]]:
    """From the higher end; where the two ends are one, the way that goes up first."""
    return min(points, points[::-1], key=lambda line: [(y, x) for x, y in line])


def cost(place: Mapping[str, Any], question: Question) -> float:
    del question
    return (len(place["line"]) + POINTS_OF_NONE) / MOST_POINTS_TOGETHER


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,) of LineStrings."""
    del schema, origin
    return curves.as_lines([each["line"] for each in objects])


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [{"line": _canonical(_rounded(each))} for each in shapes]


def _rounded(line: shapely.LineString) -> list[list[float]]:
    points: list[list[float]] = (np.round(shapely.get_coordinates(line), 2) + 0.0).tolist()
    return [each for i, each in enumerate(points) if i == 0 or each != points[i - 1]]


def bounds(shapes: Shapes) -> Boxes:
    return np.asarray(shapely.bounds(shapes))


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return np.asarray(shapely.transform(shapes, lambda at: at + np.array([right, down])))


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Each run of a line inside a window is an object of the tile."""
    runs, source = curves.within(shapes, np.tile(as_boxes([window]), (len(shapes), 1)))
    shown = shapely.length(runs)
    enough = shown >= SHORTEST
    could = np.minimum(shapely.length(shapes), max(window.size))[source]
    return Clipped(runs[enough], source[enough], (shown / could)[enough])


def likeness(first: Shapes, second: Shapes) -> Measures:
    """The share of their lengths that both have, within `NEAR`."""
    return curves.shared(first, second, lambda off: (off <= NEAR).astype(np.float64))


def credit(first: Shapes, second: Shapes) -> Measures:
    """The same, where what is off counts the less the further: 0.88 at 2 px, 0.61 at 4."""
    return curves.shared(first, second, _closeness)


def _closeness(off: Measures) -> Measures:
    return curves.closeness(off, NEAR)


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    return shapes if len(shapes) == 1 else curves.middle(shapes, trust, NEAR)


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """The longest runs of each in its zone, and whether that is but a seam; shape (N, 2).

    A seam is widened, or it would show nothing.
    """
    thin = (zones[:, 2:] - zones[:, :2]).min(axis=1) <= 2 * REACH
    wider = thin[:, None] * np.array([-REACH, -REACH, REACH, REACH])
    runs, of = curves.within(shapes, zones + wider)
    order = np.lexsort((-shapely.length(runs), of))
    kept = order[np.arange(len(of)) - np.searchsorted(of, of) < MOST_RUNS]
    shown = np.full(len(shapes), shapely.MultiLineString(), dtype=object)
    shapely.multilinestrings(runs[kept], indices=of[kept], out=shown)
    return np.stack((shown, thin), axis=1)


def alike(first: Shapes, second: Shapes) -> Measures:
    """Of the two runs that fit best, the share of either that is there in the other, in the mean.

    Both tiles have the same runs in a zone, though what is one object to one of them may be two to
    the other. Of a seam they show nothing in common, and all that counts is how close they come.
    """
    thin = first[:, 1].astype(bool)
    close = np.maximum(1 - shapely.distance(first[:, 0], second[:, 0]) / (2 * NEAR), 0)
    measured = np.where(thin, np.nan_to_num(close), 0)
    one, other, row = _every_two(first[:, 0], second[:, 0])
    there = [_closeness(curves.apart(*each)).mean(axis=1) for each in ((one, other), (other, one))]
    wide = ~thin[row]
    np.maximum.at(measured, row[wide], np.mean(there, axis=0)[wide])
    return measured.round(2)  # so that all that fit as they should are equally good


def _every_two(first: Shapes, second: Shapes) -> tuple[Shapes, Shapes, Indices]:
    """Each part of one with each of the other, row by row; and the row."""
    counts = shapely.get_num_geometries(first), shapely.get_num_geometries(second)
    row = np.repeat(np.arange(len(first)), counts[0] * counts[1])
    number = np.arange(len(row)) - np.searchsorted(row, row)
    one, other = number // counts[1][row], number % counts[1][row]
    return shapely.get_geometry(first[row], one), shapely.get_geometry(second[row], other), row


def together(seen: Seen, groups: Indices) -> Shapes:
    """Runs of one line end to end."""
    order = np.argsort(groups, kind="stable")
    lines = np.empty(int(groups.max()) + 1, dtype=object)
    for i, members in enumerate(np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)):
        runs = seen.shapes[members]
        if len(runs) > 1:
            lines[i] = curves.joined(runs, seen.tiles[members], seen.cores[members], FAR)
        else:
            lines[i] = runs[0]
    return lines
