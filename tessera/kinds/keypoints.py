"""Keypoints: where the points of a skeleton lie on each object.

Each object has `"points": [[x, y, v], ...]`, one for each point of its class's skeleton, in that
order, in tile pixels, to 1/100 px. As in COCO v is 0 where a point is not labelled (x and y are 0
then), 1 where it is hidden and 2 where it can be seen.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tessera.kinds import fields
from tessera.kinds.errors import InvalidAnswer, InvalidLabelSchema
from tessera.kinds.protocol import Question
from tessera.kinds.schema import LabelClass, LabelSchema
from tessera.kinds.shape import Clipped, Measures, Origin, Seen, Shapes
from tessera.shapes.boxes import Boxes, Indices, as_boxes, centred_in, tidy, visible
from tessera.shapes.frames import Size, Window
from tessera.shapes.robust import geometric_median
from tessera.shapes.seams import TOLERANCE

FIELDS = frozenset({"points"})
SAME = 0.5
ALIKE = 0.3
ALIKE_OF_TWO_CLASSES = 0.6
LEAST_VISIBLE = 0.25
IN_PIECES = False

SLACK = 1.0
"""Pixels a point may lie beyond its tile, as pointers do; it is moved to the edge."""
OF_BOX = 0.53
"""Area of an object as a share of the box around its points; COCO's evaluation takes the same where
it has no outline."""
LEAST_AREA = 100.0
"""Square pixels: of very small objects nobody can do better, and one point alone has no area."""
HIDDEN, VISIBLE = 1, 2
_X_Y_V = 3

Points = NDArray[np.float64]
"""Shape (K, 4): x, y, v, and the sigma of each point."""


def check_schema(schema: LabelSchema) -> None:
    schema.refuse_options()
    for number, each in enumerate(schema.classes):
        if each.skeleton is None:
            raise InvalidLabelSchema(f"classes[{number}]", "field 'skeleton' is missing")


def read(
    found: Mapping[str, object], at: str, named: LabelClass, question: Question
) -> dict[str, Any]:
    if "points" not in found:
        raise InvalidAnswer(at, "field 'points' is missing")
    at = f"{at}.points"
    asked = () if named.skeleton is None else named.skeleton.points
    points = [
        _point(each, place, question.tile)
        for place, each in fields.items(found["points"], at, InvalidAnswer, most=len(asked))
    ]
    if len(points) < len(asked):
        missing = asked[len(points)].name
        raise InvalidAnswer(at, f"must be {len(asked)} points; the first missing is {missing!r}")
    if not any(v for _, _, v in points):
        raise InvalidAnswer(at, "must have at least one point that is labelled")
    return {"points": points}


def _point(value: object, at: str, tile: Size) -> list[float]:
    listed = list(fields.items(value, at, InvalidAnswer, most=_X_Y_V))
    if len(listed) < _X_Y_V:
        raise InvalidAnswer(at, "must be x, y, v")
    v = fields.whole(listed[2][1], listed[2][0], InvalidAnswer)
    if not 0 <= v <= VISIBLE:
        raise InvalidAnswer(listed[2][0], "must be 0 (not labelled), 1 (hidden) or 2 (visible)")
    x, y = (fields.number(each, place, InvalidAnswer) for place, each in listed[:2])
    if v == 0:
        return [0.0, 0.0, 0]
    for number, (place, _), end in zip((x, y), listed, tile, strict=False):
        if not -SLACK <= number <= end + SLACK:
            raise InvalidAnswer(place, f"lies outside the tile, which ends at {end}")
    return [*(tidy(min(max(n, 0.0), end)) for n, end in zip((x, y), tile, strict=True)), v]


def cost(place: Mapping[str, Any], question: Question) -> float:
    del place, question
    return 0.0


def load(objects: Sequence[Mapping[str, Any]], schema: LabelSchema, origin: Origin) -> Shapes:
    """Shape (N,) of `Points`."""
    del origin
    sigmas = {
        each.id: [[point.sigma] for point in each.skeleton.points]
        for each in schema.classes
        if each.skeleton is not None
    }
    return _as_array(
        [np.hstack((np.array(e["points"], dtype=float), sigmas[e["class"]])) for e in objects]
    )


def _as_array(points: Sequence[Points]) -> Shapes:
    shapes = np.empty(len(points), dtype=object)
    for i, each in enumerate(points):  # at once they would become one array, if all are as long
        shapes[i] = each
    return shapes


def dump(shapes: Shapes) -> list[dict[str, Any]]:
    return [
        {
            "points": [
                [x, y, int(v)] if v else [0.0, 0.0, 0]
                for x, y, v in (np.round(each[:, :3], 2) + 0.0).tolist()
            ]
        }
        for each in shapes
    ]


def bounds(shapes: Shapes) -> Boxes:
    """Around the points that are labelled."""
    return as_boxes([_around(each) for each in shapes])


def _around(points: Points) -> list[float]:
    there = points[points[:, 2] > 0, :2]
    return [*there.min(axis=0).tolist(), *there.max(axis=0).tolist()]


def moved(shapes: Shapes, right: float, down: float) -> Shapes:
    shift = np.array([right, down, 0, 0])
    return _as_array([each + shift * (each[:, 2:3] > 0) for each in shapes])


def clipped(shapes: Shapes, window: Window) -> Clipped:
    """Points outside are not labelled; who has none left is not there."""
    limits = np.array(window, dtype=np.float64)
    inside = [_only(each, limits) for each in shapes]
    source = np.array([i for i, each in enumerate(inside) if each[:, 2].any()], dtype=np.int64)
    there = _as_array([inside[i] for i in source])
    seen, share = visible(bounds(shapes)[source], bounds(there), window)
    return Clipped(there[seen], source[seen], share[seen])


def _only(points: Points, limits: NDArray[np.float64]) -> Points:
    at = points[:, :2]
    outside = ((at < limits[:2]) | (at > limits[2:])).any(axis=1)
    kept = points.copy()
    kept[outside, :3] = 0
    return kept


def likeness(first: Shapes, second: Shapes) -> Measures:
    """Object keypoint similarity over the points that both have."""
    return np.array([_likeness(*pair) for pair in zip(first, second, strict=True)], dtype=float)


def _likeness(one: Points, other: Points) -> float:
    if len(one) != len(other):
        return 0.0
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    if not both.any():
        return 0.0
    return float(_similarity(one, other, max(_area(one), _area(other)))[both].mean())


def credit(first: Shapes, second: Shapes) -> Measures:
    """Object keypoint similarity (Ronchi & Perona 2017) over the points that the truth has.

    One that the drawing lacks counts as far off; more points than the truth has do not count.
    """
    return np.array([_credit(*pair) for pair in zip(first, second, strict=True)], dtype=float)


def _credit(drawn: Points, true: Points) -> float:
    if len(drawn) != len(true):
        return 0.0
    similar = _similarity(drawn, true, _area(true)) * (drawn[:, 2] > 0)
    return float(similar[true[:, 2] > 0].mean())


def _similarity(one: Points, other: Points, area: float, *, free: float = 0.0) -> Measures:
    """Per point; so many pixels apart cost nothing."""
    off = np.maximum(np.hypot(*(one[:, :2] - other[:, :2]).T) - free, 0)
    spread = area * (2 * other[:, 3]) ** 2
    return np.asarray(np.exp(-(off**2) / (2 * spread)))


def _area(points: Points) -> float:
    left, top, right, bottom = _around(points)
    return max(OF_BOX * (right - left) * (bottom - top), LEAST_AREA)


def fuse(shapes: Shapes, trust: Measures) -> Shapes:
    """Per point the geometric median of those who label it, if they have at least half the trust.

    It can be seen if at least half of them by trust see it. Where no point is left, the drawing
    with most trust.
    """
    drawn = np.stack(list(shapes))
    fused = drawn[0].copy()
    for k in range(drawn.shape[1]):
        there = drawn[:, k, 2] > 0
        fused[k, :3] = 0
        if trust[there].sum() >= trust.sum() / 2 - 1e-9:
            seen = trust[drawn[:, k, 2] == VISIBLE].sum() >= trust[there].sum() / 2 - 1e-9
            fused[k, :2] = geometric_median(drawn[there, k, :2], trust[there])
            fused[k, 2] = VISIBLE if seen else HIDDEN
    return _as_array([fused if fused[:, 2].any() else shapes[int(np.argmax(trust))]])


def view(shapes: Shapes, zones: Boxes) -> Shapes:
    """The points in a zone, a little widened; a fifth column has the area of the whole object."""
    views = []
    for each, zone in zip(shapes, zones, strict=True):
        wider = zone + np.array([-TOLERANCE, -TOLERANCE, TOLERANCE, TOLERANCE])
        views.append(np.column_stack((_only(each, wider), np.full(len(each), _area(each)))))
    return _as_array(views)


def alike(first: Shapes, second: Shapes) -> Measures:
    """Similarity of the points in the zone; one that only one of the two has is none."""
    return np.array([_alike(*pair) for pair in zip(first, second, strict=True)], dtype=float)


def _alike(one: Points, other: Points) -> float:
    if len(one) != len(other):
        return 0.0
    either = (one[:, 2] > 0) | (other[:, 2] > 0)
    if not either.any():
        return 0.0
    both = (one[:, 2] > 0) & (other[:, 2] > 0)
    area = max(float(one[0, 4]), float(other[0, 4]))
    return float((_similarity(one, other, area, free=TOLERANCE) * both)[either].mean())


def together(seen: Seen, groups: Indices) -> Shapes:
    """Each point from the tile whose core holds it; else from the tile that owns the object."""
    count = int(groups.max()) + 1
    hull = np.tile((np.inf, np.inf, -np.inf, -np.inf), (count, 1))
    np.minimum.at(hull[:, :2], groups, seen.bounds[:, :2])
    np.maximum.at(hull[:, 2:], groups, seen.bounds[:, 2:])
    cores = as_boxes([each.core for each in seen.frames])[seen.tiles]
    elsewhere = ~centred_in(hull[groups], *cores.T)
    order = np.lexsort((seen.tiles, -seen.confidence, elsewhere, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    return _as_array([_one(seen, mine, cores) for mine in np.split(order, starts[1:])])


def _one(seen: Seen, members: Indices, cores: Boxes) -> Points:
    """Of pieces of one object, the one that owns it first."""
    alike = [i for i in members if len(seen.shapes[i]) == len(seen.shapes[members[0]])]
    drawn = np.stack([seen.shapes[i] for i in alike])
    left, top, right, bottom = cores[alike].T[..., None]
    x, y, v = np.moveaxis(drawn[..., :3], -1, 0)
    own = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    best = np.argmax((v > 0) * (1 + own), axis=0)  # of equal ones the first
    return np.asarray(drawn[best, np.arange(drawn.shape[1])])
