"""Box: a rectangle around each object, upright, or at an angle if the schema says `rotated`.

Each object has `"box": [left, top, right, bottom]` in tile pixels, half-open, to 1/100 px; a fifth
number turns it about its centre, in degrees clockwise. Instead an answer may have `"extremes"`:
four taps [x, y] on the object's topmost, leftmost, lowest and rightmost points (Papadopoulos et al.
2017), which give the box and are kept with it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.places import coordinate, point
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import turned
from tessera.shapes.boxes import Boxes, Indices, as_boxes, clip, furthest, hulls, row_ious, visible
from tessera.shapes.frames import Size, Window
from tessera.shapes.robust import weighted_median
from tessera.shapes.seams import FAR, widened

FIELDS = frozenset({"box", "extremes"})
SAME = 0.5
ALIKE = 0.2
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
IN_PIECES = False

THINNEST = 0.5
"""Pixels. Below that a box holds nothing."""
ENOUGH_FOR_A_MEDIAN = 3
_EDGES, _TAPS, _MOST_TURN = 4, 4, 360.0


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options(but={"rotated"})


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    if "extremes" in found:
        return _of_taps(found, at, question.tile)
    if "box" not in found:
        raise InvalidAnswer(at, "field 'box' is missing")
    return {"box": _rectangle(found["box"], f"{at}.box", question)}


def _of_taps(found: Mapping[str, object], at: str, tile: Size) -> dict[str, Any]:
    listed = fields.items(found["extremes"], f"{at}.extremes", InvalidAnswer, most=_TAPS)
    taps = [point(tap, place, tile) for place, tap in listed]
    if len(taps) < _TAPS:
        raise InvalidAnswer(f"{at}.extremes", "must be four points")
    (left, right), (top, bottom) = ((min(each), max(each)) for each in zip(*taps, strict=True))
    edges = [left, top, right, bottom]
    _with_area(edges, f"{at}.extremes")
    if "box" in found and found["box"] != edges:
        raise InvalidAnswer(f"{at}.box", "is not the box of the extremes")
    return {"box": edges, "extremes": taps}


def _rectangle(value: object, at: str, question: Question) -> list[float]:
    most = _EDGES + question.schema.rotated
    numbers = [
        (place, fields.number(element, place, InvalidAnswer))
        for place, element in fields.items(value, at, InvalidAnswer, most=most)
    ]
    if len(numbers) < _EDGES:
        raise InvalidAnswer(at, "must be left, top, right, bottom")
    if len(numbers) > _EDGES and numbers[_EDGES][1] != 0:
        return _at_an_angle([number for _, number in numbers], at, question.tile)
    edges = [
        coordinate(number, place, question.tile[i % 2])
        for i, (place, number) in enumerate(numbers[:_EDGES])
    ]
    _with_area(edges, at)
    return edges


def _with_area(edges: Sequence[float], at: str) -> None:
    if edges[2] - edges[0] < THINNEST or edges[3] - edges[1] < THINNEST:
        raise InvalidAnswer(at, "has no area: right must exceed left, and bottom exceed top")


def _at_an_angle(numbers: list[float], at: str, tile: Size) -> list[float]:
    """Its corners may lie outside the tile, but no further than the tile is large."""
    if abs(numbers[4]) > _MOST_TURN:
        raise InvalidAnswer(f"{at}[4]", "must lie between -360 and 360 degrees")
    _with_area(numbers, at)
    rows = np.array([numbers])
    centre = (rows[0, :2] + rows[0, 2:4]) / 2
    if not (0 <= centre[0] <= tile.width and 0 <= centre[1] <= tile.height):
        raise InvalidAnswer(at, "has its centre outside the tile")
    around = turned.bounds(rows)[0]
    if (around[:2] < np.negative(tile)).any() or (around[2:] > 2 * np.array(tile)).any():
        raise InvalidAnswer(at, "reaches further out of the tile than the tile is large")
    edges: list[float] = dump(turned.normal(rows))[0]["box"]
    return edges


def cost(place: Mapping[str, Any], question: Question) -> float:
    del place, question
    return 0.0


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N, 5); see `shapes.turned`."""
    del schema, origin
    numbers = [each["box"] for each in objects]
    if max(map(len, numbers), default=0) <= _EDGES:  # nearly always, and far quicker
        return np.hstack((as_boxes(numbers), np.zeros((len(numbers), 1))))
    return np.array([[*each, 0.0][:5] for each in numbers], dtype=np.float64)


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    rows = np.round(shapes, 2) + 0.0
    if not rows[:, 4].any():
        return [{"box": row} for row in rows[:, :4].tolist()]
    return [{"box": row if row[4] else row[:4]} for row in rows.tolist()]


def bounds(shapes: Shapes) -> Boxes:
    return turned.bounds(shapes) if shapes[:, 4].any() else np.asarray(shapes[:, :4])


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return np.asarray(shapes + np.array([right, down, right, down, 0]))


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Of a box at an angle the smallest one at that angle around what shows."""
    inside = np.hstack((clip(shapes[:, :4], window), shapes[:, 4:]))
    angled = shapes[:, 4] != 0
    limits = np.tile(np.array(window, dtype=np.float64), (int(angled.sum()), 1))
    inside[angled] = turned.clipped(shapes[angled], limits)
    solid = (inside[:, 2:4] > inside[:, :2]).all(axis=1)
    shown, share = visible(bounds(shapes), clip(bounds(inside), window), window)
    seen = np.flatnonzero(solid & shown)
    return Clipped(inside[seen], seen, share[seen])


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Intersection over union."""
    angled = (first[:, 4] != 0) | (second[:, 4] != 0)
    measured = row_ious(first[:, :4], second[:, :4])
    measured[angled] = turned.ious(first[angled], second[angled])
    return measured


def credit(first: Shapes, second: Shapes) -> Measures:
    """One for each that is found: with it a score is the F1 at `SAME`."""
    del second
    return np.ones(len(first))


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    """Per edge, and of the angle, the trust-weighted median, or the mean of two.

    Of three or more one may be far off and moves nothing. Of two nobody knows which one is off,
    and the mean has half the variance. Never empty: both quantiles grow with each of their values.
    """
    if shapes[:, 4].any():
        around = np.exp(4j * np.radians(shapes[:, 4])) @ trust  # the same after a quarter turn
        shapes = turned.nearest(shapes, float(np.degrees(np.angle(around)) / 4))
    if len(shapes) < ENOUGH_FOR_A_MEDIAN:
        fused = np.average(shapes, axis=0, weights=trust)
    else:
        fused = np.array([weighted_median(edge, trust) for edge in shapes.T])
    return turned.normal(fused[None])


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """Upright boxes around what zones show, widened by the tolerance. Shape (N, 4)."""
    around, angled = np.array(bounds(shapes)), np.flatnonzero(shapes[:, 4])
    if len(angled):
        parts = turned.clipped(shapes[angled], zones[angled])
        shown = (parts[:, 2:4] > parts[:, :2]).all(axis=1)
        around[angled[shown]] = turned.bounds(parts[shown])
    return widened(around, zones)


def alike(first: Shapes, second: Shapes) -> Measures:
    return row_ious(first, second)


def together(seen: Seen, groups: Indices) -> Shapes:
    """One box per group: the mean of those that are whole, or the hull of the pieces.

    Tiles that see an object whole know its edges as well as each other; a piece tells nothing of
    the edges that it lacks. An edge drawn a little short of the window looks whole, so what is
    whole must also reach about as far as all pieces together.
    """
    hull = hulls(seen.bounds, groups)
    short = furthest(seen.bounds, hull.take(groups, axis=0)) > FAR
    weights = np.where(seen.cut | short, 0.0, np.maximum(seen.confidence, 1e-6))
    total = np.bincount(groups, weights)
    mean = np.stack([np.bincount(groups, weights * edge) for edge in seen.bounds.T], axis=1)
    whole = total > 0
    hull[whole] = mean[whole] / total[whole, None]
    width, height = seen.frames[0].image
    joined = np.zeros((len(hull), 5))
    joined[:, :4] = np.clip(hull, 0, (width, height, width, height))
    for group in np.unique(groups[seen.shapes[:, 4] != 0]).tolist():
        mine = groups == group
        joined[group] = _at_angles(seen.shapes[mine], weights[mine])
    return joined


def _at_angles(pieces: Shapes, weights: Measures) -> Shapes:
    """Those that are whole fused; or the hull of all pieces, at the angle of the largest."""
    if weights.any():
        return np.asarray(fuse(pieces[weights > 0], weights[weights > 0])[0])
    largest = pieces[np.argmax((pieces[:, 2:4] - pieces[:, :2]).prod(axis=1))]
    return np.asarray(turned.normal(turned.hull(pieces, float(largest[4])))[0])
