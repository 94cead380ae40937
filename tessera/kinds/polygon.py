"""Polygon: an outline around each object, which may come in several parts, and have holes.

Each object has `"polygon"`: parts of rings of points [x, y] in tile pixels, to 1/100 px, like the
coordinates of a GeoJSON MultiPolygon without the repeated last point. Canonical are outlines
clockwise on the screen and holes the other way (drawn in either direction), each from its topmost
point, of several the leftmost; no point twice in a row; parts and holes in the order of where they
start. Rings may meet in single points, but none crosses or touches itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer
from tessera.kinds.places import points
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes import nested, overlaps, rings
from tessera.shapes.boxes import Boxes, Indices, as_boxes, firsts, furthest, hulls, overlap, visible
from tessera.shapes.frames import Size, Window
from tessera.shapes.seams import FAR, REACH, TOLERANCE

FIELDS = frozenset({"polygon"})
SAME = 0.5
ALIKE = 0.3
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
IN_PIECES = False

MOST_POINTS = 5_000
"""Of one object."""
MOST_POINTS_TOGETHER = 30_000
"""Of all objects of an answer."""
MOST_CROSSED = 200
"""Edges of one object that an upright or level line may cross. Outlines hatched more densely are
drawn only to do harm: two combs of a thousand teeth cross in a million points, which takes seconds.
"""
FEWEST_POINTS = 3
CLOSE, CLOSE_OF_DIAGONAL = 2.0, 0.0075
"""Pixels, and share of the object's diagonal, that a right outline may be off; the larger of both.
Csurka et al. 2013 take that share of the whole image's diagonal."""
NARROW = 4 * TOLERANCE
"""Pixels of width, in the mean, below which it matters that hands are off."""
_A_VOTE = 3


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    del named
    if "polygon" not in found:
        raise InvalidAnswer(at, "field 'polygon' is missing")
    at = f"{at}.polygon"
    parts = [
        [_ring(ring, place, question.tile) for place, ring in _listed(part, there, "ring")]
        for there, part in _listed(found["polygon"], at, "part")
    ]
    if sum(len(ring) for part in parts for ring in part) > MOST_POINTS:
        raise InvalidAnswer(at, f"has more than {MOST_POINTS} points")
    area = nested.areas_of([parts])
    if rings.most_crossed(area) > MOST_CROSSED:
        raise InvalidAnswer(at, f"is hatched: a line crosses more than {MOST_CROSSED} of its edges")
    _sound(area[0], at)
    return {"polygon": nested.lists_of(area)[0]}


def _listed(value: object, at: str, what: str) -> list[tuple[str, object]]:
    listed = list(fields.items(value, at, InvalidAnswer, most=MOST_POINTS))
    if not listed:
        raise InvalidAnswer(at, f"must have at least one {what}")
    return listed


def _ring(value: object, at: str, tile: Size) -> list[list[float]]:
    drawn = points(value, at, tile, most=MOST_POINTS)
    distinct = [
        each for each, last in zip(drawn, [*drawn[-1:], *drawn], strict=False) if each != last
    ]
    if len(distinct) < FEWEST_POINTS:
        raise InvalidAnswer(at, "must have at least three different points")
    return distinct


def _sound(area: shapely.MultiPolygon, at: str) -> None:
    """Refuse what bounds no area, or not clearly; say which ring or part it is, and where."""
    parts = shapely.get_parts(area)
    lines, part = shapely.get_rings(parts, return_index=True)
    small = rings.too_small(lines)
    if area.is_valid and not small.any():
        return
    of_rings = [f"{at}[{i}][{j}]" for i in range(len(parts)) for j in range((part == i).sum())]
    of_parts = [f"{at}[{i}]" for i in range(len(parts))]
    alone = np.asarray(shapely.polygons(lines))
    _all_valid(alone, of_rings, "crosses or touches itself")
    for i in np.flatnonzero(small).tolist():
        raise InvalidAnswer(of_rings[i], f"encloses less than {rings.LEAST_AREA:g} square pixel")
    outline = np.asarray(shapely.polygons(shapely.get_exterior_ring(parts)))[part]
    for i in np.flatnonzero(~shapely.covers(outline, alone)).tolist():
        raise InvalidAnswer(of_rings[i], "is a hole that reaches out of its part")
    _all_valid(parts, of_parts, "has rings that cross, overlap, touch along an edge or cut it")
    _all_valid(np.array([area]), [at], "has parts that overlap or touch along an edge")


def _all_valid(areas: Shapes, places: Sequence[str], why: str) -> None:
    for i in np.flatnonzero(~shapely.is_valid(areas)).tolist():
        _, _, point = shapely.is_valid_reason(areas[i]).partition("[")
        x, y = point.rstrip("]").split()[:2]
        raise InvalidAnswer(places[i], f"{why}, at {float(x):g}, {float(y):g}")


def cost(place: Mapping[str, Any], question: Question) -> float:
    del question
    return sum(len(ring) for part in place["polygon"] for ring in part) / MOST_POINTS_TOGETHER


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,), of shapely MultiPolygon; see `shapes.rings`."""
    del schema, origin
    return nested.areas_of([each["polygon"] for each in objects])


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [{"polygon": each} for each in nested.lists_of(rings.on_grid(shapes))]


def bounds(shapes: Shapes) -> Boxes:
    return np.asarray(shapely.bounds(shapes))


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    return np.asarray(shapely.transform(shapes, lambda points: points + np.array((right, down))))


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """One piece of each, in as many parts as the window shows."""
    around = bounds(shapes)
    edges = np.array(window, dtype=np.float64)
    shown = np.flatnonzero(
        (around[:, :2] < edges[2:]).all(axis=1) & (around[:, 2:] > edges[:2]).all(axis=1)
    )
    cut = (around[shown, :2] < edges[:2]).any(axis=1) | (around[shown, 2:] > edges[2:]).any(axis=1)
    pieces = shapes[shown]
    inside = rings.overlay(shapely.intersection, pieces[cut], shapely.box(*window))
    pieces[cut] = rings.solid(inside)
    some = ~shapely.is_empty(pieces)
    pieces, shown = pieces[some], shown[some]
    seen, share = visible(around[shown], bounds(pieces), window)
    return Clipped(pieces[seen], shown[seen], share[seen])


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Intersection over union."""
    return overlaps.ious(first, second)


def credit(first: Shapes, second: Shapes) -> Measures:
    """Half for the area, its IoU, and half for the outline, its boundary F-measure.

    The area of a large object forgives a careless outline, and the outline that of a small one.
    """
    around = bounds(second)
    diagonal = np.hypot(*(around[:, 2:] - around[:, :2]).T)
    tolerance = np.maximum(CLOSE, CLOSE_OF_DIAGONAL * diagonal)
    outline = rings.boundary_agreement(first, second, tolerance)
    return np.asarray((overlaps.ious(first, second) + outline) / 2)


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    """The ground that most trust covers; of two drawings, which always differ evenly, midway.

    Of three or more one may be far off and moves nothing. Where nothing has a majority, it is the
    drawing with most trust.
    """
    if len(shapes) == 1:
        return shapes
    keys = shapely.to_wkb(shapes)
    order = np.array(sorted(range(len(shapes)), key=lambda i: (-trust[i], keys[i])))
    weights = trust[order] if len(shapes) >= _A_VOTE else np.ones(len(shapes))
    fused = rings.voted(shapes[order], weights)
    return shapes[order[:1]] if fused[0].is_empty else fused


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """What zones show of areas; by the tolerance wider if it is narrow, as a hand's error counts.

    Where a zone is hardly wider than people are exact, what ends just short of it counts too.
    """
    wide = (zones[:, 2:] - zones[:, :2]).min(axis=1) > 2 * REACH
    shown = np.full(len(shapes), shapely.MultiPolygon(), dtype=object)
    shown[wide] = rings.within(shapes[wide], zones[wide])
    short = np.flatnonzero(shapely.is_empty(shown))
    near = shapely.buffer(shapes[short], REACH)
    shown[short] = rings.overlay(shapely.intersection, near, shapely.box(*zones[short].T))
    narrow = 2 * shapely.area(shown) < NARROW * shapely.length(shown)
    shown[narrow] = shapely.buffer(shown[narrow], TOLERANCE, join_style="mitre")
    return shown


def alike(first: Shapes, second: Shapes) -> Measures:
    """Intersection over union; nothing where it cannot reach what is asked of one object.

    Most pairs are neighbours, of which boxes and areas tell as much, a hundred times as fast.
    """
    areas = np.stack([shapely.area(first), shapely.area(second)])
    shared = np.minimum(overlap(bounds(first), bounds(second)), areas.min(axis=0))
    likely = np.nan_to_num(shared) >= ALIKE * (areas.sum(axis=0) - shared)
    measured = np.zeros(len(first))
    measured[likely] = overlaps.ious(first[likely], second[likely])
    return measured


def together(seen: Seen, groups: Indices) -> Shapes:
    """One area per group: of those who saw it whole the tile that owns it, or the pieces stitched.

    As with boxes, what is whole must also reach about as far as all pieces together.
    """
    hull = hulls(seen.bounds, groups)
    short = furthest(seen.bounds, hull.take(groups, axis=0)) > FAR
    part = seen.cut | short
    elsewhere = ~seen.owned(seen.bounds)
    ranked = np.lexsort((-shapely.area(seen.shapes), elsewhere, part, groups))
    best = ranked[firsts(groups[ranked])]
    joined = seen.shapes[best]
    split = part[best] & (np.bincount(groups) > 1)
    mine = np.flatnonzero(split[groups])
    if len(mine):
        windows = as_boxes([each.window for each in seen.frames])[seen.tiles]
        number = np.cumsum(split) - 1
        pieces, cores = seen.shapes[mine], seen.cores[mine]
        whole = rings.stitched(pieces, number[groups[mine]], windows[mine], cores)
        joined[split] = np.where(shapely.is_empty(whole), joined[split], whole)
    return joined
